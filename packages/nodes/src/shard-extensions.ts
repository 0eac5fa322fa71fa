/**
 * More time for the shards of one worker (AD-26). Each shard has an account of its own, from its first request until the
 * worker does not run it any more; all of them hang on the worker's record and go with it.
 */
import type { RuntimeOptions } from '@hs/core'
import { DeadlineExtensions, type ExtensionRequest } from '@hs/health'
import type { ExecutionRef } from './wire/fields.js'

interface Account {
  readonly fence: number
  readonly extensions: DeadlineExtensions
}

/** A worker lists what it runs with every heartbeat; between two of them it cannot ask for more shards than this. */
const MAX_ACCOUNTS = 10_000

export class ShardExtensions {
  readonly #runtime: Required<RuntimeOptions>
  /** By shard key. */
  readonly #accounts = new Map<string, Account>()

  constructor(runtime: Required<RuntimeOptions>) {
    this.#runtime = runtime
  }

  get size(): number {
    return this.#accounts.size
  }

  /** The most that one of the shards was granted, in milliseconds: so much longer the worker may be silent. */
  get longestMs(): number {
    let longestMs = 0
    for (const { extensions } of this.#accounts.values())
      longestMs = Math.max(longestMs, extensions.snapshot().totalGrantedMs)
    return longestMs
  }

  /** What is granted, in milliseconds; 0: nothing. An older execution than the one that asked last gets nothing. */
  request({ key, fence }: ExecutionRef, asked: ExtensionRequest): number {
    let account = this.#accounts.get(key)
    if (account === undefined && this.#accounts.size >= MAX_ACCOUNTS) return 0
    if (account !== undefined && fence < account.fence) return 0
    if (account?.fence !== fence) {
      account = { fence, extensions: new DeadlineExtensions(this.#runtime) }
      this.#accounts.set(key, account)
    }
    const decision = account.extensions.request(asked)
    return decision.granted ? decision.grantMs : 0
  }

  /** This execution has ended. */
  forget({ key, fence }: ExecutionRef): void {
    if (this.#accounts.get(key)?.fence === fence) this.#accounts.delete(key)
  }

  /** Forgets all but what runs. */
  keep(running: readonly ExecutionRef[]): void {
    if (this.#accounts.size === 0) return
    const kept = new Set(running.map(({ key }) => key))
    for (const key of this.#accounts.keys()) if (!kept.has(key)) this.#accounts.delete(key)
  }
}
