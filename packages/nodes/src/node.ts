/** What every node is: something that is started, becomes ready, and is stopped. */
import { TimeoutError, withTimeout, type Clock, type Condition } from '@hs/core'
import { NodeError } from './node-errors.js'

export interface ReadyOptions {
  /** @default 30_000 */
  timeoutMs?: number
  signal?: AbortSignal
}

export interface Node extends AsyncDisposable {
  /** Its name: unique in the cluster, stable over restarts. */
  readonly id: string
  /** `host:port`, known after `start`. */
  readonly address: string
  /** Listening and joining. @throws (as a rejection) whatever the system says if it cannot listen. */
  start(): Promise<void>
  /** Resolves when the node can do its job. @throws NodeError `'NOT_READY'` (as a rejection) after `timeoutMs`. */
  ready(options?: ReadyOptions): Promise<void>
  /** Graceful and idempotent; afterwards no timer, socket or thread is left. */
  stop(): Promise<void>
  /** As a crash looks to the others: closes everything and tells nobody. */
  kill(): Promise<void>
  snapshot(): object
}

const READY_TIMEOUT_MS = 30_000

/** Waits for `isReady`, which is looked at whenever `changed` is notified. */
export async function waitReady(
  name: string,
  clock: Clock,
  changed: Condition,
  isReady: () => boolean,
  { timeoutMs = READY_TIMEOUT_MS, signal }: ReadyOptions,
): Promise<void> {
  try {
    await withTimeout(`ready of ${name}`, timeoutMs, (inner) => changed.until(isReady, { signal: inner }), {
      clock,
      ...(signal === undefined ? {} : { signal }),
    })
  } catch (cause) {
    if (!(cause instanceof TimeoutError)) throw cause
    throw new NodeError('NOT_READY', `${name} was not ready within ${timeoutMs} ms`, { cause })
  }
}

export function stoppedError(name: string): NodeError {
  return new NodeError('NODE_STOPPED', `${name} is stopped`)
}
