/** What a worker says about one execution of a shard. */

/** How an execution can end. */
export type ShardOutcome = 'completed' | 'failed' | 'timed-out' | 'cancelled'

export interface ResultError {
  readonly code: string
  readonly message: string
}

/** A value that a workflow publishes for those that depend on it. */
export interface ContextValue {
  readonly value: unknown
  /** Where two shards publish the same key, the higher version wins. */
  readonly version: number
}

export interface ShardResult {
  readonly key: string
  readonly fence: number
  /** Which execution of the shard it was. @default 1 */
  readonly attempt?: number
  readonly status: ShardOutcome
  readonly value?: unknown
  readonly error?: ResultError
  readonly stats?: unknown
  readonly durationMs?: number
  readonly context?: Readonly<Record<string, ContextValue>>
}

/** A shard that a worker runs now, as it says itself. */
export interface RunningShard {
  readonly key: string
  readonly fence: number
  readonly cores: number
  /** @default 1 */
  readonly attempt?: number
  /** Virtual users of each shard of its workflow, so that another leader can take it over. */
  readonly plan?: readonly number[]
}
