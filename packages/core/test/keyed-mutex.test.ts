import { AsyncLocalStorage } from 'node:async_hooks'
import { getEventListeners } from 'node:events'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError, LimitError, TimeoutError } from '../src/errors.js'
import { KeyedMutex } from '../src/keyed-mutex.js'
import { VirtualClock } from '../src/testing/index.js'
import { failure, follow, settle } from './outcomes.js'

function setUp(maxWaitersPerKey?: number) {
  const clock = new VirtualClock()
  const mutex = new KeyedMutex(maxWaitersPerKey === undefined ? { clock } : { clock, maxWaitersPerKey })
  return { clock, mutex }
}

describe('KeyedMutex (CORE-24)', () => {
  it('runs sections of one key one after the other, in order of arrival', async () => {
    const { clock, mutex } = setUp()
    const steps: string[] = []
    const section = (name: string) => async () => {
      steps.push(`${name} in`)
      await clock.sleep(10)
      steps.push(`${name} out`)
      return name
    }
    const all = Promise.all(['a', 'b', 'c'].map((name) => mutex.run('key', section(name))))
    expect(await clock.run(all)).toEqual(['a', 'b', 'c'])
    expect(steps).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out'])
  })

  it('lets different keys run side by side', async () => {
    const { clock, mutex } = setUp()
    await clock.run(Promise.all(['a', 'b'].map((key) => mutex.run(key, () => clock.sleep(10)))))
    expect(clock.now()).toBe(10)
  })

  it('begins a section within the call if the key is free, and ends a synchronous one there too', async () => {
    const { mutex } = setUp()
    let ran = false
    const result = mutex.run('key', () => {
      expect(mutex.isLocked('key')).toBe(true)
      ran = true
      return 5
    })
    expect(ran).toBe(true)
    expect(mutex.isLocked('key')).toBe(false)
    expect(await result).toBe(5)
  })

  it('never begins a section within the call that ended the one before', async () => {
    const { mutex } = setUp()
    const release = mutex.tryAcquire('key')
    let ran = false
    const next = mutex.run('key', () => {
      ran = true
    })
    release?.()
    expect(ran).toBe(false)
    await next
    expect(ran).toBe(true)
  })

  it('runs a section that had to wait in the async context of its caller, not of whoever released', async () => {
    const { mutex } = setUp()
    const caller = new AsyncLocalStorage<string>()
    const seen = () => mutex.run('key', () => caller.getStore())
    const release = caller.run('first', () => mutex.tryAcquire('key'))
    const calls = ['second', 'third'].map((name) => caller.run(name, seen))
    caller.run('first', () => release?.())
    expect(await Promise.all(calls)).toEqual(['second', 'third'])
  })

  it.each([
    ['throws', () => Promise.reject(new Error('broke'))],
    [
      'throws synchronously',
      () => {
        throw new Error('broke')
      },
    ],
  ])('releases when a section %s, whether it had to wait or not', async (_, section) => {
    const { mutex } = setUp()
    const first = failure(mutex.run<void>('key', section))
    const second = failure(mutex.run<void>('key', section))
    expect(await first).toEqual(new Error('broke'))
    expect(await second).toEqual(new Error('broke'))
    expect(mutex.size).toBe(0)
  })

  it('forgets a key when its last holder leaves: size is 0 after 2,000 sections (1.1.3)', async () => {
    const { clock, mutex } = setUp()
    const sections = Array.from({ length: 2_000 }, (_, index) =>
      mutex.run(`key ${index % 500}`, () => clock.sleep(index % 3)),
    )
    expect(mutex.size).toBe(500)
    await clock.run(Promise.all(sections))
    expect(mutex.size).toBe(0)
  })

  it('has one lock for a key however many ask in the same turn (1.2.1)', async () => {
    const { mutex } = setUp()
    let inside = 0
    let most = 0
    const section = async () => {
      most = Math.max(most, ++inside)
      await Promise.resolve()
      inside--
    }
    await Promise.all(Array.from({ length: 100 }, () => Promise.resolve().then(() => mutex.run('key', section))))
    expect(most).toBe(1)
  })

  it('takes any key that a Map takes', async () => {
    const mutex = new KeyedMutex<unknown>()
    const [a, b] = [{}, {}]
    const release = mutex.tryAcquire(a)
    expect([mutex.isLocked(a), mutex.isLocked(b), mutex.isLocked(Number.NaN)]).toEqual([true, false, false])
    for (const key of [a, Symbol('s'), Object.create(null), undefined]) {
      mutex.tryAcquire(key)
      expect(await failure(mutex.acquire(key, { timeoutMs: 0 }))).toBeInstanceOf(TimeoutError)
    }
    release?.()
  })

  it('does not let tryAcquire overtake: the key goes from hand to hand', async () => {
    const { mutex } = setUp()
    const release = await mutex.acquire('key')
    expect(mutex.tryAcquire('key')).toBeNull()
    const waiting = mutex.acquire('key')
    release()
    expect(mutex.tryAcquire('key')).toBeNull()
    const second = await waiting
    second()
    expect(mutex.tryAcquire('key')).not.toBeNull()
  })

  it('takes a second call of a release for nothing, even when another holds the key by then', async () => {
    const { mutex } = setUp()
    const first = await mutex.acquire('key')
    const waiting = mutex.acquire('key')
    first()
    first()
    const second = await waiting
    first()
    expect(mutex.isLocked('key')).toBe(true)
    second()
    expect(mutex.isLocked('key')).toBe(false)
  })

  it('releases at the end of a using block', async () => {
    const { mutex } = setUp()
    {
      using _held = await mutex.acquire('key')
      expect(mutex.isLocked('key')).toBe(true)
    }
    expect(mutex.isLocked('key')).toBe(false)
  })

  it('is not re-entrant: a section that needs its own key waits until its time limit', async () => {
    const { clock, mutex } = setUp()
    const inner = () => mutex.run('key', () => 'never', { timeoutMs: 50 })
    const error = await clock.run(failure(mutex.run('key', inner)))
    expect(error).toBeInstanceOf(TimeoutError)
    expect((error as Error).message).toContain('"key"')
    expect([clock.now(), mutex.size]).toEqual([50, 0])
  })
})

