import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest'
import {
  ClosedError,
  ConfigError,
  deferred,
  ErrorReporter,
  HsError,
  LimitError,
  TaskScope,
  TransportError,
  type Task,
  type TaskOutcome,
  type TaskScopeOptions,
} from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import { longestRestartWaitMs } from '../src/restart-policy.js'
import { nextTick } from '../src/tick-grid.js'

let clock = new VirtualClock()
let logger = new MemoryLogger()
beforeEach(() => {
  clock = new VirtualClock()
  logger = new MemoryLogger()
})

const newScope = (options: TaskScopeOptions = {}) =>
  new TaskScope('node', { clock, logger, random: new SeededRandom(1), ...options })
const reports = () => logger.at('error').map(({ fields }) => fields)
/** Ends when its signal aborts, with the reason. */
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
const drain = () => clock.advanceAsync(0)

describe('TaskScope.spawn (CORE-18)', () => {
  it('gives the outcome of a task that returns, at once or later', async () => {
    const scope = newScope()
    const now = scope.spawn('now', () => 5)
    expect(now.state).toBe('done')
    expect(await now.result).toEqual({ status: 'done', value: 5 })
    const later = scope.spawn('later', () => clock.sleep(10).then(() => 6))
    expect(later.state).toBe('running')
    expect(await clock.run(later.result)).toEqual({ status: 'done', value: 6 })
    expectTypeOf(later).toEqualTypeOf<Task<number>>()
    expectTypeOf(later.result).toEqualTypeOf<Promise<TaskOutcome<number>>>()
  })

  it('reports a failure as scope.task with both names, and its result does not reject', async () => {
    const scope = newScope()
    const error = new Error('broke')
    const task = scope.spawn('probe', async () => {
      await clock.sleep(10)
      throw error
    })
    expect(await clock.run(task.result)).toEqual({ status: 'failed', error })
    expect(task.state).toBe('failed')
    expect(reports()).toEqual([{ source: 'node.probe', err: error, task: 'probe', scope: 'node' }])
  })

  it('takes a synchronous throw for a failure of the task, not of spawn', async () => {
    const error = new Error('broke')
    const scope = newScope()
    const task = scope.spawn('probe', () => {
      throw error
    })
    expect(await task.result).toEqual({ status: 'failed', error })
    expect(reports()).toHaveLength(1)
  })

  it('leaves the siblings of a failed task alone', async () => {
    const scope = newScope()
    const sibling = scope.spawn('sibling', () => clock.sleep(100).then(() => 'fine'))
    scope.spawn('bad', () => {
      throw new Error('broke')
    })
    expect(await clock.run(sibling.result)).toEqual({ status: 'done', value: 'fine' })
  })

  it('tells onError, or the reporter it was given', () => {
    const onError = vi.fn()
    const error = new Error('broke')
    const fail = () => {
      throw error
    }
    newScope({ onError }).spawn('a', fail)
    expect(onError).toHaveBeenCalledWith(error, { source: 'node.a', task: 'a', scope: 'node' })
    const reporter = new ErrorReporter({ clock, logger })
    newScope({ reporter }).spawn('b', fail)
    expect(reporter.snapshot().bySource).toEqual({ 'node.b': 1 })
  })

  it('cancels one task by its own signal', async () => {
    const scope = newScope()
    const task = scope.spawn('a', untilAborted)
    const other = scope.spawn('b', untilAborted)
    const reason = new Error('not needed any more')
    task.cancel(reason)
    task.cancel('again')
    expect(await task.result).toEqual({ status: 'cancelled' })
    expect(task.state).toBe('cancelled')
    expect(other.state).toBe('running')
    expect(scope.signal.aborted).toBe(false)
    expect(reports()).toEqual([])
    task.cancel()
    await scope.stop()
  })

  it('takes the platform AbortError for the reason of a cancel without one', async () => {
    const scope = newScope()
    let reason: unknown
    const task = scope.spawn('a', (signal) => {
      signal.addEventListener('abort', () => void (reason = signal.reason))
      return untilAborted(signal)
    })
    task.cancel()
    expect(await task.result).toEqual({ status: 'cancelled' })
    expect((reason as Error).name).toBe('AbortError')
  })

  it('lets a cancelled task end well or badly: done is done, another error is a failure', async () => {
    const scope = newScope()
    const gate = deferred<number>()
    const done = scope.spawn('done', () => gate.promise)
    const failed = scope.spawn('failed', () => gate.promise.then(() => Promise.reject(new Error('clean-up broke'))))
    done.cancel()
    failed.cancel()
    gate.resolve(5)
    expect(await done.result).toEqual({ status: 'done', value: 5 })
    expect(await failed.result).toMatchObject({ status: 'failed' })
    expect(reports()).toHaveLength(1)
  })
})

