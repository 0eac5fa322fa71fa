import { getEventListeners } from 'node:events'
import { TimeoutError, TransportError, type Clock, type Random } from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import {
  RetryBudget,
  RetryError,
  RetryPolicy,
  type AttemptContext,
  type Budget,
  type RetryEvent,
  type RetryOptions,
} from '@hs/retry-budget'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'

const transient = (message = 'lost') => Object.assign(new Error(message), { retryable: true })
const throttled = (retryAfterMs: number) => Object.assign(new Error('busy'), { retryAfterMs })

let clock: VirtualClock
let logger: MemoryLogger
let starts: number[]

beforeEach(() => {
  clock = new VirtualClock()
  logger = new MemoryLogger()
  starts = []
})

const make = (options: RetryOptions = {}) =>
  new RetryPolicy({ clock, logger, random: new SeededRandom(1), jitter: 'none', baseMs: 100, ...options })

/** Fails with each of the errors in turn, then succeeds with the number of the attempt. */
const failing =
  (...errors: unknown[]) =>
  ({ attempt }: AttemptContext): number => {
    starts.push(clock.now())
    if (attempt <= errors.length) throw errors[attempt - 1]
    return attempt
  }

/** A die that always shows the same. */
const loaded = (u: number): Random => ({
  next: () => u,
  int: () => 0,
  pick: <T>(xs: readonly T[]) => xs[0] as T,
  shuffle: (xs) => xs,
})

const failure = async (promise: Promise<unknown>): Promise<unknown> =>
  clock.run(promise).then(
    (value) => {
      throw new Error(`succeeded with ${String(value)}`)
    },
    (error: unknown) => error,
  )

