import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BoundedMap, type BoundedMapOptions, type EvictionReason } from '../src/bounded-map.js'
import { ConfigError } from '../src/errors.js'
import { MemoryLogger, VirtualClock } from '../src/testing/index.js'
import { collectGarbage } from './collect-garbage.js'
import { settle } from './outcomes.js'

type Options = Omit<BoundedMapOptions<string, number>, 'clock' | 'logger' | 'onEvict'>

function setUp(options: Options) {
  const clock = new VirtualClock()
  const evicted: [string, number, EvictionReason][] = []
  const map = new BoundedMap<string, number>({
    ...options,
    clock,
    onEvict: (key, value, reason) => evicted.push([key, value, reason]),
  })
  return { clock, map, evicted }
}

describe('BoundedMap (CORE-27)', () => {
  it('never holds more than maxEntries: the least recent goes', () => {
    const { map, evicted } = setUp({ maxEntries: 3 })
    for (const [index, key] of ['a', 'b', 'c', 'd', 'e'].entries()) map.set(key, index)
    expect(map.size).toBe(3)
    expect([...map]).toEqual([
      ['c', 2],
      ['d', 3],
      ['e', 4],
    ])
    expect(evicted).toEqual([
      ['a', 0, 'capacity'],
      ['b', 1, 'capacity'],
    ])
  })

  it('makes a key most recent by set and get, but not by peek and has', () => {
    const { map } = setUp({ maxEntries: 4 })
    map.set('a', 1).set('b', 2).set('c', 3).set('d', 4)
    expect([map.get('a'), map.set('b', 5), map.peek('c'), map.has('d')]).toEqual([1, map, 3, true])
    map.set('e', 6)
    expect([...map].map(([key]) => key)).toEqual(['d', 'a', 'b', 'e'])
  })

  it('finds nothing where there is nothing', () => {
    const { map } = setUp({ maxEntries: 2 })
    expect([map.get('a'), map.peek('a'), map.has('a'), map.delete('a'), map.prune()]).toEqual([
      undefined,
      undefined,
      false,
      false,
      0,
    ])
  })

  it('takes any key and value that a Map takes', () => {
    const map = new BoundedMap<unknown, unknown>({ maxEntries: 5 })
    const object = {}
    map.set(undefined, 1).set(Number.NaN, 2).set(object, undefined).set(0, 4).set(null, 5)
    expect([undefined, Number.NaN, object, -0, null].map((key) => map.get(key))).toEqual([1, 2, undefined, 4, 5])
    expect([map.has(object), map.has({})]).toEqual([true, false])
    map.delete(undefined)
    expect([map.has(undefined), map.size]).toEqual([false, 4])
  })

  it('counts neither delete nor clear as an eviction', () => {
    const { map, evicted } = setUp({ maxEntries: 2, ttlMs: 100 })
    map.set('a', 1).set('b', 2)
    expect([map.delete('a'), map.delete('a'), map.size]).toEqual([true, false, 1])
    map.clear()
    expect([map.size, map.has('b'), [...map], evicted]).toEqual([0, false, [], []])
    map.set('c', 3)
    expect(map.snapshot()).toEqual({ size: 1, maxEntries: 2, evicted: { capacity: 0, expired: 0 } })
  })

  it('stays within its bound under 100,000 keys (D2)', () => {
    const { map, evicted } = setUp({ maxEntries: 100 })
    for (let i = 0; i < 100_000; i++) map.set(`key ${i}`, i)
    expect([map.size, evicted.length, map.snapshot().evicted.capacity]).toEqual([100, 99_900, 99_900])
  })

  it('bears any change during an iteration: gives no entry that is gone, and none that is new', () => {
    const { map } = setUp({ maxEntries: 10 })
    map.set('a', 1).set('b', 2).set('c', 3).set('d', 4)
    const seen: [string, number][] = []
    for (const entry of map) {
      seen.push(entry)
      if (entry[0] !== 'a') continue
      map.get('a')
      map.delete('b')
      map.set('c', 5).set('e', 6)
    }
    expect(seen).toEqual([
      ['a', 1],
      ['c', 5],
      ['d', 4],
    ])
  })

  it('takes no memory for entries that are not used', () => {
    const maps = Array.from({ length: 1_000 }, () => new BoundedMap({ maxEntries: 2 ** 30, ttlMs: 10 }))
    for (const map of maps) expect(map.set('a', 1).size).toBe(1)
  })

  it('does not keep alive what has left', async () => {
    const map = new BoundedMap<object, object>({ maxEntries: 2 })
    const weak: WeakRef<object>[] = []
    const add = () => {
      const [key, value] = [{}, {}]
      weak.push(new WeakRef(key), new WeakRef(value))
      map.set(key, value)
      return new WeakRef(key)
    }
    add()
    add()
    const last = add()
    map.delete(last.deref() as object)
    await collectGarbage()
    expect(weak.map((ref) => ref.deref() !== undefined)).toEqual([false, false, true, true, false, false])
    map.clear()
    await collectGarbage()
    expect(weak.every((ref) => ref.deref() === undefined)).toBe(true)
  })

  it('gives a frozen snapshot', () => {
    const snapshot = setUp({ maxEntries: 2 }).map.snapshot()
    expect([Object.isFrozen(snapshot), Object.isFrozen(snapshot.evicted)]).toEqual([true, true])
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot)
  })
})