describe('TaskScope.stop (CORE-19)', () => {
  it('aborts the signals with a ClosedError, waits for every task and leaves no timer', async () => {
    const scope = newScope()
    const seen: unknown[] = []
    const cleanUp = deferred<void>()
    scope.spawn('a', async (signal) => {
      await untilAborted(signal).catch((reason: unknown) => seen.push(reason))
      await cleanUp.promise
    })
    scope.every('b', 1_000, () => {})
    let stopped = false
    const stop = scope.stop().then(() => (stopped = true))
    expect(scope.signal.aborted).toBe(true)
    expect(scope.signal.reason).toBeInstanceOf(ClosedError)
    await drain()
    expect(seen).toEqual([scope.signal.reason])
    expect(stopped).toBe(false)
    cleanUp.resolve()
    await stop
    expect(clock.pendingTimers).toBe(0)
    expect(reports()).toEqual([])
  })

  it('aborts with the reason it is given', async () => {
    const scope = newScope()
    const task = scope.spawn('a', untilAborted)
    await scope.stop('shutdown')
    expect(scope.signal.reason).toBe('shutdown')
    expect(await task.result).toEqual({ status: 'cancelled' })
  })

  it('is idempotent, also from within an abort listener', async () => {
    const scope = newScope()
    let inner: Promise<void> | undefined
    scope.signal.addEventListener('abort', () => void (inner = scope.stop('second')))
    const first = scope.stop('first')
    expect(scope.stop()).toBe(first)
    await first
    expect(inner).toBe(first)
    expect(scope.signal.reason).toBe('first')
  })

  it('stops children first, and waits for them before it aborts its own', async () => {
    const scope = newScope()
    const order: string[] = []
    const gate = deferred<void>()
    const child = scope.child('child')
    const grandchild = child.child('grandchild')
    for (const each of [scope, child, grandchild]) {
      each.signal.addEventListener('abort', () => order.push(each.name))
    }
    grandchild.spawn('slow', () => gate.promise)
    const stop = scope.stop('why')
    await drain()
    expect(order).toEqual(['grandchild'])
    expect(() => scope.spawn('late', () => {})).toThrow(ClosedError)
    gate.resolve()
    await stop
    expect(order).toEqual(['grandchild', 'child', 'node'])
    expect(child.signal.reason).toBe('why')
  })

  it('reports tasks that run on after stopTimeoutMs as TASK_STUCK by name, and resolves', async () => {
    const scope = newScope({ stopTimeoutMs: 500 })
    const gate = deferred<void>()
    scope.spawn('stuck', () => gate.promise)
    scope.spawn('fine', untilAborted)
    const fine = vi.fn()
    scope.spawn('tidy', (signal) => untilAborted(signal).catch(fine))
    let stopped = false
    const stop = scope.stop().then(() => (stopped = true))
    await clock.advanceAsync(499)
    expect(stopped).toBe(false)
    expect(fine).toHaveBeenCalled()
    await clock.advanceAsync(1)
    await stop
    expect(reports()).toEqual([
      { source: 'node.stuck', err: expect.any(HsError) as HsError, task: 'stuck', scope: 'node' },
    ])
    expect(reports()[0]!['err']).toMatchObject({ code: 'TASK_STUCK', details: { task: 'stuck', scope: 'node' } })
    expect(scope.snapshot().tasks.map(({ name }) => name)).toEqual(['stuck'])
    expect(clock.pendingTimers).toBe(0)
    gate.resolve()
    await drain()
    expect(scope.snapshot().tasks).toEqual([])
  })

  it('waits 10 s by default', async () => {
    const scope = newScope()
    scope.spawn('stuck', () => new Promise(() => {}))
    const stop = scope.stop()
    await clock.advanceAsync(9_999)
    expect(reports()).toHaveLength(0)
    await clock.advanceAsync(1)
    await stop
    expect(reports()).toHaveLength(1)
  })

  it('after it, spawn, every and child throw ClosedError', async () => {
    const scope = newScope()
    const stopping = scope.stop()
    const run = vi.fn()
    for (const act of [() => scope.spawn('a', run), () => scope.every('a', 1, run), () => scope.child('a')]) {
      expect(act).toThrow(ClosedError)
    }
    await stopping
    expect(() => scope.spawn('a', run)).toThrow(ClosedError)
    expect(run).not.toHaveBeenCalled()
  })

  it('is triggered by the outer signal, whose listener it removes', async () => {
    const outer = new AbortController()
    const scope = newScope({ signal: outer.signal })
    const task = scope.spawn('a', untilAborted)
    outer.abort('outer reason')
    expect(await task.result).toEqual({ status: 'cancelled' })
    expect(scope.signal.reason).toBe('outer reason')
    expect(scope.snapshot().state).toBe('stopped')

    const second = new AbortController()
    const early = newScope({ signal: second.signal })
    expect(getEventListeners(second.signal, 'abort')).toHaveLength(1)
    await early.stop()
    expect(getEventListeners(second.signal, 'abort')).toHaveLength(0)

    const born = newScope({ signal: AbortSignal.abort('before') })
    expect(born.signal.reason).toBe('before')
    expect(() => born.spawn('a', () => {})).toThrow(ClosedError)
  })

  it.each([
    ['its reason', (signal: AbortSignal) => signal.reason as unknown],
    ['an AbortError', () => new DOMException('stopped', 'AbortError')],
    ['CANCELLED of a request', () => new TransportError('CANCELLED', 'cancelled')],
  ])('a task that ends with %s after the abort is cancelled and not reported', async (_, make) => {
    const scope = newScope()
    const task = scope.spawn('a', (signal) => untilAborted(signal).catch(() => Promise.reject(make(signal))))
    await scope.stop()
    expect(await task.result).toEqual({ status: 'cancelled' })
    expect(reports()).toEqual([])
  })

  it('a task that heeds its scope rather than its own cancel is cancelled too', async () => {
    const scope = newScope()
    const task = scope.spawn('a', () => untilAborted(scope.signal))
    task.cancel('own')
    await scope.stop('of the scope')
    expect(await task.result).toEqual({ status: 'cancelled' })
    expect(reports()).toEqual([])
  })

  it('a task that waits for the work of a child is cancelled with it, though its own signal aborts later', async () => {
    const scope = newScope()
    const child = scope.child('child')
    child.spawn('slow', (signal) => untilAborted(signal).catch(() => clock.sleep(10)))
    const task = scope.spawn('a', () => untilAborted(child.signal))
    const stop = scope.stop()
    await drain()
    expect(scope.signal.aborted).toBe(false)
    expect(await task.result).toEqual({ status: 'cancelled' })
    await clock.run(stop)
    expect(reports()).toEqual([])
  })

  it('a task that rejects with undefined has failed', async () => {
    const scope = newScope()
    const gate = deferred<void>()
    scope.child('child').spawn('slow', () => gate.promise)
    const task = scope.spawn('a', () => gate.promise.then(() => Promise.reject(undefined)))
    const stop = scope.stop()
    gate.resolve()
    await stop
    expect(await task.result).toEqual({ status: 'failed', error: undefined })
  })

  it.each([new DOMException('stopped', 'AbortError'), new TransportError('CANCELLED', 'cancelled')])(
    'before any abort, %s is a failure like another',
    async (error) => {
      const scope = newScope()
      const task = scope.spawn('a', () => Promise.reject(error))
      expect(await task.result).toEqual({ status: 'failed', error })
      expect(reports()).toHaveLength(1)
    },
  )

  it('reports any other error of a task that stops', async () => {
    const scope = newScope()
    const error = new Error('clean-up broke')
    const task = scope.spawn('a', (signal) => untilAborted(signal).catch(() => Promise.reject(error)))
    await scope.stop()
    expect(await task.result).toEqual({ status: 'failed', error })
    expect(reports()).toHaveLength(1)
  })

  it('is what `await using` calls', async () => {
    const scope = newScope()
    const task = scope.spawn('a', untilAborted)
    await scope[Symbol.asyncDispose]()
    expect(task.state).toBe('cancelled')
  })

  it('does nothing more for a scope without tasks, on a clock that stands still', async () => {
    const scope = newScope()
    scope.child('a').child('b')
    await scope.stop()
    expect(clock.pendingTimers).toBe(0)
  })

  it('lets a task stop its own scope, as long as it does not wait for it', async () => {
    const scope = newScope()
    const task = scope.spawn('a', () => {
      void scope.stop()
      return 'value'
    })
    expect(await task.result).toEqual({ status: 'done', value: 'value' })
    await scope.stop()
  })
})