describe('RetryPolicy.run (RB-9, RB-14)', () => {
  it('is what a call that succeeds is', async () => {
    const policy = make()
    await expect(policy.run(() => 7)).resolves.toBe(7)
    await expect(policy.run(async () => 'late')).resolves.toBe('late')
    await expect(policy.run(({ attempt, remainingMs }) => [attempt, remainingMs])).resolves.toEqual([1, Infinity])
    const thenable = { then: (resolve: (value: number) => void) => resolve(8) }
    await expect(policy.run(() => thenable as PromiseLike<number>)).resolves.toBe(8)
  })

  it('repeats what is transient, after delays that grow', async () => {
    const policy = make({ maxAttempts: 4 })
    await expect(clock.run(policy.run(failing(transient(), transient(), transient())))).resolves.toBe(4)
    expect(starts).toEqual([0, 100, 300, 700])
  })

  it('takes a synchronous throw and a rejection alike', async () => {
    const policy = make({ maxAttempts: 2 })
    const asynchronous = async (context: AttemptContext) => failing(transient())(context)
    await expect(clock.run(policy.run(asynchronous))).resolves.toBe(2)
    await expect(clock.run(policy.run(failing(transient())))).resolves.toBe(2)
  })

  it('deposits once and withdraws once for each retry', async () => {
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 1, clock })
    const policy = make({ budget, maxAttempts: 5 })
    await clock.run(policy.run(failing(transient(), transient())))
    expect(budget.snapshot()).toMatchObject({ deposits: 1, withdrawals: 2 })
  })

  it("takes the call's budget instead of the policy's", async () => {
    const own = new RetryBudget({ clock })
    const given = new RetryBudget({ clock })
    await clock.run(make({ budget: own }).run(failing(transient()), { budget: given }))
    expect(own.snapshot()).toMatchObject({ deposits: 0, withdrawals: 0 })
    expect(given.snapshot()).toMatchObject({ deposits: 1, withdrawals: 1 })
  })

  it('asks the budget last, so that what does not happen anyway costs nothing', async () => {
    const budget = new RetryBudget({ clock })
    const policy = make({ budget, maxAttempts: 2, maxRetryAfterMs: 1_000 })
    await failure(policy.run(failing(new Error('permanent'))))
    await failure(policy.run(failing(throttled(1_001))))
    await failure(policy.run(failing(transient()), { deadline: clock.now() + 100 }))
    expect(budget.snapshot()).toMatchObject({ deposits: 3, withdrawals: 0, refusals: 0 })
    await failure(policy.run(failing(transient(), transient())))
    expect(budget.snapshot()).toMatchObject({ withdrawals: 1, refusals: 0 })
  })

  const always = { permanent: new Error('bug'), hint: throttled(70_000), transient: transient() }
  const empty = (): Budget => new RetryBudget({ ratio: 0, minPerSecond: 0, clock })
  it('asks in this order: permanent, attempts, hint, deadline, budget', () => {
    const exhausted = { maxAttempts: 1, maxElapsedMs: 1 }
    const reasonOf = (options: RetryOptions, error: unknown, budget = empty()) =>
      make({ ...options, budget })
        .session()
        .fail(error)
    expect(reasonOf(exhausted, always.permanent)).toEqual({ retry: false, reason: 'permanent' })
    expect(reasonOf(exhausted, always.hint)).toEqual({ retry: false, reason: 'attempts' })
    expect(reasonOf({ maxElapsedMs: 1 }, always.hint)).toEqual({ retry: false, reason: 'retry-after' })
    expect(reasonOf({ maxElapsedMs: 1 }, always.transient)).toEqual({ retry: false, reason: 'deadline' })
    expect(reasonOf({}, always.transient)).toEqual({ retry: false, reason: 'budget' })
    expect(reasonOf({}, always.transient, new RetryBudget({ clock }))).toEqual({
      retry: true,
      attempt: 2,
      delayMs: 100,
    })
  })

  it('tells onRetry what is coming, before the wait', async () => {
    const events: (RetryEvent & { atMs: number })[] = []
    const [first, second] = [transient('1'), transient('2')]
    const policy = make({ onRetry: (event) => events.push({ ...event, atMs: clock.now() }) })
    await clock.run(policy.run(failing(first, second)))
    expect(events).toEqual([
      { attempt: 2, delayMs: 100, error: first, atMs: 0 },
      { attempt: 3, delayMs: 200, error: second, atMs: 100 },
    ])
  })

  it('reports what onRetry throws, and goes on', async () => {
    const policy = make({
      onRetry: () => {
        throw new Error('no')
      },
    })
    await expect(clock.run(policy.run(failing(transient())))).resolves.toBe(2)
    expect(logger.at('error').map(({ message }) => message)).toEqual(['RetryPolicy.onRetry: no'])
  })

  it('counts runs, attempts, retries, successes and why it gave up', async () => {
    const policy = make({ maxAttempts: 2 })
    await policy.run(() => 1)
    await clock.run(policy.run(failing(transient()), { deadline: 1e9 }))
    await failure(policy.run(failing(transient(), transient())))
    await failure(policy.run(failing(new Error('bug'))))
    await failure(policy.run(failing(), { signal: AbortSignal.abort() }))
    await failure(policy.run(failing(), { deadline: clock.now() }))
    await failure(policy.run(failing(throttled(1e9))))
    await failure(policy.run(failing(transient()), { budget: empty() }))
    const snapshot = policy.snapshot()
    expect(snapshot).toEqual({
      runs: 8,
      attempts: 8,
      retries: 2,
      successes: 2,
      giveUps: { permanent: 1, attempts: 1, 'retry-after': 1, deadline: 1, budget: 1, aborted: 1 },
    })
    expect(Object.isFrozen(snapshot) && Object.isFrozen(snapshot.giveUps)).toBe(true)
  })

  it('reads no clock and sets no timer for a call that succeeds', async () => {
    const reads: string[] = []
    const watched: Clock = {
      now: () => reads.push('now'),
      wallNow: () => reads.push('wallNow'),
      setTimer: () => {
        throw new Error('a timer')
      },
      sleep: async () => {
        throw new Error('a sleep')
      },
    }
    const policy = new RetryPolicy({ clock: watched })
    await policy.run(async () => 1)
    await policy.run(async () => 1, { signal: new AbortController().signal, idempotent: false })
    expect(reads).toEqual([])
  })
})

