import { MemoryLogger, VirtualClock } from '@hs/core/testing'
import { BestEffortCompletion, type BestEffortOptions, type BestEffortResult } from '@hs/retry-budget'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const make = (options: Partial<BestEffortOptions> = {}) => {
  const clock = new VirtualClock()
  const logger = new MemoryLogger()
  const results: BestEffortResult[] = []
  const completion = new BestEffortCompletion({
    targets: ['eu', 'us', 'ap'],
    deadlineMs: 1_000,
    clock,
    logger,
    onComplete: (result) => results.push(result),
    ...options,
  })
  return { clock, logger, results, completion }
}

describe('BestEffortCompletion (RB-22..24)', () => {
  it('completes when all have reported', async () => {
    const { clock, results, completion } = make()
    expect(completion.record('us', 'failed')).toBe('recorded')
    expect(completion.record('ap', 'succeeded')).toBe('recorded')
    expect(completion.result).toBeUndefined()
    expect(completion.record('eu', 'succeeded')).toBe('recorded')
    const expected = {
      reason: 'all-reported',
      success: true,
      partial: true,
      succeeded: ['eu', 'ap'],
      failed: ['us'],
      missing: [],
    }
    expect(completion.result).toEqual(expected)
    expect(results).toEqual([expected])
    await expect(completion.done).resolves.toBe(completion.result)
    expect(clock.pendingTimers).toBe(0)
  })

  it('waits for the deadline by default, though the minimum is there, with one timer', () => {
    const { clock, results, completion } = make()
    completion.record('eu', 'succeeded')
    expect(clock.pendingTimers).toBe(1)
    clock.advance(999)
    expect(results).toEqual([])
    clock.advance(1)
    expect(clock.now()).toBe(1_000)
    expect(results).toEqual([expect.objectContaining({ reason: 'deadline', success: true, missing: ['us', 'ap'] })])
    expect(clock.pendingTimers).toBe(0)
  })

  it('does not succeed at the deadline with fewer than the minimum', () => {
    const { clock, completion } = make({ minSuccesses: 2 })
    completion.record('eu', 'succeeded')
    clock.advance(1_000)
    expect(completion.result).toMatchObject({ reason: 'deadline', success: false, partial: true })
  })

  it('ends at once when the minimum is out of reach', () => {
    const { clock, completion } = make({ minSuccesses: 2 })
    completion.record('eu', 'failed')
    completion.record('us', 'failed')
    expect(completion.result).toMatchObject({ reason: 'unreachable-minimum', success: false, missing: ['ap'] })
    expect(clock.pendingTimers).toBe(0)
  })

  it('waits for stragglers once the minimum is there', () => {
    const { clock, completion } = make({ minSuccesses: 2, stragglerMs: 100 })
    completion.record('eu', 'succeeded')
    clock.advance(300)
    completion.record('us', 'succeeded')
    expect(clock.pendingTimers).toBe(2)
    clock.advance(99)
    expect(completion.result).toBeUndefined()
    clock.advance(1)
    expect(completion.result).toMatchObject({ reason: 'minimum-reached', success: true, missing: ['ap'] })
    expect(clock.pendingTimers).toBe(0)
  })

  it('does not wait for stragglers at all with 0', () => {
    const { clock, completion } = make({ stragglerMs: 0 })
    completion.record('us', 'succeeded')
    expect(completion.result).toMatchObject({ reason: 'minimum-reached', missing: ['eu', 'ap'] })
    expect(clock.pendingTimers).toBe(0)
  })

  it('begins to wait for stragglers anew when a success was taken back', () => {
    const { clock, completion } = make({ stragglerMs: 100 })
    completion.record('eu', 'succeeded')
    clock.advance(60)
    expect(completion.record('eu', 'failed')).toBe('updated')
    expect(clock.pendingTimers).toBe(1)
    clock.advance(60)
    completion.record('us', 'succeeded')
    clock.advance(60)
    expect(completion.result).toBeUndefined()
    clock.advance(40)
    expect(completion.result).toMatchObject({ reason: 'minimum-reached', succeeded: ['us'], failed: ['eu'] })
  })

  it('answers a report by what it changes', () => {
    const { completion } = make({ minSuccesses: 3, targets: ['eu', 'us', 'ap', 'sa', 'af'] })
    expect(completion.record('eu', 'failed')).toBe('recorded')
    expect(completion.record('eu', 'failed')).toBe('duplicate')
    expect(completion.record('eu', 'succeeded')).toBe('updated')
    expect(completion.snapshot()).toMatchObject({ state: 'waiting', succeeded: ['eu'], failed: [] })
  })

  it('is not kept from completing by a stranger', () => {
    const { completion } = make({ targets: ['eu', 'us'] })
    expect(completion.record('mars', 'succeeded')).toBe('unknown-target')
    expect(completion.record('__proto__', 'succeeded')).toBe('unknown-target')
    completion.record('eu', 'succeeded')
    completion.record('us', 'succeeded')
    expect(completion.result).toMatchObject({ reason: 'all-reported', partial: false, succeeded: ['eu', 'us'] })
  })

  it('keeps the result against what comes late, and counts that', () => {
    const { clock, completion, results } = make()
    completion.record('eu', 'succeeded')
    clock.advance(1_000)
    const { result } = completion
    expect(completion.record('us', 'succeeded')).toBe('late')
    expect(completion.record('eu', 'failed')).toBe('late')
    completion.cancel()
    expect(completion.result).toBe(result)
    expect(completion.snapshot()).toMatchObject({ state: 'complete', late: 2, remainingMs: 0, result })
    expect(results).toHaveLength(1)
  })

  it('can be cancelled', async () => {
    const { clock, completion } = make()
    completion.record('us', 'succeeded')
    completion.cancel()
    await expect(completion.done).resolves.toMatchObject({ reason: 'cancelled', success: true, succeeded: ['us'] })
    expect(clock.pendingTimers).toBe(0)
  })

  it('reports what onComplete throws, and completes', async () => {
    const { logger, completion } = make({
      stragglerMs: 0,
      onComplete: () => {
        throw new Error('no')
      },
    })
    completion.record('us', 'succeeded')
    await expect(completion.done).resolves.toMatchObject({ reason: 'minimum-reached' })
    expect(logger.at('error').map(({ message }) => message)).toEqual(['BestEffortCompletion.onComplete: no'])
  })

  it('shows a frozen snapshot', () => {
    const { clock, completion } = make()
    clock.advance(400)
    const snapshot = completion.snapshot()
    expect(snapshot).toEqual({
      state: 'waiting',
      succeeded: [],
      failed: [],
      missing: ['eu', 'us', 'ap'],
      remainingMs: 600,
      late: 0,
      result: null,
    })
    expect(Object.isFrozen(snapshot.missing)).toBe(true)
    completion.cancel()
    expect(Object.isFrozen(completion.result?.missing)).toBe(true)
  })

  it('completes exactly once, by the rule, for every order of reports, times and changes', () => {
    const targets = ['a', 'b', 'c', 'd']
    const steps = fc.array(
      fc.record({
        target: fc.constantFrom(...targets, 'stranger'),
        outcome: fc.constantFrom('succeeded' as const, 'failed' as const),
        waitMs: fc.nat(400),
      }),
      { maxLength: 20 },
    )
    const minimum = fc.integer({ min: 1, max: 4 })
    fc.assert(
      fc.property(steps, minimum, fc.option(fc.nat(500), { nil: undefined }), (reports, minSuccesses, stragglerMs) => {
        const straggling = stragglerMs === undefined ? {} : { stragglerMs }
        const { clock, completion, results } = make({ targets, minSuccesses, ...straggling })
        const known = new Map<string, 'succeeded' | 'failed'>()
        for (const { target, outcome, waitMs } of reports) {
          const wasOver = completion.result !== undefined
          const answer = completion.record(target, outcome)
          expect(answer === 'late').toBe(wasOver)
          if (!wasOver && target !== 'stranger') known.set(target, outcome)
          clock.advance(waitMs)
        }
        clock.advance(1_000)
        const succeeded = targets.filter((target) => known.get(target) === 'succeeded')
        expect(results).toHaveLength(1)
        expect(results[0]).toMatchObject({ succeeded, success: succeeded.length >= minSuccesses })
        expect(results[0]?.failed).toEqual(targets.filter((target) => known.get(target) === 'failed'))
        if (stragglerMs === undefined) expect(results[0]?.reason).not.toBe('minimum-reached')
        expect(clock.pendingTimers).toBe(0)
      }),
    )
  })

  it.each([
    [{ targets: [] }, ['targets']],
    [{ targets: ['a', 'a'] }, ['targets']],
    [{ minSuccesses: 4 }, ['minSuccesses']],
    [{ minSuccesses: 0, deadlineMs: 3_600_001, stragglerMs: -1 }, ['minSuccesses', 'deadlineMs', 'stragglerMs']],
    [{ deadlineMs: 0 }, ['deadlineMs']],
    [{ straglerMs: 5 }, ['straglerMs']],
    [{ onComplete: 5 }, ['onComplete']],
  ])('refuses %j and sets no timer', (bad, paths) => {
    const clock = new VirtualClock()
    const construct = () => new BestEffortCompletion({ targets: ['a', 'b', 'c'], clock, ...(bad as object) })
    expect(construct).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        issues: paths.map((path) => expect.objectContaining({ path }) as unknown),
      }),
    )
    expect(clock.pendingTimers).toBe(0)
  })

  it('refuses an outcome that is none', () => {
    const { completion } = make()
    expect(() => completion.record('eu', 'done' as 'failed')).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(completion.snapshot().missing).toHaveLength(3)
  })
})
