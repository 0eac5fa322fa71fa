import { describe, expect, it } from 'vitest'
import { observeSnapshot, type MeterLike } from '@hs/core'
import { MemoryLogger } from '@hs/core/testing'

type Callback = (result: { observe(value: number): void }) => void

/** As much of a meter as the contract names. */
function fakeMeter() {
  const gauges = new Map<string, Set<Callback>>()
  const meter: MeterLike = {
    createObservableGauge(name) {
      const callbacks = gauges.get(name) ?? new Set()
      gauges.set(name, callbacks)
      return {
        addCallback: (callback) => void callbacks.add(callback),
        removeCallback: (callback) => void callbacks.delete(callback),
      }
    },
  }
  const collect = () => {
    const seen: Record<string, number> = {}
    for (const [name, callbacks] of gauges) {
      for (const callback of callbacks) callback({ observe: (value) => void (seen[name] = value) })
    }
    return seen
  }
  return { meter, gauges, collect }
}

describe('observeSnapshot (CORE-40)', () => {
  it('registers a gauge per numeric or boolean leaf and reads it when it is observed', () => {
    const { meter, gauges, collect } = fakeMeter()
    const state = { size: 1, open: true, name: 'x', none: null, evicted: { expired: 2, list: [3] }, fn: () => 1 }
    observeSnapshot(meter, 'cache', () => state)
    expect([...gauges.keys()]).toEqual(['cache.size', 'cache.open', 'cache.evicted.expired', 'cache.evicted.list.0'])
    state.size = 5
    state.open = false
    expect(collect()).toEqual({
      'cache.size': 5,
      'cache.open': 0,
      'cache.evicted.expired': 2,
      'cache.evicted.list.0': 3,
    })
    state.open = true
    expect(collect()['cache.open']).toBe(1)
  })

  it('removes its callbacks again', () => {
    const { meter, gauges, collect } = fakeMeter()
    const remove = observeSnapshot(meter, 'cache', () => ({ a: 1, b: { c: 2 } }))
    expect([...gauges.values()].map(({ size }) => size)).toEqual([1, 1])
    remove()
    remove()
    expect([...gauges.values()].map(({ size }) => size)).toEqual([0, 0])
    expect(collect()).toEqual({})
  })

  it('observes nothing for a leaf that is gone or is no number any more', () => {
    const { meter, collect } = fakeMeter()
    let state: object = { a: { b: 1 }, c: 2, d: 3 }
    observeSnapshot(meter, 'x', () => state)
    state = { a: 5, c: NaN, d: 4 }
    expect(collect()).toEqual({ 'x.d': 4 })
  })

  it('reports a read that throws, and goes on with the next', () => {
    const { meter, collect } = fakeMeter()
    const logger = new MemoryLogger()
    let broken = false
    observeSnapshot(
      meter,
      'x',
      () => {
        if (broken) throw new Error('no snapshot')
        return { a: 1 }
      },
      { logger },
    )
    broken = true
    expect(collect()).toEqual({})
    expect(logger.at('error')[0]!.fields).toMatchObject({ source: 'x.observeSnapshot', err: new Error('no snapshot') })
    broken = false
    expect(collect()).toEqual({ 'x.a': 1 })
  })

  it('observes at most 1,000 leaves, and says so', () => {
    const { meter, gauges } = fakeMeter()
    const logger = new MemoryLogger()
    const wide = Object.fromEntries(Array.from({ length: 1_500 }, (_, i) => [`k${i}`, i]))
    observeSnapshot(meter, 'x', () => wide, { logger })
    expect(gauges.size).toBe(1_000)
    expect(logger.at('warn')).toHaveLength(1)
  })

  it('ends on a snapshot that contains itself', () => {
    const { meter, gauges } = fakeMeter()
    const cycle: Record<string, unknown> = { n: 1 }
    cycle['self'] = cycle
    observeSnapshot(meter, 'x', () => cycle)
    expect(gauges.has('x.n')).toBe(true)
    expect(gauges.size).toBeLessThan(20)
  })

  it('refuses an option that does not exist', () => {
    const refusal = expect.objectContaining({ code: 'CONFIG_INVALID' }) as Error
    expect(() => observeSnapshot(fakeMeter().meter, 'x', () => ({}), { loger: 1 } as object)).toThrow(refusal)
  })
})