describe('Delays (RB-5..8)', () => {
  const delays = (options: RetryOptions, ...errors: unknown[]) => {
    const session = make({ maxAttempts: 100, ...options }).session()
    return errors.map((error) => {
      const decision = session.fail(error)
      return decision.retry ? decision.delayMs : decision.reason
    })
  }

  it('has the defaults 50 ms, 1 s, 20 s, doubled, with full jitter', () => {
    const delaysWith = (u: number, error: unknown) => {
      const session = new RetryPolicy({ clock, maxAttempts: 100, random: loaded(u) }).session()
      return Array.from({ length: 11 }, () => {
        const decision = session.fail(error)
        return decision.retry ? Math.round(decision.delayMs) : decision.reason
      })
    }
    const highest = 1 - 2 ** -53
    expect(delaysWith(highest, transient())).toEqual([
      50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 20_000, 20_000,
    ])
    expect(delaysWith(highest, { status: 429 }).slice(0, 7)).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000,
    ])
    expect(new Set(delaysWith(0, transient()))).toEqual(new Set([0]))
  })

  it('waits longer after a throttled failure, whose base is also its lowest cap', () => {
    const options = { maxMs: 400, throttledBaseMs: 1_000 }
    expect(delays(options, transient(), { status: 429 }, transient(), { status: 429 })).toEqual([
      100, 1_000, 400, 1_000,
    ])
  })

  it('never comes back before the time of the server, and not all at that very time', () => {
    expect(delays({ throttledBaseMs: 10 }, throttled(500), throttled(0))).toEqual([510, 20])
    const hint = new TransportError('CONNECT_FAILED', 'refused', { retryAfterMs: 30 })
    expect(delays({}, hint)).toEqual([130])
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 60_000 }), (seed, retryAfterMs) => {
        const [delayMs] = delays({ jitter: 'full', random: new SeededRandom(seed) }, throttled(retryAfterMs))
        expect(delayMs).toBeGreaterThanOrEqual(retryAfterMs)
        expect(delayMs).toBeLessThan(retryAfterMs + 1_000)
      }),
    )
  })

  it('does not take the wish of a server for a backoff that grows', () => {
    const options = { jitter: 'decorrelated', random: loaded(0.5), throttledBaseMs: 100 } as const
    expect(delays(options, throttled(5_000), throttled(0))).toEqual([5_200, 350])
  })

  it('ends the run at once when the server asks for more than maxRetryAfterMs', async () => {
    const week = new Response(null, { status: 503, headers: { 'retry-after': '604800' } })
    expect(await failure(make().run(failing(week)))).toMatchObject({ code: 'RETRY_AFTER_TOO_LONG', attempts: 1 })
    expect(clock.now()).toBe(0)
    expect(delays({}, throttled(60_000), throttled(60_001))).toEqual([61_000, 'retry-after'])
  })

  it('reads a date by the wall clock it is given', () => {
    const date = new Date(clock.wallNow() + 3_000).toUTCString()
    expect(
      delays({ throttledBaseMs: 0 }, new Response(null, { status: 503, headers: { 'retry-after': date } })),
    ).toEqual([3_000])
  })

  it('keeps the previous delay of each session apart', () => {
    const alone = (seed: number) => {
      const session = make({ jitter: 'decorrelated', maxAttempts: 20, random: new SeededRandom(seed) }).session()
      return Array.from({ length: 10 }, () => session.fail(transient()))
    }
    const policy = make({ jitter: 'decorrelated', maxAttempts: 20, random: loaded(0.9), maxMs: 1e9 })
    const single = Array.from(
      { length: 6 },
      (
        (session) => () =>
          session.fail(transient())
      )(policy.session()),
    )
    const [one, two] = [policy.session(), policy.session()]
    const interleaved = Array.from({ length: 6 }, () => [one.fail(transient()), two.fail(transient())])
    expect(interleaved.map(([first]) => first)).toEqual(single)
    expect(interleaved.map(([, second]) => second)).toEqual(single)
    expect(alone(1)).toEqual(alone(1))
    expect(alone(1)).not.toEqual(alone(2))
  })
})

