import { getEventListeners } from 'node:events'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError, LimitError, TimeoutError } from '../src/errors.js'
import { Semaphore } from '../src/semaphore.js'
import { VirtualClock } from '../src/testing/index.js'
import type { Release } from '../src/wait.js'
import { failure, follow, settle } from './outcomes.js'

function setUp(permits: number, maxWaiters?: number) {
  const clock = new VirtualClock()
  const semaphore = new Semaphore(permits, maxWaiters === undefined ? { clock } : { clock, maxWaiters })
  const counts = () => [semaphore.permits, semaphore.available, semaphore.inUse, semaphore.waiting]
  return { clock, semaphore, counts }
}

describe('Semaphore (CORE-24)', () => {
  it('lets as many run as there are permits, the others in order of arrival', async () => {
    const { clock, semaphore } = setUp(2)
    const steps: string[] = []
    const section = (name: string) => async () => {
      steps.push(`${name}@${clock.now()}`)
      await clock.sleep(10)
    }
    await clock.run(Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => semaphore.run(section(name)))))
    expect(steps).toEqual(['a@0', 'b@0', 'c@10', 'd@10', 'e@20'])
  })

  it('shows what is available, in use and waiting', async () => {
    const { semaphore, counts } = setUp(2)
    expect(counts()).toEqual([2, 2, 0, 0])
    const first = await semaphore.acquire()
    const second = semaphore.tryAcquire()
    const third = semaphore.acquire()
    expect(counts()).toEqual([2, 0, 2, 1])
    first()
    expect(counts()).toEqual([2, 0, 2, 0])
    second?.()
    ;(await third)()
    expect(counts()).toEqual([2, 2, 0, 0])
  })

  it('begins a section within the call if a permit is free, and gives its result or error', async () => {
    const { semaphore, counts } = setUp(1)
    let ran = false
    const result = semaphore.run(() => (ran = true))
    expect(ran).toBe(true)
    expect(await result).toBe(true)
    const broken = () => {
      throw new Error('broke')
    }
    const release = semaphore.tryAcquire()
    const waited = failure(semaphore.run(broken))
    release?.()
    expect(await waited).toEqual(new Error('broke'))
    expect(await failure(semaphore.run(broken))).toEqual(new Error('broke'))
    expect(await failure(semaphore.run(async () => broken()))).toEqual(new Error('broke'))
    expect(counts()).toEqual([1, 1, 0, 0])
  })

  it('takes a second call of a release for nothing', async () => {
    const { semaphore, counts } = setUp(2)
    const release = await semaphore.acquire()
    semaphore.tryAcquire()
    release()
    release()
    release[Symbol.dispose]()
    expect(counts()).toEqual([2, 1, 1, 0])
  })

  it('does not let tryAcquire or a newcomer overtake who waits', async () => {
    const { semaphore } = setUp(1)
    const release = semaphore.tryAcquire()
    const order: string[] = []
    const waiting = semaphore.run(() => void order.push('waiter'))
    release?.()
    expect(semaphore.tryAcquire()).toBeNull()
    const newcomer = semaphore.run(() => void order.push('newcomer'))
    await Promise.all([waiting, newcomer])
    expect(order).toEqual(['waiter', 'newcomer'])
  })

  it('keeps the permit when a waiter leaves, in the turn of its hand-over too', async () => {
    const { clock, semaphore, counts } = setUp(1)
    for (const releaseFirst of [true, false]) {
      const release = semaphore.tryAcquire()
      const controller = new AbortController()
      const byRun = follow(semaphore.run(() => 'ran', { signal: controller.signal }))
      const behind = follow(semaphore.run(() => 'behind', { timeoutMs: 10 }))
      if (releaseFirst) release?.()
      controller.abort()
      release?.()
      await settle()
      expect([byRun.now.status, behind.now.status]).toEqual(['failed', 'done'])
      expect(counts()).toEqual([1, 1, 0, 0])
      expect([clock.pendingTimers, getEventListeners(controller.signal, 'abort').length]).toEqual([0, 0])
    }
  })

  it('times out with a TimeoutError', async () => {
    const { clock, semaphore, counts } = setUp(1)
    const release = semaphore.tryAcquire()
    const late = follow(semaphore.acquire({ timeoutMs: 10 }))
    await clock.advanceAsync(9)
    expect(late.now.status).toBe('waiting')
    await clock.advanceAsync(1)
    expect(late.now).toMatchObject({ status: 'failed', error: { code: 'TIMEOUT' } })
    release?.()
    expect(counts()).toEqual([1, 1, 0, 0])
  })

  it('rejects the waiter beyond maxWaiters with a LimitError', async () => {
    const { semaphore } = setUp(1, 1)
    const release = semaphore.tryAcquire()
    const within = semaphore.run(() => 1)
    expect(await failure(semaphore.run(() => 2))).toBeInstanceOf(LimitError)
    expect(await failure(semaphore.acquire())).toBeInstanceOf(LimitError)
    release?.()
    expect(await within).toBe(1)
  })

  it('lets a hundred wait on one signal without a warning of a leak', async () => {
    const { semaphore } = setUp(0)
    const warnings: Error[] = []
    const note = (warning: Error) => void warnings.push(warning)
    process.on('warning', note)
    const controller = new AbortController()
    const waiting = Array.from({ length: 100 }, () => failure(semaphore.acquire({ signal: controller.signal })))
    await settle()
    controller.abort()
    await Promise.all(waiting)
    process.off('warning', note)
    expect(warnings).toEqual([])
  })
})

