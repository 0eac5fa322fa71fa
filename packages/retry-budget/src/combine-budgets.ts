/** Several budgets as one, each of which has to pay: a job's, a workflow's, the target's. */
import { HsError } from '@hs/core'
import { isBudget, type Budget } from './budget.js'

class CombinedBudget implements Budget {
  readonly parts: readonly Budget[]

  constructor(parts: readonly Budget[]) {
    this.parts = parts
  }

  deposit(): void {
    for (const part of this.parts) part.deposit()
  }

  canWithdraw(): boolean {
    for (const part of this.parts) if (!part.canWithdraw()) return false
    return true
  }

  /** Nothing runs between the questions and the withdrawals, so what all could pay, all do. */
  tryWithdraw(): boolean {
    if (!this.canWithdraw()) return false
    let isPaid = true
    for (const part of this.parts) isPaid = part.tryWithdraw() && isPaid
    return isPaid
  }
}

/**
 * Withdraws from all of them or from none, deposits in all. One that is given twice, also within another combination,
 * pays once. Two views of one `JobRetryBudget` are two budgets: combine those of different jobs only.
 * @throws HsError `'INVALID_ARGUMENT'` for what is no budget.
 */
export function combineBudgets(...budgets: Budget[]): Budget {
  const parts = new Set<Budget>()
  for (const budget of budgets) {
    if (!isBudget(budget))
      throw new HsError('INVALID_ARGUMENT', 'combineBudgets needs budgets: deposit, canWithdraw, tryWithdraw')
    for (const part of budget instanceof CombinedBudget ? budget.parts : [budget]) parts.add(part)
  }
  return new CombinedBudget([...parts])
}
