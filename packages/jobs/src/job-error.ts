/** What is wrong with a job or with how its state machines are driven; limits and options have core's errors. */
import { HsError, type HsErrorOptions } from '@hs/core'

export type JobErrorCode =
  | 'ILLEGAL_TRANSITION'
  | 'UNKNOWN_DEPENDENCY'
  | 'DUPLICATE_WORKFLOW'
  | 'DEPENDENCY_CYCLE'
  | 'UNKNOWN_WORKFLOW'
  | 'ALREADY_ALLOCATED'

export class JobError extends HsError {
  declare readonly code: JobErrorCode

  constructor(code: JobErrorCode, message: string, options: HsErrorOptions = {}) {
    super(code, message, options)
  }
}