describe('Semaphore.resize', () => {
  it('to more permits serves who waits, in order, within the call', async () => {
    const { semaphore, counts } = setUp(0)
    const waiting = [1, 2, 3].map(() => follow(semaphore.acquire()))
    expect(counts()).toEqual([0, 0, 0, 3])
    semaphore.resize(2)
    expect(counts()).toEqual([2, 0, 2, 1])
    await settle()
    expect(waiting.map(({ now }) => now.status)).toEqual(['done', 'done', 'waiting'])
  })

  it('to fewer lets holders keep theirs, and new ones wait until enough are back', async () => {
    const { semaphore, counts } = setUp(3)
    const held = [semaphore.tryAcquire(), semaphore.tryAcquire(), semaphore.tryAcquire()] as Release[]
    semaphore.resize(1)
    expect(counts()).toEqual([1, 0, 3, 0])
    const waiting = follow(semaphore.acquire())
    held[0]?.()
    held[1]?.()
    expect(counts()).toEqual([1, 0, 1, 1])
    expect(semaphore.tryAcquire()).toBeNull()
    held[2]?.()
    await settle()
    expect(waiting.now.status).toBe('done')
    expect(counts()).toEqual([1, 0, 1, 0])
  })

  it.each([-1, 1.5, Number.NaN, Infinity, '3'])('refuses %s and changes nothing', (bad) => {
    const { semaphore, counts } = setUp(2)
    expect(() => semaphore.resize(bad as number)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(counts()).toEqual([2, 2, 0, 0])
  })
})

describe('Semaphore: bad input', () => {
  it.each([-1, 1.5, Number.NaN, Infinity, '3', undefined])('refuses %s permits', (bad) => {
    expect(() => new Semaphore(bad as number)).toThrow(ConfigError)
  })

  it.each([{ maxWaiters: -1 }, { clock: 5 }, { maxWaitersPerKey: 5 }])('refuses the options %o', (options) => {
    expect(() => new Semaphore(1, options as object)).toThrow(ConfigError)
  })

  it('rejects bad arguments of calls and takes no permit', async () => {
    const { semaphore, counts } = setUp(1)
    const bad = { timeoutMs: Number.NaN }
    const calls = [semaphore.run(() => 1, bad), semaphore.acquire(bad), semaphore.run(null as unknown as () => 1)]
    for (const error of await Promise.all(calls.map(failure))) {
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    expect(counts()).toEqual([1, 1, 0, 0])
  })
})

describe('Semaphore: laws (CORE-24)', () => {
  const call = fc.record({
    kind: fc.constant('call' as const),
    atMs: fc.nat(20),
    holdMs: fc.nat(8),
    timeoutMs: fc.option(fc.nat(15), { nil: undefined }),
    abortMs: fc.option(fc.nat(30), { nil: undefined }),
    how: fc.constantFrom('run', 'acquire', 'try'),
  })
  const resize = fc.record({ kind: fc.constant('resize' as const), atMs: fc.nat(20), permits: fc.nat(4) })
  const steps = fc.array(fc.oneof({ weight: 8, arbitrary: call }, { weight: 1, arbitrary: resize }), { maxLength: 30 })

  it('conserves permits, keeps the order and idles none, under random holds, limits, aborts and resizes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3 }), steps, async (permits, plan) => {
        const { clock, semaphore } = setUp(permits)
        const signals: AbortSignal[] = []
        const order: number[] = []
        let inside = 0
        let arrivals = 0
        const check = () => {
          expect(semaphore.inUse).toBeGreaterThanOrEqual(inside)
          expect(semaphore.available).toBe(Math.max(0, semaphore.permits - semaphore.inUse))
          if (semaphore.waiting > 0) expect(semaphore.available).toBe(0)
        }
        const section = async (arrival: number, holdMs: number, mayBeAbove: boolean) => {
          inside++
          if (!mayBeAbove) expect(inside).toBeLessThanOrEqual(semaphore.permits)
          order.push(arrival)
          check()
          if (holdMs > 0) await clock.sleep(holdMs)
          inside--
        }
        const resized = plan.some(({ kind }) => kind === 'resize')
        const start = async (each: Extract<(typeof plan)[number], { kind: 'call' }>) => {
          const arrival = arrivals++
          const { atMs, holdMs, timeoutMs, abortMs, how } = each
          const controller = new AbortController()
          signals.push(controller.signal)
          if (abortMs !== undefined) clock.setTimer(Math.max(0, abortMs - atMs), () => controller.abort('left'))
          const options = { signal: controller.signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) }
          try {
            if (how === 'run') await semaphore.run(() => section(arrival, holdMs, resized), options)
            else {
              const release = how === 'try' ? semaphore.tryAcquire() : await semaphore.acquire(options)
              if (release !== null) await section(arrival, holdMs, resized).finally(release)
            }
          } catch (error) {
            if (error !== 'left' && !(error instanceof TimeoutError)) throw error
          }
          check()
        }
        const running: Promise<void>[] = []
        for (const each of plan) {
          clock.setTimer(each.atMs, () => {
            if (each.kind === 'call') running.push(start(each))
            else semaphore.resize(each.permits)
            check()
          })
        }
        await clock.advanceAsync(500)
        semaphore.resize(5)
        await clock.advanceAsync(500)
        await Promise.all(running)

        expect(order).toEqual([...order].sort((x, y) => x - y))
        expect([semaphore.available, semaphore.inUse, semaphore.waiting, clock.pendingTimers]).toEqual([5, 0, 0, 0])
        for (const signal of signals) expect(getEventListeners(signal, 'abort')).toHaveLength(0)
      }),
      { numRuns: 100 },
    )
  })
})
