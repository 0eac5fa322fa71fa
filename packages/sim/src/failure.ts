/** What ended a run: an error that names the seed and the time, by which it can be seen again. */

import { HsError } from '@hs/core'

export type FailureCode =
  'INVARIANT_VIOLATED' | 'NODE_ERROR' | 'WORKLOAD_ERROR' | 'NONDETERMINISM' | 'STUCK' | 'EVENT_LIMIT'

export interface FailureOptions {
  readonly cause?: unknown
  readonly details?: Readonly<Record<string, unknown>>
}

/** The seed as it was given, and as its 16 hex digits. */
export interface NamedSeed {
  readonly given: number | bigint | string
  readonly hex: string
}

export function failureOf(
  code: FailureCode,
  message: string,
  seed: NamedSeed,
  atMs: number,
  options: FailureOptions = {},
): HsError {
  return new HsError(code, `${message} (seed ${String(seed.given)}, at ${atMs} ms)`, {
    ...('cause' in options ? { cause: options.cause } : {}),
    details: { ...options.details, seed: seed.hex, atMs },
  })
}

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