describe('What may be repeated (RB-2, RB-3)', () => {
  it('rethrows what is permanent, the same object', async () => {
    const bug = new TypeError('x is undefined')
    expect(await failure(make().run(failing(bug)))).toBe(bug)
    const gone = new Response(null, { status: 404 })
    expect(await failure(make().run(failing(transient(), gone)))).toBe(gone)
    expect(starts).toHaveLength(3)
  })

  it('repeats a call that must not run twice only if it cannot have run, or was refused', async () => {
    const lost = transient()
    expect(await failure(make({ idempotent: false }).run(failing(lost)))).toBe(lost)
    expect(await failure(make().run(failing(lost), { idempotent: false }))).toBe(lost)
    const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    await expect(clock.run(make({ idempotent: false }).run(failing(refused)))).resolves.toBe(2)
    await expect(clock.run(make({ idempotent: false }).run(failing(throttled(5))))).resolves.toBe(2)
    await expect(clock.run(make({ idempotent: false }).run(failing(lost), { idempotent: true }))).resolves.toBe(2)
  })

  it('judges by classify, by kind or in full', async () => {
    await expect(clock.run(make({ classify: () => 'transient' }).run(failing(new Error('x'))))).resolves.toBe(2)
    const classify = () => ({ kind: 'throttled', retryAfterMs: 250 }) as const
    starts = []
    const from = clock.now()
    await clock.run(make({ classify, throttledBaseMs: 0 }).run(failing(new Error('x'))))
    expect(starts.map((at) => at - from)).toEqual([0, 250])
  })

  it('ends with what classify throws, as permanent, with the original as its cause', async () => {
    const original = transient()
    const broken = new Error('classify')
    const classify = () => {
      throw broken
    }
    const policy = make({ classify })
    expect(await failure(policy.run(failing(original)))).toBe(broken)
    expect(broken.cause).toBe(original)
    expect(policy.snapshot().giveUps.permanent).toBe(1)
    expect(policy.session().fail(original)).toEqual({ retry: false, reason: 'permanent' })
    expect(logger.at('error').map(({ message }) => message)).toEqual(['RetryPolicy.classify: classify'])
  })

  it('keeps the cause that an error of classify has', async () => {
    const broken = new Error('classify', { cause: 'its own' })
    const classify = () => {
      throw broken
    }
    expect(await failure(make({ classify }).run(failing(transient())))).toBe(broken)
    expect(broken.cause).toBe('its own')
  })

  it.each([
    'maybe',
    undefined,
    { kind: 'odd' },
    { kind: 'transient', retryAfterMs: -1 },
    { kind: 'transient', retryAfterMs: 'x' },
  ])('takes %j from classify as an error of it', async (answer) => {
    const error = transient()
    const outcome = await failure(make({ classify: () => answer as 'transient' }).run(failing(error)))
    expect(outcome).toMatchObject({ code: 'INVALID_ARGUMENT', cause: error })
  })
})

describe('Ends (RB-13)', () => {
  it('says why, after how many attempts and how long, with the last error as cause', async () => {
    const last = transient('third')
    const error = await failure(make().run(failing(transient(), transient(), last)))
    expect(error).toBeInstanceOf(RetryError)
    expect(error).toMatchObject({
      code: 'RETRY_ATTEMPTS_EXHAUSTED',
      reason: 'attempts',
      attempts: 3,
      elapsedMs: 300,
      cause: last,
    })
    expect((error as RetryError).message).toMatch(/3 attempts in 300 ms.*attempts.*third/)
    expect((error as RetryError).name).toBe('RetryError')
  })

  it('has a code for each reason', async () => {
    const codes = [
      await failure(make({ maxAttempts: 1 }).run(failing(transient()))),
      await failure(make().run(failing(throttled(1e6)))),
      await failure(make({ maxElapsedMs: 50 }).run(failing(transient()))),
      await failure(make({ budget: new RetryBudget({ ratio: 0, minPerSecond: 0, clock }) }).run(failing(transient()))),
    ].map((error) => (error as RetryError).code)
    expect(codes).toEqual([
      'RETRY_ATTEMPTS_EXHAUSTED',
      'RETRY_AFTER_TOO_LONG',
      'RETRY_DEADLINE_EXCEEDED',
      'RETRY_BUDGET_EXHAUSTED',
    ])
  })

  it('measures from the start where a limit or the attempt looks at the clock, else from the first failure', async () => {
    const slowly = async () => {
      await clock.sleep(40)
      throw transient()
    }
    const elapsed = async (policy: RetryPolicy, fn: (context: AttemptContext) => Promise<never>) =>
      ((await failure(policy.run(fn))) as RetryError).elapsedMs
    expect(await elapsed(make({ maxAttempts: 2, maxElapsedMs: 1_000 }), slowly)).toBe(180)
    expect(await elapsed(make({ maxAttempts: 2, attemptTimeoutMs: 1_000 }), slowly)).toBe(180)
    expect(await elapsed(make({ maxAttempts: 2 }), async ({ signal }) => (signal.throwIfAborted(), slowly()))).toBe(180)
    expect(await elapsed(make({ maxAttempts: 2 }), slowly)).toBe(140)
  })
})

