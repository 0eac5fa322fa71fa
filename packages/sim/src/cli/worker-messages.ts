/** What the main thread and its workers say to each other. */

import type { Fault } from '../fault.js'
import type { SeedOutcome } from '../run-seed.js'

export interface WorkerPlan {
  readonly file: string
  readonly faults: readonly Fault[] | undefined
}

export interface SeedTask {
  readonly index: number
  readonly seed: number
  readonly twice: boolean
}

export interface WorkerError {
  readonly message: string
  readonly stack: string | undefined
  /** Whether the message says it all. */
  readonly usage: boolean
}

export type WorkerAnswer = { readonly index: number; readonly outcome: SeedOutcome } | { readonly error: WorkerError }