describe('BoundedMap: time to live (CORE-27)', () => {
  it('expires an entry ttlMs after it was set, not before and not later', () => {
    const { clock, map } = setUp({ maxEntries: 5, ttlMs: 100 })
    map.set('a', 1)
    clock.advance(99.5)
    expect([map.size, map.has('a'), map.peek('a'), map.get('a'), [...map]]).toEqual([1, true, 1, 1, [['a', 1]]])
    clock.advance(0.5)
    expect([map.size, map.has('a'), map.peek('a'), [...map], map.snapshot().size]).toEqual([0, false, undefined, [], 0])
    expect(map.get('a')).toBeUndefined()
  })

  it('sets no timer', () => {
    const { clock, map } = setUp({ maxEntries: 5, ttlMs: 100 })
    map.set('a', 1)
    expect(clock.pendingTimers).toBe(0)
  })

  it('does not refresh the age on get, unless refreshOnGet says so; set always does', () => {
    for (const refreshOnGet of [false, true]) {
      const { clock, map } = setUp({ maxEntries: 5, ttlMs: 100, refreshOnGet })
      map.set('got', 1).set('set', 2).set('peeked', 3)
      clock.advance(60)
      map.get('got')
      map.set('set', 4)
      map.peek('peeked')
      map.has('peeked')
      clock.advance(60)
      expect(['got', 'set', 'peeked'].map((key) => map.has(key))).toEqual([refreshOnGet, true, false])
      expect(map.size).toBe(refreshOnGet ? 2 : 1)
    }
  })

  it('evicts an expired entry before a live one at capacity, however recent its use', () => {
    const { clock, map, evicted } = setUp({ maxEntries: 3, ttlMs: 100 })
    map.set('old', 1)
    clock.advance(50)
    map.set('a', 2).set('b', 3)
    map.get('old')
    clock.advance(50)
    map.set('c', 4)
    expect(evicted).toEqual([['old', 1, 'expired']])
    map.set('d', 5)
    expect(evicted.slice(1)).toEqual([['a', 2, 'capacity']])
    expect(map.snapshot()).toEqual({ size: 3, maxEntries: 3, evicted: { capacity: 1, expired: 1 } })
  })

  it('tells an expired entry once, whoever comes upon it', () => {
    const touches: [string, (map: BoundedMap<string, number>) => unknown, unknown][] = [
      ['get', (map) => map.get('a'), undefined],
      ['set', (map) => map.set('a', 2).get('a'), 2],
      ['delete', (map) => map.delete('a'), false],
      ['prune', (map) => map.prune(), 1],
    ]
    for (const [, touch, expected] of touches) {
      const { clock, map, evicted } = setUp({ maxEntries: 3, ttlMs: 100 })
      map.set('a', 1)
      clock.advance(100)
      expect([map.size, map.has('a'), map.peek('a'), [...map], evicted]).toEqual([0, false, undefined, [], []])
      expect(touch(map)).toBe(expected)
      map.prune()
      expect(evicted).toEqual([['a', 1, 'expired']])
      expect(map.snapshot().evicted).toEqual({ capacity: 0, expired: 1 })
    }
  })

  it('prunes what is expired, oldest first, and says how many', () => {
    const { clock, map, evicted } = setUp({ maxEntries: 5, ttlMs: 100 })
    map.set('a', 1).set('b', 2)
    map.get('a')
    clock.advance(60)
    map.set('c', 3)
    clock.advance(40)
    expect([map.size, map.prune(), map.prune(), map.size]).toEqual([1, 2, 0, 1])
    expect(evicted).toEqual([
      ['a', 1, 'expired'],
      ['b', 2, 'expired'],
    ])
  })

  it('counts its size right while entries expire, are set again and deleted between two looks', () => {
    const { clock, map } = setUp({ maxEntries: 10, ttlMs: 100 })
    for (const key of ['a', 'b', 'c']) map.set(key, 1)
    clock.advance(100)
    expect(map.size).toBe(0)
    map.set('b', 2).set('d', 3)
    expect(map.size).toBe(2)
    map.delete('a')
    expect([map.size, map.prune(), map.size]).toEqual([2, 1, 2])
    clock.advance(100)
    expect([map.size, map.prune(), map.size]).toEqual([0, 2, 0])
    expect(map.set('e', 4).size).toBe(1)
  })
})