describe('Deadlines (RB-10)', () => {
  it('gives up at once when the delay does not fit', async () => {
    const error = await failure(make().run(failing(transient(), transient()), { deadline: 300 }))
    expect(error).toMatchObject({ code: 'RETRY_DEADLINE_EXCEEDED', attempts: 2, elapsedMs: 100 })
    expect(clock.now()).toBe(100)
  })

  it('takes the sooner of deadline and maxElapsedMs', async () => {
    const remaining = (options: RetryOptions, deadline?: number) =>
      make(options).run(({ remainingMs }) => remainingMs, deadline === undefined ? {} : { deadline })
    await clock.advanceAsync(1_000)
    expect(await remaining({ maxElapsedMs: 500 })).toBe(500)
    expect(await remaining({ maxElapsedMs: 500 }, 1_200)).toBe(200)
    expect(await remaining({ maxElapsedMs: 500 }, 2_000)).toBe(500)
  })

  it('times an attempt out that is under way at the deadline', async () => {
    let signal: AbortSignal | undefined
    const error = await failure(
      make({ maxElapsedMs: 250 }).run((context) => {
        signal = context.signal
        return new Promise(() => {})
      }),
    )
    expect(error).toMatchObject({ code: 'RETRY_DEADLINE_EXCEEDED', attempts: 1, elapsedMs: 250 })
    expect((error as RetryError).cause).toBeInstanceOf(TimeoutError)
    expect(signal?.reason).toBe((error as RetryError).cause)
    expect(clock.pendingTimers).toBe(0)
  })

  it('starts nothing after the deadline, not even the first attempt', async () => {
    const budget = new RetryBudget({ clock })
    await clock.advanceAsync(500)
    const error = await failure(make({ budget }).run(failing(), { deadline: 500 }))
    expect(error).toMatchObject({ code: 'RETRY_DEADLINE_EXCEEDED', attempts: 0 })
    expect((error as RetryError).cause).toBeUndefined()
    expect([starts, budget.snapshot().deposits]).toEqual([[], 0])
  })

  it('starts nothing after the deadline when a timer was late', async () => {
    const late: Clock = {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      setTimer: (ms, fn) => clock.setTimer(ms + 500, fn),
      sleep: (ms, signal) => clock.sleep(ms + 500, signal),
    }
    const error = await failure(make({ clock: late }).run(failing(transient()), { deadline: 400 }))
    expect(error).toMatchObject({ code: 'RETRY_DEADLINE_EXCEEDED', attempts: 1 })
    expect(starts).toEqual([0])
  })

  it('never starts an attempt after its deadline, whatever happens', async () => {
    const durations = fc.array(fc.nat(400), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(
        durations,
        fc.nat(1_500),
        fc.nat(300),
        fc.integer(),
        async (works, deadline, timeoutMs, seed) => {
          clock = new VirtualClock()
          starts = []
          const limit = timeoutMs === 0 ? {} : { attemptTimeoutMs: timeoutMs }
          const policy = make({ maxAttempts: 20, jitter: 'full', random: new SeededRandom(seed), ...limit })
          const fn = async ({ attempt }: AttemptContext) => {
            starts.push(clock.now())
            await clock.sleep(works[attempt % works.length] ?? 0)
            throw transient()
          }
          const error = await failure(policy.run(fn, { deadline }))
          expect(error).toBeInstanceOf(RetryError)
          for (const at of starts) expect(at).toBeLessThan(deadline)
          expect(clock.now()).toBeLessThanOrEqual(deadline)
        },
      ),
      { numRuns: 50 },
    )
  })
})

