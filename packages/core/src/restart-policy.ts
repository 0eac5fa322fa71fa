/**
 * When a failed task runs again: Erlang's restart intensity (so many failures in so long a time, and no more), with
 * exponential waits between, drawn at random so that what failed together does not come back together.
 */
import * as z from 'zod'
import { HsError } from './errors.js'
import { parseOptions } from './options.js'
import type { Random } from './random.js'

/** How often, and after which waits, a failed task runs again; the waits are random. */
export interface RestartPolicy {
  /** Failures within `windowMs` that are followed by a restart; one more ends the task. 0 or more. @default 5 */
  maxRestarts?: number
  /** How long a failure counts, in milliseconds, above 0. @default 60_000 */
  windowMs?: number
  /** Shortest wait before a restart, in milliseconds, 0 or more. @default 100 */
  minMs?: number
  /** Longest wait before a restart, in milliseconds, at least `minMs`; it doubles up to here. @default 30_000 */
  maxMs?: number
}

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      maxRestarts: z.int().min(0).default(5),
      windowMs: z.number().positive().default(60_000),
      minMs: z.number().min(0).default(100),
      maxMs: z.number().min(0).default(30_000),
    })
    .refine(({ minMs, maxMs }) => minMs <= maxMs, { path: ['maxMs'], message: 'expected at least minMs' }))()

/** The longest wait after failure `k` (from 1) of a window; the wait is uniform between `minMs` and it. */
export function longestRestartWaitMs(k: number, minMs: number, maxMs: number): number {
  return Math.min(maxMs, minMs * 2 ** (k - 1))
}

/** The failures of one task within the window. */
export class RestartCounter {
  readonly #policy: z.output<typeof schema>
  readonly #random: Random
  #failedAtMs: number[] = []

  /** @throws ConfigError */
  constructor(policy: RestartPolicy, random: Random) {
    this.#policy = parseOptions(schema, policy, 'RestartPolicy')
    this.#random = random
  }

  /** Counts a failure: how long to wait before the restart, or null if there shall be none. */
  failed(nowMs: number): number | null {
    const { maxRestarts, windowMs, minMs, maxMs } = this.#policy
    this.#failedAtMs = this.#failedAtMs.filter((at) => nowMs - at < windowMs)
    this.#failedAtMs.push(nowMs)
    const failures = this.#failedAtMs.length
    if (failures > maxRestarts) return null
    const longest = longestRestartWaitMs(failures, minMs, maxMs)
    return minMs + this.#random.next() * (longest - minMs)
  }

  exhausted(task: string, cause: unknown): HsError {
    const { maxRestarts, windowMs } = this.#policy
    return new HsError(
      'TASK_RESTARTS_EXHAUSTED',
      `Task ${task} failed more than ${maxRestarts} times within ${windowMs} ms and is not restarted again`,
      { cause, details: { task, maxRestarts, windowMs } },
    )
  }
}
