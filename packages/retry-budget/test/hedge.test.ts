import { getEventListeners } from 'node:events'
import { HsError } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import { hedge, RetryBudget, type AttemptContext, type HedgeOptions } from '@hs/retry-budget'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const transient = () => Object.assign(new Error('lost'), { retryable: true })

/** Answers after `ms`, or fails then; heeds its signal. */
const after = async (clock: VirtualClock, ms: number, signal: AbortSignal, error?: unknown) => {
  await clock.sleep(ms, signal)
  if (error !== undefined) throw error
}

describe('hedge (RB-21)', () => {
  let clock: VirtualClock
  let caller: AbortController
  let contexts: AttemptContext[]
  let startedAt: number[]

  beforeEach(() => {
    clock = new VirtualClock()
    caller = new AbortController()
    contexts = []
    startedAt = []
  })

  afterEach(() => {
    expect(clock.pendingTimers).toBe(0)
    expect(getEventListeners(caller.signal, 'abort')).toEqual([])
  })

  /** Attempt k does what the k-th script says. */
  const run = (
    scripts: ((context: AttemptContext) => unknown)[],
    options: Partial<HedgeOptions> = {},
  ): Promise<unknown> => {
    const call = (context: AttemptContext) => {
      contexts.push(context)
      startedAt.push(clock.now())
      return scripts[contexts.length - 1]?.(context)
    }
    return hedge(call, { delayMs: 100, clock, signal: caller.signal, ...options })
  }
  const slow =
    (ms: number, value: string) =>
    async ({ signal }: AttemptContext) => {
      await after(clock, ms, signal)
      return value
    }
  const failing =
    (ms: number, error: unknown) =>
    async ({ signal }: AttemptContext) =>
      after(clock, ms, signal, error)

  it('starts nothing beside a call that answers in time', async () => {
    expect(await clock.run(run([slow(99, 'first')]))).toBe('first')
    expect(startedAt).toEqual([0])
    expect(contexts[0]).toMatchObject({ attempt: 1, remainingMs: Infinity })
    expect(contexts[0]?.signal.aborted).toBe(false)
  })

  it('starts another after the delay, and the first success wins', async () => {
    expect(await clock.run(run([slow(1_000, 'first'), slow(50, 'second')]))).toBe('second')
    expect(startedAt).toEqual([0, 100])
    expect(contexts[1]?.attempt).toBe(2)
    expect(contexts[0]?.signal.reason).toMatchObject({ name: 'AbortError' })
    expect(contexts[1]?.signal.aborted).toBe(false)
  })

  it('starts up to maxHedges, asking for the delay each time', async () => {
    const delays = [10, 20, 40]
    const scripts = [slow(500, 'a'), slow(500, 'b'), slow(500, 'c'), slow(500, 'd')]
    expect(await clock.run(run(scripts, { maxHedges: 3, delayMs: () => delays.shift() ?? NaN }))).toBe('a')
    expect(startedAt).toEqual([0, 10, 30, 70])
    expect(delays).toEqual([])
  })

  it('does not hedge where the delay is no finite number', async () => {
    expect(await clock.run(run([slow(1_000, 'first')], { delayMs: () => NaN }))).toBe('first')
    expect(startedAt).toEqual([0])
  })

  it('deposits once, pays for each further attempt, and keeps waiting when refused', async () => {
    const budget = new RetryBudget({ ratio: 1, minPerSecond: 0, clock })
    const scripts = [slow(1_000, 'a'), slow(1_000, 'b'), slow(1_000, 'c')]
    expect(await clock.run(run(scripts, { budget, maxHedges: 2 }))).toBe('a')
    expect(startedAt).toEqual([0, 100])
    expect(budget.snapshot()).toMatchObject({ deposits: 1, withdrawals: 1, refusals: 1 })
  })

  it('waits for the others after a failure, and throws the last error when none is left', async () => {
    const last = transient()
    await expect(clock.run(run([failing(150, transient()), failing(200, last)]))).rejects.toBe(last)
    expect(startedAt).toEqual([0, 100])
    expect(clock.now()).toBe(300)
  })

  it('gives the success of the other after a failure', async () => {
    expect(await clock.run(run([failing(150, transient()), slow(200, 'second')]))).toBe('second')
  })

  it('starts the next at once when none is left', async () => {
    expect(await clock.run(run([failing(30, transient()), slow(50, 'second')]))).toBe('second')
    expect(startedAt).toEqual([0, 30])
    expect(clock.now()).toBe(80)
  })

  it('throws the error when none is left and the budget refuses', async () => {
    const error = transient()
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 0, clock })
    await expect(clock.run(run([failing(30, error)], { budget }))).rejects.toBe(error)
    expect(startedAt).toEqual([0])
  })

  it('rejects at once on a permanent failure, and aborts the others', async () => {
    const error = new TypeError('bug')
    await expect(clock.run(run([slow(1_000, 'first'), failing(20, error)]))).rejects.toBe(error)
    expect(clock.now()).toBe(120)
    expect(contexts[0]?.signal.reason).toBe(error)
  })

  it('takes a synchronous throw as a failure and a plain value as a success', async () => {
    const sync = [
      () => {
        throw transient()
      },
      () => 'plain',
    ]
    expect(await clock.run(run(sync))).toBe('plain')
    expect(startedAt).toEqual([0, 0])
  })

  it('ends with the reason of its signal, before and during', async () => {
    const reason = new Error('enough')
    const running = run([slow(1_000, 'a'), slow(1_000, 'b')])
    const outcome = expect(running).rejects.toBe(reason)
    await clock.advanceAsync(150)
    caller.abort(reason)
    await outcome
    expect(contexts.map(({ signal }) => signal.reason as unknown)).toEqual([reason, reason])
    await expect(run([slow(1, 'never')])).rejects.toBe(reason)
    expect(contexts).toHaveLength(2)
  })

  it('drops what a loser does later, also a rejection', async () => {
    const deaf = async () => {
      await clock.sleep(500)
      throw new Error('nobody hears this')
    }
    expect(await clock.run(run([deaf, slow(10, 'second')]))).toBe('second')
    await clock.advanceAsync(1_000)
    expect(contexts).toHaveLength(2)
  })

  it('judges by classify, whose own error ends it', async () => {
    const error = new Error('odd')
    expect(await clock.run(run([failing(10, error), slow(5, 'second')], { classify: () => 'transient' }))).toBe(
      'second',
    )
    contexts = []
    const broken = new Error('classify')
    const classify = () => {
      throw broken
    }
    await expect(clock.run(run([failing(10, error)], { classify }))).rejects.toBe(broken)
    expect(broken.cause).toBe(error)
  })

  it('ends with what a function for the delay throws', async () => {
    const broken = new Error('digest')
    const delayMs = () => {
      throw broken
    }
    await expect(run([slow(10, 'first')], { delayMs })).rejects.toBe(broken)
    expect(contexts[0]?.signal.reason).toBe(broken)
    await clock.advanceAsync(10)
  })

  it.each([
    { delayMs: -1 },
    { delayMs: NaN },
    { maxHedges: 0 },
    { maxHedges: 11 },
    { budget: {} },
    { signal: {} },
    { clock: {} },
    { classify: 5 },
    { delay: 5 },
  ])('refuses %j', async (bad) => {
    await expect(run([slow(1, 'never')], bad as object)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    expect(contexts).toEqual([])
  })

  it('refuses what is no function', async () => {
    const outcome = hedge('fn' as unknown as () => void, { delayMs: 1 })
    await expect(outcome).rejects.toSatisfy((error) => HsError.is(error, 'INVALID_ARGUMENT'))
  })
})