describe('BoundedMap: onEvict', () => {
  it('is guarded: what it throws or rejects with is reported, the map goes on', async () => {
    const logger = new MemoryLogger()
    const failures: (() => unknown)[] = [
      () => {
        throw new Error('broke')
      },
      () => Promise.reject(new Error('broke later')),
    ]
    const map = new BoundedMap<string, number>({
      maxEntries: 1,
      logger,
      clock: new VirtualClock(),
      onEvict: () => failures.shift()?.(),
    })
    map.set('a', 1).set('b', 2).set('c', 3)
    await settle()
    expect([...map]).toEqual([['c', 3]])
    expect(map.snapshot().evicted.capacity).toBe(2)
    expect(logger.at('error').map(({ fields }) => (fields?.err as Error).message)).toEqual(['broke', 'broke later'])
  })

  it('sees the map when the eviction is done, and may use it', () => {
    const clock = new VirtualClock()
    const sizes: number[] = []
    const map: BoundedMap<string, number> = new BoundedMap({
      maxEntries: 2,
      ttlMs: 100,
      clock,
      onEvict: (key, value) => {
        sizes.push(map.size)
        if (value < 3) map.set(`again ${key}`, value + 1)
      },
    })
    map.set('a', 1).set('b', 2).set('c', 3)
    expect(sizes.every((size) => size <= 2)).toBe(true)
    expect(map.size).toBe(2)
    clock.advance(100)
    map.prune()
    expect(map.size).toBeLessThanOrEqual(2)
  })

  it('may clear the map during prune', () => {
    const clock = new VirtualClock()
    const map: BoundedMap<string, number> = new BoundedMap({
      maxEntries: 5,
      ttlMs: 100,
      clock,
      onEvict: () => map.clear(),
    })
    map.set('a', 1).set('b', 2)
    clock.advance(100)
    expect([map.prune(), map.size, map.snapshot().evicted.expired]).toEqual([1, 0, 1])
  })
})

describe('BoundedMap: bad input', () => {
  it.each([
    {},
    { maxEntries: 0 },
    { maxEntries: 1.5 },
    { maxEntries: Infinity },
    { maxEntries: 1, ttlMs: 0 },
    { maxEntries: 1, ttlMs: Number.NaN },
    { maxEntries: 1, refreshOnGet: 1 },
    { maxEntries: 1, onEvict: 5 },
    { maxEntries: 1, ttl: 5 },
  ])('refuses the options %o', (options) => {
    expect(() => new BoundedMap(options as { maxEntries: number })).toThrow(ConfigError)
  })
})

interface Entry {
  key: string
  value: number
  setAt: number
}