describe('KeyedMutex: waiters that leave (CORE-2, CORE-24)', () => {
  it('rejects with a TimeoutError at the limit, does not run the section, and serves those behind', async () => {
    const { clock, mutex } = setUp()
    const release = mutex.tryAcquire('key')
    let ran = false
    const late = follow(mutex.run('key', () => (ran = true), { timeoutMs: 10 }))
    const patient = follow(mutex.run('key', () => 'served', { timeoutMs: 20 }))
    await clock.advanceAsync(10)
    expect(late.now).toMatchObject({ status: 'failed', error: { code: 'TIMEOUT', timeoutMs: 10 } })
    release?.()
    await settle()
    expect(patient.now).toEqual({ status: 'done', value: 'served' })
    expect(ran).toBe(false)
    expect([clock.pendingTimers, mutex.size]).toEqual([0, 0])
  })

  it('rejects with the very reason of an abort, and leaves neither timer nor listener', async () => {
    const { clock, mutex } = setUp()
    const release = mutex.tryAcquire('key')
    const controller = new AbortController()
    const { signal } = controller
    const calls = [mutex.acquire('key', { signal, timeoutMs: 10 }), mutex.run('key', () => 1, { signal })]
    const errors = calls.map(failure)
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    const reason = { not: 'an error' }
    controller.abort(reason)
    for (const error of await Promise.all(errors)) expect(error).toBe(reason)
    expect([clock.pendingTimers, getEventListeners(signal, 'abort').length]).toEqual([0, 0])
    release?.()
    expect(mutex.size).toBe(0)
  })

  it('leaves neither timer nor listener when it is served', async () => {
    const { clock, mutex } = setUp()
    const { signal } = new AbortController()
    const release = await mutex.acquire('key', { signal, timeoutMs: 10 })
    expect([clock.pendingTimers, getEventListeners(signal, 'abort').length]).toEqual([0, 0])
    const waiting = mutex.acquire('key', { signal, timeoutMs: 10 })
    expect([clock.pendingTimers, getEventListeners(signal, 'abort').length]).toEqual([1, 1])
    release()
    expect([clock.pendingTimers, getEventListeners(signal, 'abort').length]).toEqual([0, 0])
    ;(await waiting)()
  })

  it('rejects at once if the signal has aborted, even when the key is free', async () => {
    const { mutex } = setUp()
    const reason = new Error('too late')
    const signal = AbortSignal.abort(reason)
    expect(await failure(mutex.run('key', () => 1, { signal }))).toBe(reason)
    expect(await failure(mutex.acquire('key', { signal }))).toBe(reason)
    expect(mutex.size).toBe(0)
  })

  it('runs no section whose signal aborts in the turn of the hand-over, and passes the key on', async () => {
    const { mutex } = setUp()
    const release = mutex.tryAcquire('key')
    const controller = new AbortController()
    const reason = new Error('gone')
    let ran = false
    const leaving = failure(mutex.run('key', () => (ran = true), { signal: controller.signal }))
    const behind = mutex.run('key', () => 'served')
    release?.()
    controller.abort(reason)
    expect(await leaving).toBe(reason)
    expect(await behind).toBe('served')
    expect([ran, mutex.size]).toEqual([false, 0])
  })

  it.each(['release first', 'leave first'])('gives the lock or the error, never both: %s', async (order) => {
    const { clock, mutex } = setUp()
    const release = mutex.tryAcquire('key')
    const controller = new AbortController()
    const byAbort = follow(mutex.acquire('key', { signal: controller.signal }))
    if (order === 'release first') release?.()
    controller.abort()
    release?.()
    await settle()
    expect(byAbort.now.status).toBe(order === 'release first' ? 'done' : 'failed')
    if (byAbort.now.status === 'done') byAbort.now.value()
    expect(mutex.size).toBe(0)

    const again = mutex.tryAcquire('key')
    const atTen = () => clock.setTimer(10, () => again?.())
    if (order === 'release first') atTen()
    const byTime = follow(mutex.acquire('key', { timeoutMs: 10 }))
    if (order === 'leave first') atTen()
    await clock.advanceAsync(10)
    expect(byTime.now.status).toBe(order === 'release first' ? 'done' : 'failed')
    if (byTime.now.status === 'done') byTime.now.value()
    expect([mutex.size, clock.pendingTimers]).toEqual([0, 0])
  })

  it.each([0, -5])('with a limit of %s ms takes a free key, and does not wait for a held one', async (timeoutMs) => {
    const { clock, mutex } = setUp()
    const release = await mutex.acquire('key', { timeoutMs })
    expect(await failure(mutex.acquire('key', { timeoutMs }))).toBeInstanceOf(TimeoutError)
    expect(clock.pendingTimers).toBe(0)
    release()
  })

  it('with a limit of Infinity waits without a timer', async () => {
    const { clock, mutex } = setUp()
    const release = mutex.tryAcquire('key')
    const waiting = mutex.run('key', () => 1, { timeoutMs: Infinity })
    expect(clock.pendingTimers).toBe(0)
    release?.()
    expect(await waiting).toBe(1)
  })

  it('rejects the waiter beyond maxWaitersPerKey with a LimitError, and no other', async () => {
    const { mutex } = setUp(2)
    const release = mutex.tryAcquire('key')
    const within = Promise.all([mutex.run('key', () => 1), mutex.run('key', () => 2)])
    const beyond = [mutex.run('key', () => 3), mutex.acquire('key')].map(failure)
    for (const error of await Promise.all(beyond)) {
      expect(error).toBeInstanceOf(LimitError)
      expect(error).toMatchObject({ limit: 2 })
    }
    expect(await mutex.run('other', () => 4)).toBe(4)
    release?.()
    expect(await within).toEqual([1, 2])
    expect(mutex.size).toBe(0)
  })
})

