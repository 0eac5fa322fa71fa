/** Who pays for a retry: what `RetryPolicy` and `hedge` ask before they repeat a call. */

export interface Budget {
  /** Records a first attempt. */
  deposit(): void
  /** Whether `tryWithdraw` would take one now; changes nothing. */
  canWithdraw(): boolean
  /** Takes one retry. False: do not retry. */
  tryWithdraw(): boolean
}

/** For the checks of options and of calls. */
export function isBudget(value: unknown): value is Budget {
  if (typeof value !== 'object' || value === null) return false
  const { deposit, canWithdraw, tryWithdraw } = value as Partial<Record<keyof Budget, unknown>>
  return typeof deposit === 'function' && typeof canWithdraw === 'function' && typeof tryWithdraw === 'function'
}