describe('TaskScope.child', () => {
  it('shares reporter and settings with its parent, and is forgotten when it has stopped', async () => {
    const onError = vi.fn()
    const scope = newScope({ onError, stopTimeoutMs: 50 })
    const child = scope.child('child')
    child.spawn('bad', () => {
      throw new Error('broke')
    })
    expect(onError).toHaveBeenCalledWith(new Error('broke'), { source: 'child.bad', task: 'bad', scope: 'child' })
    child.spawn('stuck', () => new Promise(() => {}))
    const stopped = child.stop()
    expect(scope.snapshot().children.map(({ state }) => state)).toEqual(['stopped'])
    clock.advance(50)
    await stopped
    expect(onError).toHaveBeenCalledTimes(2)
    expect(scope.snapshot().children).toEqual([])
    expect(scope.signal.aborted).toBe(false)
  })

  it('is waited for by the parent, even when it is stopping already', async () => {
    const scope = newScope()
    const child = scope.child('child')
    const gate = deferred<void>()
    child.spawn('slow', () => gate.promise)
    void child.stop()
    let stopped = false
    const stop = scope.stop().then(() => (stopped = true))
    await drain()
    expect(stopped).toBe(false)
    gate.resolve()
    await stop
  })

  it('is limited in number', () => {
    const scope = newScope({ maxTasks: 2 })
    scope.child('a')
    scope.child('b')
    expect(() => scope.child('c')).toThrow(LimitError)
  })
})

