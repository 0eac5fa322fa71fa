/**
 * A worker as its leader sees it: one life of it, at one address. Dispatches of one step leave together, at most 64 a
 * request; one that is not answered is sent again under the same fences, which the worker's shard table makes safe.
 */
import { setMaxListeners } from 'node:events'
import { HsError, TransportError, type Clock, type RuntimeOptions } from '@hs/core'
import { CircuitOpenError } from '@hs/health'
import type { Dispatch } from '@hs/jobs'
import { isLinkFailure } from './link-failure.js'
import type { RpcPeer } from './rpc-peer.js'
import { ShardExtensions } from './shard-extensions.js'
import type { NodeTiming } from './timing.js'
import type { ExecutionRef, LeaderRef } from './wire/fields.js'
import { jobForget } from './wire/gate-manager.js'
import { MAX_DISPATCHES, shardAbort, shardRun, workerPing, type Admission } from './wire/manager-worker.js'
import { WorkerMonitor } from './worker-monitor.js'

export type AbortReason = 'cancel' | 'timeout' | 'stuck'

export interface WorkerRecordOptions {
  readonly workerId: string
  readonly incarnation: number
  readonly address: string
  readonly peer: RpcPeer
  readonly clock: Clock
  readonly runtime: Required<RuntimeOptions>
  readonly timing: Readonly<NodeTiming>
  /** Who leads, and under which term, now. */
  leader(): LeaderRef
  /** The worker follows another leader. */
  onLeader(leader: LeaderRef): void
  onAdmission(key: string, fence: number, admission: Admission): void
  /** Dispatches were answered, so long after they were sent. */
  onAnswered(afterMs: number): void
  /** The dispatch reached nobody, as far as can be told. */
  onUnanswered(key: string, fence: number, code: string): void
  onAbortState(key: string, fence: number, state: 'aborting' | 'finished' | 'unknown'): void
  onSuspected(suspected: boolean): void
  onLost(why: string): void
  onError(error: unknown): void
}

/** Of one request; a single payload may take more. */
const REQUEST_BYTES = 1_048_576
const RESENDS = 2

export class WorkerRecord {
  readonly workerId: string
  readonly incarnation: number
  readonly address: string
  readonly monitor: WorkerMonitor
  readonly extensions: ShardExtensions
  /** It takes no more work. */
  stopping = false
  readonly #options: WorkerRecordOptions
  readonly #over = new AbortController()
  #dispatches: Dispatch[] = []
  #aborts: (ExecutionRef & { reason: AbortReason })[] = []
  #acknowledged: ExecutionRef[] = []
  #scheduled = false