describe('Time limit of an attempt (RB-11)', () => {
  it('fails the attempt, aborts its signal with the error, and tries again', async () => {
    const signals: AbortSignal[] = []
    const hangs = ({ attempt, signal }: AttemptContext) => {
      signals.push(signal)
      starts.push(clock.now())
      return attempt < 3 ? new Promise<number>(() => {}) : attempt
    }
    await expect(clock.run(make({ attemptTimeoutMs: 50 }).run(hangs))).resolves.toBe(3)
    expect(starts).toEqual([0, 150, 400])
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false])
    expect(signals[0]?.reason).toBeInstanceOf(TimeoutError)
    expect(clock.pendingTimers).toBe(0)
  })

  it('drops what an attempt does later that ignores its signal, also a rejection', async () => {
    const unhandled: unknown[] = []
    const listen = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', listen)
    const deaf = async ({ attempt }: AttemptContext) => {
      if (attempt === 1) {
        await clock.sleep(1_000)
        throw new Error('late')
      }
      return attempt
    }
    await expect(clock.run(make({ attemptTimeoutMs: 50 }).run(deaf))).resolves.toBe(2)
    await clock.advanceAsync(2_000)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', listen)
    expect(unhandled).toEqual([])
  })

  it('leaves no timer after a success', async () => {
    await make({ attemptTimeoutMs: 50, maxElapsedMs: 100 }).run(async () => 1)
    expect(clock.pendingTimers).toBe(0)
  })

  it('shows an abort to an attempt that reads its signal only later', async () => {
    let context: AttemptContext | undefined
    const error = await failure(
      make({ attemptTimeoutMs: 50, maxAttempts: 1 }).run((given) => {
        context = given
        return new Promise(() => {})
      }),
    )
    expect(context?.signal.aborted).toBe(true)
    expect(context?.signal.reason).toBe((error as RetryError).cause)
  })
})