describe('TaskScope.every (CORE-20)', () => {
  const ticks = (scope: TaskScope, ...[interval, run, options]: [number | (() => number), (() => void)?, object?]) => {
    const at: number[] = []
    const task = scope.every(
      'tick',
      interval,
      () => {
        at.push(clock.now())
        run?.()
      },
      options,
    )
    return { at, task }
  }

  it('keeps the grid start + k x interval, driven by timers alone', () => {
    clock.advance(250)
    const { at } = ticks(newScope(), 1_000)
    clock.advance(4_000)
    expect(at).toEqual([1_250, 2_250, 3_250, 4_250])
  })

  it('does not drift, whatever the interval', () => {
    const { at } = ticks(newScope(), 0.1)
    clock.advance(1_000)
    expect(at).toHaveLength(10_000)
    expect(at.at(-1)).toBeCloseTo(1_000, 6)
  })

  it('runs within the call when immediate, then on the grid', () => {
    const { at } = ticks(newScope(), 100, undefined, { immediate: true })
    expect(at).toEqual([0])
    clock.advance(250)
    expect(at).toEqual([0, 100, 200])
  })

  it('never overlaps itself and skips the ticks a long run missed', async () => {
    const scope = newScope()
    const started: number[] = []
    let running = 0
    scope.every('slow', 100, async () => {
      expect(++running).toBe(1)
      started.push(clock.now())
      await clock.sleep(started.length === 1 ? 350 : 10)
      running--
    })
    await clock.advanceAsync(800)
    expect(started).toEqual([100, 500, 600, 700, 800])
  })

  it('keeps its grid with a run of exactly one interval', async () => {
    const started: number[] = []
    newScope().every('tight', 100, async () => {
      started.push(clock.now())
      await clock.sleep(100)
    })
    await clock.advanceAsync(500)
    expect(started).toEqual([100, 200, 300, 400, 500])
  })

  it('survives errors, synchronous and not, and reports each', async () => {
    const scope = newScope()
    let n = 0
    const task = scope.every('bad', 100, () => {
      n++
      if (n % 2 === 0) throw new Error('sync')
      return Promise.reject(new Error('async'))
    })
    await clock.advanceAsync(400)
    expect(n).toBe(4)
    expect(task.state).toBe('running')
    expect(reports().map(({ err }) => (err as Error).message)).toEqual(['async', 'sync', 'async', 'sync'])
    expect(reports()[0]).toMatchObject({ source: 'node.bad', task: 'bad', scope: 'node' })
  })

  it('asks an interval function before each wait, which starts a new grid', async () => {
    const waits = [100, 50, 200, 100]
    const asked: number[] = []
    const started: number[] = []
    newScope().every(
      'adaptive',
      () => {
        asked.push(clock.now())
        return waits[asked.length - 1] ?? 1_000
      },
      async () => {
        started.push(clock.now())
        await clock.sleep(30)
      },
    )
    expect(asked).toEqual([0])
    await clock.advanceAsync(600)
    expect(started).toEqual([100, 180, 410, 540])
    expect(asked).toEqual([0, 130, 210, 440, 570])
  })

  it('goes on with the last interval when the function fails, and reports it; without one the task fails', async () => {
    let calls = 0
    const { at, task } = ticks(newScope(), () => {
      calls++
      if (calls === 2) throw new Error('no interval')
      return calls === 3 ? NaN : 100
    })
    clock.advance(400)
    expect(at).toEqual([100, 200, 300, 400])
    expect(task.state).toBe('running')
    expect(reports()).toHaveLength(2)
    const born = ticks(newScope(), () => -1)
    expect(await born.task.result).toMatchObject({ status: 'failed', error: { code: 'INVALID_ARGUMENT' } })
  })

  it('draws each wait from interval x [1 - jitter, 1 + jitter]', () => {
    const { at } = ticks(newScope(), 100, undefined, { jitter: 0.25 })
    clock.advance(100_000)
    const waits = at.map((time, i) => time - (at[i - 1] ?? 0))
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(75 - 1e-6)
    expect(Math.max(...waits)).toBeLessThanOrEqual(125 + 1e-6)
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(45)
    expect(at.length).toBeGreaterThan(950)
    expect(at.length).toBeLessThan(1_050)
  })

  it('draws jitter for interval functions too, and waits anew after a long run', async () => {
    const { at } = ticks(newScope(), () => 100, undefined, { jitter: 0.5 })
    clock.advance(10_000)
    expect(new Set(at.map((time, i) => Math.round(time - (at[i - 1] ?? 0)))).size).toBeGreaterThan(20)

    const started: number[] = []
    newScope().every(
      'slow',
      100,
      async () => {
        started.push(clock.now())
        await clock.sleep(1_000)
      },
      { jitter: 0.5 },
    )
    await clock.advanceAsync(20_000)
    const gaps = started.slice(1).map((time, i) => time - started[i]!)
    expect(gaps.length).toBeGreaterThan(10)
    expect(gaps.every((gap) => gap >= 1_050 - 1e-6 && gap <= 1_150 + 1e-6)).toBe(true)
  })

  it('ends when it is cancelled, within a wait at once, within a run after it', async () => {
    const scope = newScope()
    const waiting = scope.every('a', 100, () => {})
    waiting.cancel()
    expect(waiting.state).toBe('cancelled')
    expect(clock.pendingTimers).toBe(0)

    const gate = deferred<void>()
    const running = scope.every('b', 100, () => gate.promise, { immediate: true })
    running.cancel()
    expect(running.state).toBe('running')
    gate.resolve()
    expect(await running.result).toEqual({ status: 'cancelled' })
    expect(clock.pendingTimers).toBe(0)

    const self = scope.every('c', 100, () => self.cancel())
    clock.advance(100)
    expect(await self.result).toEqual({ status: 'cancelled' })
  })

  it('does not report a run that heeds the stop', async () => {
    const scope = newScope()
    scope.every('a', 100, untilAborted)
    await clock.advanceAsync(100)
    await scope.stop()
    expect(reports()).toEqual([])
  })

  it.each([0, -1, NaN, Infinity, '5', undefined])('refuses an interval of %o', (interval) => {
    const scope = newScope()
    expect(() => scope.every('a', interval as number, () => {})).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(scope.snapshot().tasks).toEqual([])
  })

  it.each([{ jitter: -0.1 }, { jitter: 1.1 }, { jitter: NaN }, { immediate: 1 }, { imediate: true }])(
    'refuses the options %o',
    (options) => {
      expect(() => newScope().every('a', 100, () => {}, options as object)).toThrow(ConfigError)
    },
  )

  it('has as its formula: the first tick of the grid not before now, and never the same again', () => {
    expect(nextTick(0, 0, 100)).toBe(1)
    expect(nextTick(1, 99.9, 100)).toBe(2) // the timer was early
    expect(nextTick(1, 100, 100)).toBe(2)
    expect(nextTick(1, 200, 100)).toBe(2)
    expect(nextTick(1, 201, 100)).toBe(3)
    expect(nextTick(1, 10_050, 100)).toBe(101)
  })
})

