import { HsError } from '@hs/core'
import { UsageError } from './usage-error.js'

/** Whether a sentence says it all; anything else is shown with its stack. */
export function isMisuse(error: unknown): error is Error {
  return error instanceof UsageError || HsError.is(error, 'CONFIG_INVALID')
}