describe('Abort (RB-12)', () => {
  let caller: AbortController
  const reason = { why: 'enough' }
  const listeners = () => getEventListeners(caller.signal, 'abort').length

  beforeEach(() => {
    caller = new AbortController()
  })

  it('rejects before the first attempt without depositing', async () => {
    caller.abort(reason)
    const budget = new RetryBudget({ clock })
    expect(await failure(make({ budget }).run(failing(), { signal: caller.signal }))).toBe(reason)
    expect([starts, budget.snapshot().deposits, listeners()]).toEqual([[], 0, 0])
  })

  it.each([true, false])('rejects at once during an attempt, whether it reads its signal: %s', async (reads) => {
    let context: AttemptContext | undefined
    const running = make().run(
      (given) => {
        context = given
        if (reads) void given.signal
        return new Promise(() => {})
      },
      { signal: caller.signal },
    )
    const outcome = expect(running).rejects.toBe(reason)
    await clock.advanceAsync(10)
    expect(listeners()).toBe(1)
    caller.abort(reason)
    expect(context?.signal.reason).toBe(reason)
    await outcome
    expect(listeners()).toBe(0)
  })

  it('rejects when it is aborted in the step that started the attempt', async () => {
    const running = make().run(() => new Promise(() => {}), { signal: caller.signal })
    caller.abort(reason)
    await expect(running).rejects.toBe(reason)
    expect(listeners()).toBe(0)
  })

  it('rejects when the attempt itself aborts it, though it succeeds', async () => {
    const fn = async ({ signal }: AttemptContext) => {
      caller.abort(reason)
      return signal.aborted
    }
    const policy = make()
    await expect(policy.run(fn, { signal: caller.signal })).rejects.toBe(reason)
    expect(policy.snapshot()).toMatchObject({ successes: 0, giveUps: { aborted: 1 } })
  })

  it('rejects when the attempt aborts it and never looks at its signal, succeed or fail', async () => {
    const lost = transient()
    const outcomes = [async () => 'done', async () => Promise.reject(lost)]
    for (const outcome of outcomes) {
      caller = new AbortController()
      const fn = () => {
        caller.abort(reason)
        return outcome()
      }
      await expect(make().run<unknown>(fn, { signal: caller.signal })).rejects.toBe(reason)
    }
  })

  it('is no failure to repeat, in a later attempt either, whatever the reason looks like', async () => {
    const retryable = transient('the reason')
    const fn = async ({ attempt }: AttemptContext) => {
      starts.push(clock.now())
      if (attempt === 1) throw transient()
      await clock.sleep(1_000)
    }
    const events: RetryEvent[] = []
    const policy = make({ maxAttempts: 9, onRetry: (event) => events.push(event) })
    const outcome = expect(policy.run(fn, { signal: caller.signal })).rejects.toBe(retryable)
    await clock.advanceAsync(150)
    caller.abort(retryable)
    await outcome
    await clock.advanceAsync(5_000)
    expect([starts, events.length]).toEqual([[0, 100], 1])
    expect(policy.snapshot().giveUps).toMatchObject({ aborted: 1, permanent: 0 })
  })

  it('rejects at once between attempts', async () => {
    const policy = make({ baseMs: 10_000, maxMs: 10_000 })
    const running = policy.run(failing(transient()), { signal: caller.signal })
    const outcome = expect(running).rejects.toBe(reason)
    await clock.advanceAsync(10)
    expect(clock.pendingTimers).toBe(1)
    caller.abort(reason)
    await outcome
    expect([starts.length, clock.pendingTimers, listeners()]).toEqual([1, 0, 0])
    expect(policy.snapshot().giveUps.aborted).toBe(1)
  })

  it('rejects with the reason, not with what the attempt makes of it', async () => {
    const fn = async ({ signal, attempt }: AttemptContext) => {
      if (attempt === 1) throw transient()
      await clock.sleep(1_000, signal).catch(() => {
        throw transient('wrapped')
      })
    }
    const running = make().run(fn, { signal: caller.signal })
    const outcome = expect(running).rejects.toBe(reason)
    await clock.advanceAsync(150)
    caller.abort(reason)
    await outcome
    expect([clock.pendingTimers, listeners()]).toEqual([0, 0])
  })

  it('leaves no listener after a success or a failure', async () => {
    const call = { signal: caller.signal }
    await make().run(async ({ signal }) => signal.aborted, call)
    await clock.run(make({ attemptTimeoutMs: 9 }).run(failing(transient()), call))
    await failure(make().run(failing(new Error('bug')), call))
    await clock.run(make().run(() => clock.sleep(5), call))
    expect([clock.pendingTimers, listeners()]).toEqual([0, 0])
  })

  it('gives an attempt without a caller a signal that never aborts', async () => {
    const signal = await make().run((context) => context.signal)
    expect(signal.aborted).toBe(false)
    const context = await make().run((given) => given)
    expect(context.signal).toBe(context.signal)
  })
})

