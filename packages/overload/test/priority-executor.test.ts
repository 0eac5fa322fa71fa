import { getEventListeners } from 'node:events'
import { HsError, messagePriorities, TimeoutError, TransportError } from '@hs/core'
import { MemoryLogger, VirtualClock } from '@hs/core/testing'
import {
  AdmissionError,
  PriorityExecutor,
  type ConcurrencyLimit,
  type ExecutorCall,
  type MessagePriority,
  type PriorityExecutorOptions,
  type WorkPermit,
} from '@hs/overload'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
const misconfigured = (...paths: string[]): unknown =>
  expect.objectContaining({
    code: 'CONFIG_INVALID',
    issues: paths.map((path) => expect.objectContaining({ path }) as unknown),
  })

function make(options: PriorityExecutorOptions = {}) {
  const clock = new VirtualClock()
  return { clock, executor: new PriorityExecutor({ clock, ...options }) }
}

/** As many as it gives now. */
function fill(executor: PriorityExecutor, priority: MessagePriority): WorkPermit[] {
  const permits: WorkPermit[] = []
  for (let permit = executor.tryAcquire(priority); permit !== null; permit = executor.tryAcquire(priority)) {
    permits.push(permit)
  }
  return permits
}

/** Writes down what a promise comes to. */
function log(name: string, promise: Promise<unknown>, lines: string[]): void {
  promise.then(
    () => lines.push(name),
    (error: unknown) => lines.push(`${name} ${HsError.is(error) ? error.code : String(error)}`),
  )
}

const none = { critical: 0, high: 0, normal: 0, low: 0 }

describe('Admission by occupancy (OVER-14)', () => {
  it('has 1,000 slots by default: half of them for low, four fifths for normal, 64 beyond for critical', () => {
    const { executor } = make()
    expect(executor.limit).toBe(1_000)
    expect(fill(executor, 'low')).toHaveLength(500)
    expect(fill(executor, 'normal')).toHaveLength(300)
    expect(fill(executor, 'high')).toHaveLength(200)
    expect(fill(executor, 'critical')).toHaveLength(64)
    expect(executor.snapshot()).toEqual({
      limit: 1_000,
      inFlight: 1_064,
      running: { critical: 64, high: 200, normal: 300, low: 500 },
      queued: none,
      admitted: { critical: 64, high: 200, normal: 300, low: 500 },
      refused: { critical: 1, high: 1, normal: 1, low: 1 },
      timedOut: 0,
      displaced: 0,
    })
    expect(Object.isFrozen(executor.snapshot().running)).toBe(true)
  })

  it('lets idle slots serve anyone', () => {
    const { executor } = make({ limit: 10, criticalReserve: 2 })
    expect(fill(executor, 'high')).toHaveLength(10)
    expect([executor.tryAcquire('normal'), executor.tryAcquire('low')]).toEqual([null, null])
    const other = make({ limit: 10, criticalReserve: 2 }).executor
    expect(fill(other, 'critical')).toHaveLength(12)
  })

  it('counts what is in flight, whatever its priority', () => {
    const { executor } = make({ limit: 10, shares: { normal: 0.6, low: 0.3 }, criticalReserve: 0 })
    const permits = fill(executor, 'critical')
    expect(permits).toHaveLength(10)
    const refused = () => messagePriorities.filter((priority) => !probe(executor, priority))
    for (const [given, expected] of [
      [0, ['critical', 'high', 'normal', 'low']],
      [1, ['normal', 'low']],
      [4, ['normal', 'low']],
      [5, ['low']],
      [7, ['low']],
      [8, []],
    ] as const) {
      while (executor.snapshot().inFlight > 10 - given) permits.pop()?.success()
      expect([given, refused()]).toEqual([given, [...expected]])
    }
  })

  /** Whether it would be admitted. */
  function probe(executor: PriorityExecutor, priority: MessagePriority): boolean {
    const permit = executor.tryAcquire(priority)
    permit?.release()
    return permit !== null
  }

  it('gives every priority one slot at least', () => {
    for (const priority of ['high', 'normal', 'low'] as const) {
      expect(fill(make({ limit: 1, criticalReserve: 0 }).executor, priority)).toHaveLength(1)
    }
    expect(fill(make({ limit: 3, shares: { low: 0.01 } }).executor, 'low')).toHaveLength(1)
  })

  it('delays no critical call by a flood of others while at most criticalReserve of them run', () => {
    const { executor } = make({ limit: 20, criticalReserve: 5, maxQueue: 1_000 })
    for (let i = 0; i < 500; i++) {
      executor.acquire(messagePriorities[1 + (i % 3)]!).catch((error: unknown) => expect(error).toBeUndefined())
    }
    const held: WorkPermit[] = []
    for (let i = 0; i < 1_000; i++) {
      if (held.length === 5) held.shift()?.success()
      const permit = executor.tryAcquire('critical')
      expect(permit).not.toBeNull()
      held.push(permit!)
    }
  })
})