describe('TaskScope restart (CORE-21)', () => {
  it('runs a failed task again after a random wait that doubles, and ends it after too many failures', async () => {
    const scope = newScope({ stopTimeoutMs: 1 })
    const startedAt: number[] = []
    const states: string[] = []
    const task = scope.spawn(
      'flaky',
      () => {
        startedAt.push(clock.now())
        states.push(scope.snapshot().tasks[0]!.state)
        throw new Error(`failure ${startedAt.length}`)
      },
      { restart: { maxRestarts: 4, windowMs: 60_000, minMs: 100, maxMs: 500 } },
    )
    expect(task.state).toBe('backoff')
    expect(scope.snapshot().tasks[0]).toMatchObject({ state: 'backoff', restarts: 0 })
    clock.advance(60_000)
    expect(startedAt).toHaveLength(5)
    expect(states).toEqual(Array(5).fill('running'))
    const waits = startedAt.slice(1).map((at, i) => at - startedAt[i]!)
    for (const [i, longest] of [100, 200, 400, 500].entries()) {
      expect(waits[i]).toBeGreaterThanOrEqual(100)
      expect(waits[i]).toBeLessThanOrEqual(longest)
    }
    const outcome = await task.result
    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'TASK_RESTARTS_EXHAUSTED' } })
    expect((outcome as { error: HsError }).error.cause).toEqual(new Error('failure 5'))
    expect(reports().map(({ err }) => (err as Error).message.slice(0, 9))).toEqual([
      'failure 1',
      'failure 2',
      'failure 3',
      'failure 4',
      'Task flak',
    ])
    expect(clock.pendingTimers).toBe(0)
  })

  it('draws the waits over their whole range', () => {
    const thirdWaits: number[] = []
    const random = new SeededRandom(5)
    for (let i = 0; i < 300; i++) {
      const startedAt: number[] = []
      const fail = () => {
        startedAt.push(clock.now())
        throw new Error('x')
      }
      newScope({ random }).spawn('flaky', fail, { restart: { maxRestarts: 3 } })
      clock.advance(1_000)
      thirdWaits.push(startedAt[3]! - startedAt[2]!)
    }
    expect(Math.min(...thirdWaits)).toBeGreaterThanOrEqual(100)
    expect(Math.min(...thirdWaits)).toBeLessThan(110)
    expect(Math.max(...thirdWaits)).toBeGreaterThan(390)
    expect(Math.max(...thirdWaits)).toBeLessThanOrEqual(400)
  })

  it('forgets failures older than its window', async () => {
    const scope = newScope()
    let runs = 0
    const task = scope.spawn(
      'sometimes',
      async () => {
        runs++
        await clock.sleep(10_000)
        if (runs < 50) throw new Error('x')
        return runs
      },
      { restart: { maxRestarts: 2, windowMs: 15_000 } },
    )
    expect(await clock.run(task.result)).toEqual({ status: 'done', value: 50 })
  })

  it('counts restarts, and a task that ends well is done', async () => {
    const scope = newScope()
    const gate = deferred<string>()
    let runs = 0
    const task = scope.spawn('flaky', () => (++runs < 3 ? Promise.reject(new Error('x')) : gate.promise), {
      restart: {},
    })
    await clock.advanceAsync(1_000)
    expect(scope.snapshot().tasks).toMatchObject([{ name: 'flaky', state: 'running', restarts: 2 }])
    gate.resolve('value')
    expect(await task.result).toEqual({ status: 'done', value: 'value' })
  })

  it('ends at once when it is cancelled or stopped in its wait', async () => {
    const scope = newScope()
    const fail = () => {
      throw new Error('x')
    }
    const cancelled = scope.spawn('a', fail, { restart: {} })
    cancelled.cancel()
    expect(cancelled.state).toBe('cancelled')
    const stopped = scope.spawn('b', fail, { restart: {} })
    await scope.stop()
    expect(await stopped.result).toEqual({ status: 'cancelled' })
    expect(clock.pendingTimers).toBe(0)
  })

  it('does not restart what fails after the abort, or what its own failure stops', async () => {
    const scope = newScope()
    const task = scope.spawn('a', (signal) => untilAborted(signal).catch(() => Promise.reject(new Error('x'))), {
      restart: {},
    })
    await scope.stop()
    expect(await task.result).toEqual({ status: 'failed', error: new Error('x') })

    const fatal: TaskScope = newScope({ onError: () => void fatal.stop() })
    const fatalTask = fatal.spawn('a', () => Promise.reject(new Error('y')), { restart: {} })
    expect(await fatalTask.result).toEqual({ status: 'failed', error: new Error('y') })
    await fatal.stop()
    expect(clock.pendingTimers).toBe(0)
  })

  it('does not take the end of a running task that heeds the stop for a failure', async () => {
    const scope = newScope()
    const task = scope.spawn('a', untilAborted, { restart: {} })
    await scope.stop()
    expect(await task.result).toEqual({ status: 'cancelled' })
    expect(reports()).toEqual([])
  })

  it('with maxRestarts 0 fails at the first', async () => {
    const task = newScope().spawn('a', () => Promise.reject(new Error('x')), { restart: { maxRestarts: 0 } })
    expect(await task.result).toMatchObject({ status: 'failed', error: { code: 'TASK_RESTARTS_EXHAUSTED' } })
  })

  it.each([{ maxRestarts: -1 }, { maxRestarts: 1.5 }, { windowMs: 0 }, { minMs: 200, maxMs: 100 }, { max: 1 }])(
    'refuses the policy %o before the task starts',
    (restart) => {
      const scope = newScope()
      const run = vi.fn()
      expect(() => scope.spawn('a', run, { restart })).toThrow(ConfigError)
      expect(run).not.toHaveBeenCalled()
      expect(scope.snapshot().tasks).toEqual([])
    },
  )

  it('has as its formula: min(maxMs, minMs x 2^(k-1))', () => {
    expect([1, 2, 3, 9, 10, 2_000].map((k) => longestRestartWaitMs(k, 100, 30_000))).toEqual([
      100, 200, 400, 25_600, 30_000, 30_000,
    ])
  })
})