describe('KeyedMutex: bad input', () => {
  it.each([
    { timeoutMs: Number.NaN },
    { timeoutMs: '5' as unknown as number },
    { signal: {} as AbortSignal },
    { signal: null as unknown as AbortSignal },
  ])('rejects %o as an invalid argument and holds nothing', async (options) => {
    const { mutex } = setUp()
    const calls = [mutex.run('key', () => 1, options), mutex.acquire('key', options)].map(failure)
    for (const error of await Promise.all(calls)) expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(mutex.size).toBe(0)
  })

  it('rejects a section that is no function', async () => {
    const { mutex } = setUp()
    const error = await failure(mutex.run('key', 5 as unknown as () => number))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(mutex.size).toBe(0)
  })

  it.each([{ maxWaitersPerKey: -1 }, { maxWaitersPerKey: 1.5 }, { clock: {} }, { maxWaiters: 5 }])(
    'refuses the options %o',
    (options) => {
      expect(() => new KeyedMutex(options as object)).toThrow(ConfigError)
    },
  )
})

describe('KeyedMutex: laws (CORE-24)', () => {
  const call = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    arriveMs: fc.nat(20),
    holdMs: fc.nat(8),
    timeoutMs: fc.option(fc.nat(15), { nil: undefined }),
    abortMs: fc.option(fc.nat(30), { nil: undefined }),
    how: fc.constantFrom('run', 'run and throw', 'acquire'),
  })

  it('excludes, keeps the order of arrival and forgets every key, under random holds, time limits and aborts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(call, { maxLength: 25 }), async (calls) => {
        const { clock, mutex } = setUp()
        const inside = new Map<string, number>()
        const served: { key: string; arrival: number }[] = []
        const signals: AbortSignal[] = []
        let arrivals = 0
        let served1 = 0
        let failed = 0

        const section = async (key: string, arrival: number, holdMs: number) => {
          expect(inside.get(key)).toBeUndefined()
          inside.set(key, arrival)
          served.push({ key, arrival })
          if (holdMs > 0) await clock.sleep(holdMs)
          inside.delete(key)
        }
        const start = async ({ key, holdMs, timeoutMs, abortMs, arriveMs, how }: (typeof calls)[number]) => {
          const arrival = arrivals++
          const controller = new AbortController()
          signals.push(controller.signal)
          if (abortMs !== undefined) clock.setTimer(Math.max(0, abortMs - arriveMs), () => controller.abort('left'))
          const options = { signal: controller.signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) }
          try {
            if (how === 'acquire') {
              const release = await mutex.acquire(key, options)
              await section(key, arrival, holdMs).finally(release)
            } else {
              await mutex.run(
                key,
                async () => {
                  await section(key, arrival, holdMs)
                  if (how === 'run and throw') throw new Error('of the section')
                },
                options,
              )
            }
            served1++
          } catch (error) {
            if (error instanceof Error && error.message === 'of the section') served1++
            else if (error === 'left' || error instanceof TimeoutError) failed++
            else throw error
          }
        }
        const running: Promise<void>[] = []
        for (const each of calls) clock.setTimer(each.arriveMs, () => void running.push(start(each)))
        await clock.advanceAsync(1_000)
        await Promise.all(running)

        expect(served1).toBe(served.length)
        expect(served1 + failed).toBe(calls.length)
        for (const key of ['a', 'b', 'c']) {
          const order = served.filter((each) => each.key === key).map(({ arrival }) => arrival)
          expect(order).toEqual([...order].sort((x, y) => x - y))
        }
        expect([mutex.size, clock.pendingTimers]).toEqual([0, 0])
        for (const signal of signals) expect(getEventListeners(signal, 'abort')).toHaveLength(0)
      }),
      { numRuns: 100 },
    )
  })
})
