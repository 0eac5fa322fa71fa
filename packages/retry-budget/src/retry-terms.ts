/** What holds for one run: the policy's terms and those of the call. */
import { HsError, type Clock } from '@hs/core'
import { isBudget, type Budget } from './budget.js'
import type { RetrySettings } from './retry-options.js'

export interface RetryCall {
  /** Aborting it ends the run at once, with its reason. */
  signal?: AbortSignal
  /** When the run has to be over, on `clock.now()`. @default never */
  deadline?: number
  /** Instead of the policy's. */
  budget?: Budget
  /** Instead of the policy's. */
  idempotent?: boolean
}

/** What holds for a run but the caller's signal, which is its own for each. */
export interface RetryTerms {
  readonly clock: Clock
  readonly budget: Budget | undefined
  readonly idempotent: boolean
  readonly deadlineMs: number
  readonly attemptTimeoutMs: number
  /** Undefined where no limit needs it: a look at the clock costs as much as all the rest of a run. */
  readonly startedAtMs: number | undefined
  /** There is a deadline, or a limit for attempts. */
  readonly isTimed: boolean
}

export function termsOf(settings: RetrySettings, call: RetryCall): RetryTerms {
  const { clock, maxElapsedMs, attemptTimeoutMs } = settings
  const { deadline = Infinity, budget = settings.budget, idempotent = settings.idempotent } = call
  const hasDeadline = deadline < Infinity || maxElapsedMs < Infinity
  const startedAtMs = hasDeadline ? clock.now() : undefined
  return {
    clock,
    budget,
    idempotent,
    deadlineMs: startedAtMs === undefined ? Infinity : Math.min(deadline, startedAtMs + maxElapsedMs),
    attemptTimeoutMs,
    startedAtMs,
    isTimed: hasDeadline || attemptTimeoutMs < Infinity,
  }
}

/** Whether the call asks for nothing but what the policy has; a signal is beside the terms. */
export function hasOwnTerms({ deadline, budget, idempotent }: RetryCall): boolean {
  return deadline !== undefined || budget !== undefined || idempotent !== undefined
}

/** @throws HsError `'INVALID_ARGUMENT'` */
export function checkCall({ signal, deadline, budget, idempotent }: RetryCall): void {
  if (signal !== undefined && !isSignal(signal)) throw invalid('signal', 'an AbortSignal')
  if (deadline !== undefined && !(typeof deadline === 'number' && !Number.isNaN(deadline))) {
    throw invalid('deadline', 'a number on clock.now()')
  }
  if (budget !== undefined && !isBudget(budget)) throw invalid('budget', 'deposit, canWithdraw and tryWithdraw')
  if (idempotent !== undefined && typeof idempotent !== 'boolean') throw invalid('idempotent', 'true or false')
}

export function isSignal(value: unknown): value is AbortSignal {
  return typeof (value as Partial<AbortSignal> | null)?.addEventListener === 'function'
}

function invalid(name: string, expected: string): HsError {
  return new HsError('INVALID_ARGUMENT', `The ${name} of a run must be ${expected}`)
}