describe('TaskScope bounds (CORE-22)', () => {
  it('forgets finished tasks and keeps the last 16 failures', async () => {
    const scope = newScope()
    for (let i = 0; i < 1_000; i++) {
      scope.spawn(`good ${i}`, () => i)
      scope.spawn(`async ${i}`, async () => i)
      scope.spawn(`bad ${i}`, () => {
        throw new Error(`failure ${i}`)
      })
    }
    await drain()
    const { tasks, failed, recentFailures } = scope.snapshot()
    expect(tasks).toEqual([])
    expect(failed).toBe(1_000)
    expect(recentFailures).toHaveLength(16)
    expect(recentFailures[0]).toEqual({ name: 'bad 984', message: 'failure 984' })
  })

  it('throws LimitError beyond maxTasks live ones, and takes new ones when others have ended', async () => {
    const scope = newScope({ maxTasks: 2 })
    const first = scope.spawn('a', untilAborted)
    scope.every('b', 100, () => {})
    const run = vi.fn()
    expect(() => scope.spawn('c', run)).toThrow(LimitError)
    expect(() => scope.every('c', 100, run, { immediate: true })).toThrow(LimitError)
    expect(run).not.toHaveBeenCalled()
    first.cancel()
    await first.result
    expect(scope.spawn('c', () => 1).state).toBe('done')
  })

  it('shows a frozen, JSON-safe snapshot', () => {
    const scope = newScope()
    scope.child('inner').every('tick', 100, () => {})
    scope.spawn('work', () => clock.sleep(10))
    const snapshot = scope.snapshot()
    expect(snapshot).toEqual({
      name: 'node',
      state: 'running',
      tasks: [{ name: 'work', state: 'running', restarts: 0, startedAtMs: clock.wallNow() }],
      failed: 0,
      recentFailures: [],
      children: [
        {
          name: 'inner',
          state: 'running',
          tasks: [{ name: 'tick', state: 'running', restarts: 0, startedAtMs: clock.wallNow() }],
          failed: 0,
          recentFailures: [],
          children: [],
        },
      ],
    })
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot)
    expect(Object.isFrozen(snapshot.children[0]!.tasks)).toBe(true)
  })

  it.each([
    { maxTasks: 0 },
    { stopTimeoutMs: -1 },
    { stopTimeoutMs: NaN },
    { onError: 'x' },
    { reporter: {} },
    { signal: {} },
    { stopTimeout: 5 },
    { onError: () => {}, reporter: new ErrorReporter() },
  ])('refuses the options %o', (options) => {
    expect(() => new TaskScope('x', options as object)).toThrow(ConfigError)
  })

  it('ends every task once, whatever happens to it: nothing is left after stop', async () => {
    const step = fc.record({
      kind: fc.constantFrom('spawn', 'restart', 'every', 'child', 'cancel', 'advance'),
      ms: fc.integer({ min: 1, max: 300 }),
      fails: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer(), async (steps, seed) => {
        clock = new VirtualClock()
        const scope = newScope({ random: new SeededRandom(seed) })
        const scopes = [scope]
        const tasks: Task<unknown>[] = []
        for (const { kind, ms, fails } of steps) {
          const target = scopes[ms % scopes.length]!
          const run = async (signal: AbortSignal) => {
            await clock.sleep(ms, signal)
            if (fails) throw new Error('x')
          }
          if (kind === 'spawn') tasks.push(target.spawn('s', run))
          if (kind === 'restart') tasks.push(target.spawn('r', run, { restart: { maxRestarts: 2 } }))
          if (kind === 'every') tasks.push(target.every('e', ms, run, { jitter: fails ? 0.5 : 0 }))
          if (kind === 'child') scopes.push(target.child('c'))
          if (kind === 'cancel') tasks[ms % tasks.length]?.cancel()
          if (kind === 'advance') await clock.advanceAsync(ms)
        }
        await scope.stop()
        for (const task of tasks) expect((await task.result).status).toBe(task.state)
        expect(clock.pendingTimers).toBe(0)
        for (const { snapshot } of scopes.map((each) => ({ snapshot: each.snapshot() }))) {
          expect(snapshot).toMatchObject({ state: 'stopped', tasks: [], children: [] })
        }
      }),
    )
  })
})

describe('TaskScope on the example of the README', () => {
  it('drives a synchronous periodic body with advance, which runs no microtask', () => {
    const scope = newScope()
    let microtasks = 0
    let ticks = 0
    scope.every('sample', 1_000, () => {
      ticks++
      void Promise.resolve().then(() => microtasks++)
    })
    clock.advance(5_000)
    expect([ticks, microtasks]).toEqual([5, 0])
  })
})