describe('Waiting for a slot (OVER-15)', () => {
  it('serves higher priorities first, and in order of arrival within one', async () => {
    const { executor } = make({ limit: 1, criticalReserve: 0 })
    const first = executor.tryAcquire('low')
    const served: string[] = []
    const names = ['low 1', 'normal 1', 'high 1', 'low 2', 'critical 1', 'normal 2', 'high 2', 'critical 2']
    const all = names.map(async (name) => {
      const permit = await executor.acquire(name.split(' ')[0] as MessagePriority)
      served.push(name)
      permit.success()
    })
    expect(executor.snapshot().queued).toEqual({ critical: 2, high: 2, normal: 2, low: 2 })
    first?.success()
    await Promise.all(all)
    expect(served).toEqual([...names].sort((a, b) => order(a) - order(b) || a.localeCompare(b)))
    expect(executor.snapshot()).toMatchObject({ inFlight: 0, queued: none })

    function order(name: string): number {
      return messagePriorities.indexOf(name.split(' ')[0] as MessagePriority)
    }
  })

  it('hands a slot over in the step in which it is given back', async () => {
    const { executor } = make({ limit: 1, criticalReserve: 0 })
    const first = executor.tryAcquire('high')
    const waiting = executor.acquire('high')
    first?.success()
    expect(executor.snapshot()).toMatchObject({ inFlight: 1, queued: none })
    expect(executor.tryAcquire('high')).toBeNull()
    ;(await waiting).success()
    expect(executor.snapshot().inFlight).toBe(0)
  })

  it('lets tryAcquire overtake only who matters less', async () => {
    const limit = { limit: 1, sample: () => undefined }
    const { executor } = make({ limit, criticalReserve: 0, shares: { normal: 1, low: 1 } })
    const held = executor.tryAcquire('normal')
    const waiting = executor.acquire('normal')
    limit.limit = 2 // which nobody has seen yet
    expect([executor.tryAcquire('low'), executor.tryAcquire('normal')]).toEqual([null, null])
    expect(executor.tryAcquire('high')).not.toBeNull()
    held?.success()
    expect((await waiting).priority).toBe('normal')
  })

  it('lets a waiter of lower priority wait while there are slots for higher ones only', async () => {
    const { clock, executor } = make({ limit: 4, shares: { low: 0.5 } })
    fill(executor, 'low')
    const low = executor.acquire('low')
    expect(executor.tryAcquire('high')).not.toBeNull()
    const lines: string[] = []
    log('low', low, lines)
    await clock.advanceAsync(1_000)
    expect(lines).toEqual(['low QUEUE_TIMEOUT'])
  })

  it('needs one timer for all who wait, and none for those who do not', async () => {
    const { clock, executor } = make({ limit: 1, maxQueueMs: 500 })
    const held = executor.tryAcquire('high')
    expect(clock.pendingTimers).toBe(0)
    const waits = ['low', 'high', 'high'].map((priority) => executor.acquire(priority as MessagePriority))
    expect(clock.pendingTimers).toBe(1)
    held?.success()
    ;(await waits[1])?.success()
    ;(await waits[2])?.success()
    ;(await waits[0])?.success()
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('Leaving the queue (OVER-16)', () => {
  it('expires each waiter after maxQueueMs, no sooner and no later', async () => {
    const { clock, executor } = make({ limit: 1, maxQueueMs: 500, shares: { normal: 1, low: 1 } })
    executor.tryAcquire('high')
    const lines: string[] = []
    for (const priority of ['low', 'high', 'normal', 'low'] as const) {
      executor.acquire(priority).catch((error: unknown) => {
        expect(error).toBeInstanceOf(AdmissionError)
        expect(error).toMatchObject({ code: 'QUEUE_TIMEOUT', retryAfterMs: 500 })
        lines.push(`${priority} at ${clock.now()}`)
      })
      await clock.advanceAsync(100)
    }
    await clock.advanceAsync(99)
    expect(lines).toEqual([])
    await clock.advanceAsync(1_000)
    expect(lines).toEqual(['low at 500', 'high at 600', 'normal at 700', 'low at 800'])
    expect(executor.snapshot()).toMatchObject({ inFlight: 1, queued: none, timedOut: 4 })
    expect(clock.pendingTimers).toBe(0)
  })

  it('is not early where timers are', async () => {
    const { clock } = make()
    const hasty = {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      setTimer: (delayMs: number, fn: () => void) => clock.setTimer(delayMs > 1 ? delayMs / 2 : delayMs, fn),
      sleep: clock.sleep.bind(clock),
    }
    const executor = new PriorityExecutor({ clock: hasty, limit: 1, maxQueueMs: 64 })
    executor.tryAcquire('high')
    await expect(clock.run(executor.acquire('high'))).rejects.toMatchObject({ code: 'QUEUE_TIMEOUT' })
    expect(clock.now()).toBeCloseTo(64, 6)
  })

  it('is full with maxQueue waiters of all priorities together', async () => {
    const { executor } = make({ limit: 1, criticalReserve: 0, maxQueue: 3 })
    executor.tryAcquire('high')
    const lines: string[] = []
    for (const name of [
      'normal 1',
      'low 1',
      'low 2',
      'low 3',
      'high 1',
      'normal 2',
      'normal 3',
      'high 2',
      'critical',
    ]) {
      log(name, executor.acquire(name.split(' ')[0] as MessagePriority), lines)
    }
    await Promise.resolve()
    await Promise.resolve()
    expect(lines).toEqual([
      'low 3 QUEUE_FULL',
      'low 2 QUEUE_DISPLACED', // the lowest priority, its newest, by high 1
      'low 1 QUEUE_DISPLACED', // by normal 2
      'normal 3 QUEUE_FULL',
      'normal 2 QUEUE_DISPLACED', // by high 2
      'normal 1 QUEUE_DISPLACED', // by critical
    ])
    expect(executor.snapshot()).toMatchObject({
      queued: { critical: 1, high: 2, normal: 0, low: 0 },
      refused: { critical: 0, high: 0, normal: 1, low: 1 },
      displaced: 4,
    })
  })

  it('queues nobody where maxQueue is 0', async () => {
    const { executor } = make({ limit: 1, maxQueue: 0 })
    const permit = await executor.acquire('high')
    await expect(executor.acquire('high')).rejects.toMatchObject({ code: 'QUEUE_FULL', retryAfterMs: 1_000 })
    permit.success()
    expect(await executor.run('high', () => 7)).toBe(7)
  })

  it('lets go who aborts, with the reason, and leaves nothing of it', async () => {
    const { clock, executor } = make({ limit: 1 })
    const held = executor.tryAcquire('high')
    const controller = new AbortController()
    const options = { signal: controller.signal }
    const waits = [executor.acquire('high', options), executor.run('low', () => 1, options)]
    const stays = executor.acquire('normal')
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    controller.abort('enough')
    expect(await Promise.allSettled(waits)).toEqual([
      { status: 'rejected', reason: 'enough' },
      { status: 'rejected', reason: 'enough' },
    ])
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    expect(executor.snapshot()).toMatchObject({ inFlight: 1, queued: { ...none, normal: 1 }, timedOut: 0 })
    held?.success()
    await stays
    expect(clock.pendingTimers).toBe(0)
    await expect(executor.acquire('critical', options)).rejects.toBe('enough')
    await expect(executor.run('critical', () => 1, options)).rejects.toBe('enough')
  })

  it('leaves no listener of those who were served, displaced or expired', async () => {
    const { clock, executor } = make({ limit: 1, criticalReserve: 0, maxQueue: 2 })
    const held = executor.tryAcquire('high')
    const { signal } = new AbortController()
    const waits = (['high', 'low', 'normal'] as const).map((priority) => executor.acquire(priority, { signal }))
    const settled = Promise.allSettled(waits)
    held?.success()
    await clock.advanceAsync(1_000)
    expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(getEventListeners(signal, 'abort')).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('Running (OVER-17)', () => {
  it('runs at once in a free slot, and gives the result or the error', async () => {
    const { executor } = make({ limit: 1 })
    let ran = false
    const promise = executor.run('high', () => {
      ran = true
      expect(executor.snapshot().inFlight).toBe(1)
      return 5
    })
    expect([ran, executor.snapshot().inFlight]).toEqual([true, 0])
    expect(await promise).toBe(5)
    expect(await executor.run('low', async () => 'later')).toBe('later')
    const lazy = { then: (resolve: (value: string) => void) => resolve('lazily') }
    expect(await executor.run('low', () => lazy as PromiseLike<string>)).toBe('lazily')
    const error = new Error('no')
    await expect(executor.run('low', () => Promise.reject(error))).rejects.toBe(error)
    await expect(
      executor.run('low', () => {
        throw error
      }),
    ).rejects.toBe(error)
    const bad = {
      get then(): never {
        throw error
      },
    }
    await expect(executor.run('low', () => bad)).rejects.toBe(error)
    expect(executor.snapshot()).toMatchObject({ inFlight: 0, admitted: { ...none, high: 1, low: 5 } })
  })

  const samples = (outcomes: string[]): ConcurrencyLimit => ({
    limit: 2,
    sample: (latencyMs, inFlight, outcome) => outcomes.push(`${latencyMs} ${inFlight} ${outcome}`),
  })

  it.each<[what: string, error: unknown, outcome: string | undefined]>([
    ['a result', undefined, 'ok'],
    ['a TimeoutError', new TimeoutError('it', 5), 'dropped'],
    ['a timeout of a signal', new DOMException('late', 'TimeoutError'), 'dropped'],
    ['a passed deadline', new TransportError('DEADLINE_EXCEEDED', 'late'), 'dropped'],
    ['another error', new Error('a bug'), undefined],
    ['no error', 'thrown', undefined],
  ])('tells the limit of %s', async (_, error, outcome) => {
    const outcomes: string[] = []
    const { clock, executor } = make({ limit: samples(outcomes) })
    const run = executor.run('high', async () => {
      await clock.sleep(25)
      if (error !== undefined) throw error
    })
    await clock.run(run.catch(() => undefined))
    expect(outcomes).toEqual(outcome === undefined ? [] : [`25 1 ${outcome}`])
    expect(executor.snapshot().inFlight).toBe(0)
  })

  it('tells it of permits: success and failure, not release; the first call counts', () => {
    const outcomes: string[] = []
    const { clock, executor } = make({ limit: samples(outcomes) })
    const [one, two] = [executor.tryAcquire('high'), executor.tryAcquire('critical')]
    expect([one?.priority, two?.priority]).toEqual(['high', 'critical'])
    clock.advance(10)
    one?.success()
    one?.failure()
    one?.release()
    clock.advance(5)
    two?.failure()
    two?.success()
    const three = executor.tryAcquire('low')
    three?.release()
    three?.success()
    expect(outcomes).toEqual(['10 2 ok', '15 1 dropped'])
    expect(executor.snapshot()).toMatchObject({ inFlight: 0, running: none })
  })

  it('keeps the slot of a permit that nobody gives back', async () => {
    const { clock, executor } = make({ limit: 1, criticalReserve: 0 })
    executor.tryAcquire('high')
    clock.advance(1e9)
    expect(executor.snapshot()).toMatchObject({ inFlight: 1, running: { ...none, high: 1 } })
    expect(executor.tryAcquire('critical')).toBeNull()
  })

  it('runs a queue of 5,000 that is synchronous without growing the stack', async () => {
    const { executor } = make({ limit: 1, maxQueue: 5_000 })
    const held = executor.tryAcquire('high')
    const order: number[] = []
    const runs = Array.from({ length: 5_000 }, (_, i) => executor.run('normal', () => order.push(i)))
    held?.success()
    await Promise.all(runs)
    expect(order).toEqual(Array.from({ length: 5_000 }, (_, i) => i))
    expect(executor.snapshot().inFlight).toBe(0)
  })

  it('bears work that asks for slots itself', async () => {
    const { executor } = make({ limit: 2, criticalReserve: 1, shares: { normal: 1, low: 1 } })
    const inner: unknown[] = []
    const outer = await executor.run('low', async () => {
      inner.push(executor.run('low', () => 'second'))
      const nested = executor.run('normal', async () => executor.run('critical', () => 'reserve'))
      return nested
    })
    expect([outer, await inner[0]]).toEqual(['reserve', 'second'])
  })

  it('follows a limit that changes', async () => {
    const limit = { limit: 1, sample: () => undefined }
    const { executor } = make({ limit, criticalReserve: 0, shares: { normal: 1, low: 1 } })
    const [first] = fill(executor, 'high')
    const waits = [1, 2, 3].map(() => executor.acquire('high'))
    limit.limit = 3.9
    expect(executor.limit).toBe(3.9)
    first?.success()
    expect(executor.snapshot()).toMatchObject({ inFlight: 3, limit: 3.9 })
    const permits = await Promise.all(waits)
    limit.limit = 1
    permits[0]?.success()
    permits[1]?.success()
    expect(executor.tryAcquire('critical')).toBeNull()
    permits[2]?.success()
    expect(fill(executor, 'critical')).toHaveLength(1)
  })

  it('serves who waits when it sees that a limit has grown by itself', async () => {
    const limit = { limit: 1, sample: () => undefined }
    const { executor } = make({ limit, criticalReserve: 0 })
    fill(executor, 'high')
    const waits = [executor.acquire('high'), executor.acquire('high')]
    limit.limit = 3
    const last = executor.acquire('high')
    expect(executor.snapshot()).toMatchObject({ inFlight: 3, queued: { ...none, high: 1 } })
    const permits = await Promise.all(waits)
    permits[0]?.success()
    await last
    expect(permits.map(({ priority }) => priority)).toEqual(['high', 'high'])
  })

  it('takes a limit that is no number for the lowest, and reports one that throws', () => {
    const logger = new MemoryLogger()
    const limit = {
      limit: NaN,
      sample: () => {
        throw new Error('no')
      },
    }
    const { executor } = make({ limit, logger, criticalReserve: 0 })
    const permits = fill(executor, 'critical')
    expect(permits).toHaveLength(1)
    permits[0]?.success()
    expect(executor.snapshot().inFlight).toBe(0)
    expect(logger.at('error').map(({ message }) => message)).toEqual(['PriorityExecutor.limit: no'])
  })

  it('is idle when nothing runs and nobody waits', async () => {
    const { executor } = make({ limit: 1 })
    await executor.idle()
    const held = executor.tryAcquire('high')
    const waiting = executor.acquire('high')
    const lines: string[] = []
    log('idle', Promise.all([executor.idle(), executor.idle()]), lines)
    held?.success()
    const permit = await waiting
    await new Promise((resolve) => setImmediate(resolve))
    expect(lines).toEqual([])
    permit.release()
    await executor.idle()
    await new Promise((resolve) => setImmediate(resolve))
    expect(lines).toEqual(['idle'])
  })
})

describe('Laws of PriorityExecutor (OVER-14..17)', () => {
  const operation = fc.record({
    what: fc.constantFrom('try', 'acquire', 'run', 'give back', 'abort', 'wait'),
    priority: fc.constantFrom(...messagePriorities),
    pick: fc.nat(30),
  })
  const options = fc.record({
    limit: fc.integer({ min: 1, max: 6 }),
    criticalReserve: fc.nat(2),
    maxQueue: fc.nat(6),
    maxQueueMs: fc.constantFrom(5, 50),
  })

  it('is never above its limits, loses nothing, keeps the order, and settles every waiter once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 80 }), options, async (operations, settings) => {
        const { clock, executor } = make(settings)
        const { limit, criticalReserve } = settings
        const held: WorkPermit[] = []
        const controllers: AbortController[] = []
        const served = new Map<string, number[]>()
        // By kind too: who acquires hears of it a microtask later than what runs.
        const serve = (kind: string, number: number) => served.set(kind, [...(served.get(kind) ?? []), number])
        let settled = 0
        let waiters = 0
        const check = () => {
          const { inFlight, running, queued } = executor.snapshot()
          const others = running.high + running.normal + running.low
          expect(inFlight).toBe(others + running.critical)
          expect(others).toBeLessThanOrEqual(limit)
          expect(inFlight).toBeLessThanOrEqual(limit + criticalReserve)
          expect(queued.critical + queued.high + queued.normal + queued.low).toBeLessThanOrEqual(settings.maxQueue)
          // Nobody waits who could have a slot.
          if (queued.high > 0) expect(inFlight).toBeGreaterThanOrEqual(limit)
          if (queued.critical > 0) expect(inFlight).toBe(limit + criticalReserve)
        }
        for (const [number, { what, priority, pick }] of operations.entries()) {
          const controller = new AbortController()
          const call = { signal: controller.signal }
          const end = () => settled++
          if (what === 'try') {
            const permit = executor.tryAcquire(priority)
            if (permit !== null) held.push(permit)
          } else if (what === 'acquire') {
            waiters++
            controllers.push(controller)
            const arrived = (permit: WorkPermit) => {
              held.push(permit)
              serve(`acquire ${priority}`, number)
            }
            executor.acquire(priority, call).then(arrived).then(end, end)
          } else if (what === 'run') {
            waiters++
            controllers.push(controller)
            const work = () => {
              serve(`run ${priority}`, number)
              return pick % 3 === 0 ? pick : clock.sleep(pick)
            }
            executor.run<unknown>(priority, work, call).then(end, end)
          } else if (what === 'give back') held.splice(pick % (held.length + 1), 1)[0]?.success()
          else if (what === 'abort') controllers[pick % (controllers.length + 1)]?.abort()
          else await clock.advanceAsync(pick)
          check()
        }
        await clock.advanceAsync(200)
        while (held.length > 0) {
          held.pop()?.release()
          check()
          await clock.advanceAsync(1)
        }
        await clock.advanceAsync(200)
        while (held.length > 0) held.pop()?.release()
        expect(settled).toBe(waiters)
        expect(executor.snapshot()).toMatchObject({ inFlight: 0, running: none, queued: none })
        for (const numbers of served.values()) expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
        expect(clock.pendingTimers).toBe(0)
        await executor.idle()
      }),
      { numRuns: 300 },
    )
  })
})

describe('Bad input of PriorityExecutor', () => {
  it('refuses what is no priority, no function and no signal', async () => {
    const { executor } = make()
    const urgent = 'urgent' as MessagePriority
    expect(() => executor.tryAcquire(urgent)).toThrow(invalid)
    await expect(executor.acquire(urgent)).rejects.toThrow(invalid)
    await expect(executor.run(urgent, () => 1)).rejects.toThrow(invalid)
    await expect(executor.run('low', 1 as unknown as () => number)).rejects.toThrow(invalid)
    await expect(executor.acquire('low', { signal: 1 } as unknown as ExecutorCall)).rejects.toThrow(invalid)
    expect(executor.snapshot()).toMatchObject({ inFlight: 0, admitted: none, refused: none })
  })

  it.each<[object, string[]]>([
    [{ limit: 0 }, ['limit']],
    [{ limit: 1.5 }, ['limit']],
    [{ limit: { limit: 5 } }, ['limit']],
    [{ shares: { low: 0.9 } }, ['shares']],
    [{ shares: { high: 0.7 } }, ['shares']],
    [{ shares: { low: 0 } }, ['shares.low']],
    [{ shares: { high: 1.1, lows: 1 } }, ['shares.high', 'shares.lows']],
    [{ criticalReserve: -1, maxQueue: -1, maxQueueMs: 0 }, ['criticalReserve', 'maxQueue', 'maxQueueMs']],
    [{ maxQueueMs: NaN, queue: 1 }, ['maxQueueMs', 'queue']],
  ])('refuses %j', (bad, paths) => {
    expect(() => new PriorityExecutor(bad as PriorityExecutorOptions)).toThrow(misconfigured(...paths))
  })
})