  constructor(options: WorkerRecordOptions) {
    setMaxListeners(0, this.#over.signal)
    this.#options = options
    this.workerId = options.workerId
    this.incarnation = options.incarnation
    this.address = options.address
    this.extensions = new ShardExtensions(options.runtime)
    this.monitor = new WorkerMonitor({
      clock: options.clock,
      timing: options.timing,
      extraSilenceMs: () => this.extensions.longestMs,
      ping: () => this.#ping(),
      onSuspected: (suspected) => options.onSuspected(suspected),
      onLost: (why) => options.onLost(why),
    })
  }

  dispatch(dispatch: Dispatch): void {
    this.#dispatches.push(dispatch)
    this.#schedule()
  }

  abort(key: string, fence: number, reason: AbortReason): void {
    this.#aborts.push({ key, fence, reason })
    this.#schedule()
  }

  /** The result is in the gate's hands: the worker hears it with the answer to its next report. */
  acknowledge(ref: ExecutionRef): void {
    this.#acknowledged.push(ref)
  }

  takeAcknowledged(): ExecutionRef[] {
    return this.#acknowledged.splice(0)
  }

  /** Nobody remembers these jobs any more. */
  forget(jobIds: readonly string[]): void {
    this.#options.peer
      .ask(this.address, jobForget, { jobIds: [...jobIds] }, { signal: this.#over.signal })
      .catch((error: unknown) => this.#failed(error))
  }

  /** This life of the worker is over, or its leader is: nothing more is sent. */
  close(): void {
    this.monitor.stop()
    this.#over.abort(new HsError('NODE_STOPPED', `${this.workerId} is let go`))
  }

  /** What one step of the scheduler causes leaves together. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      if (this.#over.signal.aborted) return
      const aborts = this.#aborts.splice(0)
      if (aborts.length > 0) this.#run(this.#sendAborts(aborts))
      for (const batch of batches(this.#dispatches.splice(0))) this.#run(this.#sendDispatches(batch))
    })
  }

  #run(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.#over.signal.aborted) this.#options.onError(error)
    })
  }

  async #sendDispatches(batch: readonly Dispatch[]): Promise<void> {
    const { peer, leader, onAdmission, onUnanswered, clock, timing } = this.#options
    const dispatches = batch.map(({ workerId: _, ...dispatch }) => dispatch)
    for (let attempt = 0; ; attempt++) {
      try {
        const askedAt = clock.now()
        const answer = await peer.ask(this.address, shardRun, { leader: leader(), dispatches }, this.#signal())
        this.#options.onAnswered(clock.now() - askedAt)
        if (answer.ok) this.monitor.heard()
        else if (answer.leader !== undefined) this.#options.onLeader(answer.leader)
        batch.forEach(({ key, fence }, i) => {
          if (!answer.ok) onUnanswered(key, fence, answer.code)
          else onAdmission(key, fence, answer.admissions[i] ?? 'malformed')
        })
        return
      } catch (error) {
        if (this.#over.signal.aborted) return
        this.#failed(error)
        if (attempt === RESENDS || !isTransient(error) || !peer.mayResend(this.address)) {
          for (const { key, fence } of batch) onUnanswered(key, fence, codeOf(error))
          return
        }
        await clock.sleep(retryAfterMs(error) ?? timing.heartbeatMs, this.#over.signal)
      }
    }
  }

  /** Once: the scheduler repeats what is not confirmed. */
  async #sendAborts(aborts: readonly (ExecutionRef & { reason: AbortReason })[]): Promise<void> {
    const { peer, leader, onAbortState } = this.#options
    try {
      const answer = await peer.ask(this.address, shardAbort, { leader: leader(), aborts: [...aborts] }, this.#signal())
      if (!answer.ok) return
      this.monitor.heard()
      aborts.forEach(({ key, fence }, i) => onAbortState(key, fence, answer.states[i] ?? 'aborting'))
    } catch (error) {
      if (!this.#over.signal.aborted) this.#failed(error)
    }
  }

  async #ping(): Promise<void> {
    const { peer, incarnation } = this.#options
    const answer = await peer.ask(this.address, workerPing, {}, { signal: this.#over.signal, probe: true })
    // Another life answers under this address: this one is as gone as one that refuses.
    if (!answer.ok || answer.workerId !== this.workerId || answer.incarnation !== incarnation)
      throw new TransportError('CONNECTION_LOST', `${this.workerId} is not at ${this.address} any more`)
  }

  #failed(error: unknown): void {
    if (this.#over.signal.aborted) return
    if (error instanceof TransportError) this.monitor.doubt()
    if (!isLinkFailure(error)) this.#options.onError(error)
  }

  #signal(): { signal: AbortSignal } {
    return { signal: this.#over.signal }
  }
}

function* batches(dispatches: readonly Dispatch[]): Generator<Dispatch[]> {
  let batch: Dispatch[] = []
  let size = 0
  for (const dispatch of dispatches) {
    const bytes = dispatch.payload.length + 256
    if (batch.length === MAX_DISPATCHES || (batch.length > 0 && size + bytes > REQUEST_BYTES)) {
      yield batch
      batch = []
      size = 0
    }
    batch.push(dispatch)
    size += bytes
  }
  if (batch.length > 0) yield batch
}

/** Whether sending the same again can help. */
function isTransient(error: unknown): boolean {
  if (error instanceof CircuitOpenError) return true
  if (!(error instanceof TransportError)) return false
  return error.code !== 'MESSAGE_TOO_LARGE' && error.code !== 'REMOTE_ERROR' && error.code !== 'UNKNOWN_METHOD'
}

function retryAfterMs(error: unknown): number | undefined {
  return error instanceof TransportError || error instanceof CircuitOpenError ? error.retryAfterMs : undefined
}

function codeOf(error: unknown): string {
  return HsError.is(error) ? error.code : 'DISPATCH_FAILED'
}