describe('RetryPolicy.session (RB-15)', () => {
  it('decides as run does, without a timer', async () => {
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 0.1, clock })
    const policy = make({ budget, maxAttempts: 3 })
    const session = policy.session()
    expect([session.attempts, budget.snapshot().deposits]).toEqual([1, 1])
    expect(session.fail(transient())).toEqual({ retry: true, attempt: 2, delayMs: 100 })
    expect(session.attempts).toBe(2)
    expect(session.fail(transient())).toEqual({ retry: false, reason: 'budget' })
    expect(session.attempts).toBe(2)
    expect(clock.pendingTimers).toBe(0)
    expect(policy.snapshot()).toMatchObject({ runs: 1, attempts: 2, retries: 1, giveUps: { budget: 1 } })
  })

  it('knows deadline, budget and idempotent of its call', () => {
    const policy = make({ maxElapsedMs: 1_000 })
    expect(policy.session({ deadline: 100 }).fail(transient())).toEqual({ retry: false, reason: 'deadline' })
    expect(policy.session({ deadline: 101 }).fail(transient())).toMatchObject({ retry: true })
    expect(policy.session({ idempotent: false }).fail(transient())).toEqual({ retry: false, reason: 'permanent' })
    const late = policy.session()
    clock.advance(950)
    expect(late.fail(transient())).toEqual({ retry: false, reason: 'deadline' })
  })

  it('gives the delays that run waits', async () => {
    const options = { maxAttempts: 6, jitter: 'decorrelated' } as const
    const session = make({ ...options, random: new SeededRandom(5) }).session()
    const expected = Array.from({ length: 5 }, () => session.fail(transient()))
    const seen: number[] = []
    const policy = make({ ...options, random: new SeededRandom(5), onRetry: ({ delayMs }) => seen.push(delayMs) })
    await clock.run(policy.run(failing(...Array.from({ length: 5 }, () => transient()))))
    expect(seen).toEqual(expected.map((decision) => decision.retry && decision.delayMs))
  })
})

describe('Bad input of RetryPolicy', () => {
  it.each([
    [{ maxAttempts: 0 }, ['maxAttempts']],
    [{ maxAttempts: 101 }, ['maxAttempts']],
    [{ maxAttempts: 1.5 }, ['maxAttempts']],
    [{ baseMs: -1 }, ['baseMs']],
    [{ baseMs: 200, maxMs: 100 }, ['maxMs']],
    [{ baseMs: 30_000 }, ['maxMs']],
    [{ factor: 0.5 }, ['factor']],
    [{ factor: 11 }, ['factor']],
    [{ jitter: 'some' }, ['jitter']],
    [{ maxRetryAfterMs: -1 }, ['maxRetryAfterMs']],
    [{ attemptTimeoutMs: 0 }, ['attemptTimeoutMs']],
    [{ maxElapsedMs: NaN }, ['maxElapsedMs']],
    [{ budget: {} }, ['budget']],
    [{ classify: 5, onRetry: 5 }, ['classify', 'onRetry']],
    [{ attempts: 3 }, ['attempts']],
    [{ maxAttempts: 0, baseMs: 200, maxMs: 100, jiter: 'full' }, ['jiter', 'maxAttempts', 'maxMs']],
  ])('refuses %j, naming all that is wrong', (bad, paths) => {
    try {
      new RetryPolicy(bad as RetryOptions)
    } catch (error) {
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
      const { issues } = error as { issues: { path: string }[] }
      expect(issues.map(({ path }) => path).sort()).toEqual(paths)
      return
    }
    throw new Error('it was taken')
  })

  it('takes limits that are infinite', () => {
    const policy = new RetryPolicy({ attemptTimeoutMs: Infinity, maxElapsedMs: Infinity })
    expect(policy.snapshot().runs).toBe(0)
  })

  it.each([{ deadline: NaN }, { deadline: '5' }, { signal: {} }, { budget: { deposit: () => {} } }, { idempotent: 1 }])(
    'rejects a call with %j without calling anything',
    async (bad) => {
      const policy = make()
      expect(await failure(policy.run(failing(), bad as object))).toMatchObject({ code: 'INVALID_ARGUMENT' })
      expect(starts).toEqual([])
      expect(policy.snapshot().runs).toBe(0)
    },
  )

  it('rejects what is no function', async () => {
    expect(await failure(make().run('fn' as unknown as () => void))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('rejects with what a broken budget throws', async () => {
    const broken = new Error('budget')
    const budget: Budget = {
      deposit: () => {
        throw broken
      },
      canWithdraw: () => true,
      tryWithdraw: () => true,
    }
    expect(await failure(make({ budget }).run(failing()))).toBe(broken)
    expect(await failure(make().run(failing(), { budget, deadline: 5 }))).toBe(broken)
  })
})