/** The same with one array in order of recency, looked through from end to end each time. */
class Oracle {
  entries: Entry[] = []
  now = 0
  readonly evicted: [string, number, EvictionReason][] = []
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  get live(): Entry[] {
    return this.entries.filter((entry) => !this.#isExpired(entry))
  }

  get(key: string): number | undefined {
    const entry = this.#find(key)
    if (entry === undefined) return undefined
    if (this.#options.refreshOnGet) entry.setAt = this.now
    this.entries = [...this.entries.filter((each) => each !== entry), entry]
    return entry.value
  }

  set(key: string, value: number): void {
    this.#find(key)
    this.entries = this.entries.filter((entry) => entry.key !== key)
    if (this.entries.length === this.#options.maxEntries) {
      const [oldest] = this.entries.filter((entry) => this.#isExpired(entry)).sort((a, b) => a.setAt - b.setAt)
      if (oldest === undefined) this.#evict(this.entries[0] as Entry, 'capacity')
      else this.#evict(oldest, 'expired')
    }
    this.entries.push({ key, value, setAt: this.now })
  }

  delete(key: string): boolean {
    const entry = this.#find(key)
    this.entries = this.entries.filter((each) => each !== entry)
    return entry !== undefined
  }

  prune(): number {
    const expired = this.entries.filter((entry) => this.#isExpired(entry))
    for (const entry of expired.sort((a, b) => a.setAt - b.setAt)) this.#evict(entry, 'expired')
    return expired.length
  }

  /** The entry if it lives; if it is expired, it is evicted. */
  #find(key: string): Entry | undefined {
    const entry = this.entries.find((each) => each.key === key)
    if (entry === undefined || !this.#isExpired(entry)) return entry
    this.#evict(entry, 'expired')
    return undefined
  }

  #isExpired(entry: Entry): boolean {
    return this.#options.ttlMs !== undefined && this.now - entry.setAt >= this.#options.ttlMs
  }

  #evict(entry: Entry, reason: EvictionReason): void {
    this.entries = this.entries.filter((each) => each !== entry)
    this.evicted.push([entry.key, entry.value, reason])
  }
}

describe('BoundedMap: laws (CORE-27)', () => {
  const options = fc.record({
    maxEntries: fc.integer({ min: 1, max: 40 }),
    ttlMs: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
    refreshOnGet: fc.boolean(),
  })
  const key = fc.nat(50).map(String)
  const steps = fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.record({ kind: fc.constant('set'), key }) },
      { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('get', 'peek', 'has', 'delete'), key }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('advance', 'size'), key }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('prune', 'iterate'), key }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('clear'), key }) },
    ),
    { maxLength: 250, size: 'max' },
  )

  it('does what an array does that is looked through each time', () => {
    fc.assert(
      fc.property(options, steps, ({ ttlMs, ...rest }, plan) => {
        const chosen: Options = ttlMs === undefined ? rest : { ...rest, ttlMs }
        const { clock, map, evicted } = setUp(chosen)
        const oracle = new Oracle(chosen)
        // Two sets of the same instant are of the same age; the oracle breaks the tie as the map does.
        const tick = () => {
          clock.advance(0.25)
          oracle.now += 0.25
        }
        for (const [value, step] of plan.entries()) {
          tick()
          const expected = oracle.entries.find((entry) => entry.key === step.key)
          const lives = expected !== undefined && oracle.live.includes(expected)
          switch (step.kind) {
            case 'set':
              oracle.set(step.key, value)
              map.set(step.key, value)
              break
            case 'get':
              expect(map.get(step.key)).toBe(oracle.get(step.key))
              break
            case 'peek':
              expect(map.peek(step.key)).toBe(lives ? expected.value : undefined)
              break
            case 'has':
              expect(map.has(step.key)).toBe(lives)
              break
            case 'delete':
              expect(map.delete(step.key)).toBe(oracle.delete(step.key))
              break
            case 'advance':
              clock.advance(Number(step.key))
              oracle.now += Number(step.key)
              break
            case 'size':
              expect(map.size).toBe(oracle.live.length)
              break
            case 'prune':
              expect(map.prune()).toBe(oracle.prune())
              break
            case 'iterate':
              expect([...map]).toEqual(oracle.live.map((entry) => [entry.key, entry.value]))
              break
            default:
              map.clear()
              oracle.entries = []
          }
          expect(evicted).toEqual(oracle.evicted)
        }
        const capacity = evicted.filter(([, , reason]) => reason === 'capacity').length
        expect(map.snapshot()).toEqual({
          size: oracle.live.length,
          maxEntries: chosen.maxEntries,
          evicted: { capacity, expired: evicted.length - capacity },
        })
      }),
      { numRuns: 300 },
    )
  })
})
