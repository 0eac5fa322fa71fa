import type { RuntimeOptions } from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import {
  BestEffortCompletion,
  decideCompletion,
  hedge,
  JobRetryBudget,
  RetryPolicy,
  type BestEffortCompletionSnapshot,
  type BestEffortResult,
  type CompletionReason,
  type RetryDecision,
  type RetryGrant,
} from '@hs/retry-budget'
import { describe, expect, expectTypeOf, it } from 'vitest'

describe('Types (RB-9, RB-15, RB-20..22)', () => {
  const clock = new VirtualClock()
  const policy = new RetryPolicy({ clock })

  it('run and hedge infer what fn gives, in whatever way', async () => {
    const text = policy.run(async () => 'text')
    const number = policy.run(({ attempt }) => attempt)
    const either = policy.run((): string | Promise<string> => 'x')
    expectTypeOf(text).toEqualTypeOf<Promise<string>>()
    expectTypeOf(number).toEqualTypeOf<Promise<number>>()
    expectTypeOf(either).toEqualTypeOf<Promise<string>>()
    const runtime: RuntimeOptions = { clock, random: new SeededRandom(1), logger: new MemoryLogger() }
    const hedged = hedge(async () => ({ id: 1 }), { delayMs: 5, ...runtime })
    expectTypeOf(hedged).toEqualTypeOf<Promise<{ id: number }>>()
    expect(await Promise.all([text, number, either, hedged])).toEqual(['text', 1, 'x', { id: 1 }])
  })

  it('decisions and grants narrow by their first field', () => {
    const decision: RetryDecision = policy.session().fail(new Error('bug'))
    if (decision.retry) expectTypeOf(decision.delayMs).toBeNumber()
    else expectTypeOf(decision.reason).toEqualTypeOf<'permanent' | 'attempts' | 'retry-after' | 'deadline' | 'budget'>()
    expect(decision).toEqual({ retry: false, reason: 'permanent' })

    const grant: RetryGrant = new JobRetryBudget().tryConsume('w')
    if (grant.granted) expectTypeOf(grant.workflowRemaining).toBeNumber()
    else expectTypeOf(grant.reason).toEqualTypeOf<'job-exhausted' | 'workflow-exhausted'>()
    expect(grant).toEqual({ granted: true, jobRemaining: 9, workflowRemaining: 2 })
  })

  it('the rule never says cancelled, a completion may', () => {
    expectTypeOf(decideCompletion).returns.toEqualTypeOf<Exclude<CompletionReason, 'cancelled'> | null>()
    const completion = new BestEffortCompletion({ targets: ['a'], clock })
    expectTypeOf(completion.result).toEqualTypeOf<BestEffortResult | undefined>()
    expectTypeOf(completion.snapshot()).toEqualTypeOf<BestEffortCompletionSnapshot>()
    completion.cancel()
    expect(completion.result?.reason).toBe('cancelled')
  })
})
