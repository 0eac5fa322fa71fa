/** A client submits jobs to gates and follows them. It only dials, so it needs no open port. */
import { setMaxListeners } from 'node:events'
import {
  ErrorReporter,
  IdGenerator,
  newNodeId,
  parseOptions,
  runtimeShape,
  TaskScope,
  type RpcTransport,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { fullJitterMs } from './backoff.js'
import { tcpTransport } from './endpoint.js'
import { Gates } from './gates.js'
import { JobHandle } from './job-handle.js'
import type { JobDescription, SubmitOptions } from './job-types.js'
import { NodeError, refusalError } from './node-errors.js'
import { clusterOption, NODE_NAME, peerAddress, rpcOption, type NodeOptions } from './node-options.js'
import { stoppedError } from './node.js'
import { RpcPeer } from './rpc-peer.js'
import { encodeSubmission, parseSubmitOptions } from './submission.js'
import { resolveTiming, timingOption, type NodeTiming } from './timing.js'
import { gateStatus, jobSubmit } from './wire/client-gate.js'
import type { JobOwner } from './wire/fields.js'

export interface ClientOptions extends RuntimeOptions {
  /** Addresses of gates, at least one. */
  gates: readonly string[]
  /** Told to gates. @default 'client' */
  id?: string
  /** @default 'default' */
  cluster?: string
  /** Another network than TCP. The client closes it when it stops. */
  transport?: { rpc: RpcTransport }
  /** @default 'lan' */
  timing?: NodeOptions['timing']
  /** How long a submission is tried, in milliseconds. @default 30_000 */
  submitTimeoutMs?: number
}

export interface DatacenterView {
  name: string
  status: string
  freeCores: number
  totalCores: number
}

/** Refusals after which the same submission may be taken later, or by another gate. */
const RETRYABLE: ReadonlySet<string> = new Set(['NO_GATE', 'NO_QUORUM', 'NO_DATACENTER', 'OVERLOADED', 'RATE_LIMITED'])
const BACKOFF = Object.freeze({ baseMs: 100, maxMs: 2_000 })

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    gates: z.array(peerAddress()).min(1),
    id: z.string().regex(NODE_NAME, `expected a name like ${NODE_NAME.source}`).default('client'),
    cluster: clusterOption(),
    transport: z.strictObject({ rpc: rpcOption() }).optional(),
    timing: timingOption,
    submitTimeoutMs: z.number().positive().max(2_147_483_647).default(30_000),
  }))()

export class Client implements AsyncDisposable {
  readonly #options: z.output<typeof schema>
  readonly #runtime: Required<RuntimeOptions>
  readonly #timing: Readonly<NodeTiming>
  readonly #reporter: ErrorReporter
  readonly #scope: TaskScope
  readonly #rpc: RpcTransport
  readonly #peer: RpcPeer
  readonly #ids: IdGenerator
  #stopped: Promise<void> | undefined

  /** @throws ConfigError */
  constructor(options: ClientOptions) {
    const parsed = parseOptions(schema, options, 'Client')
    const { clock, random, logger, cluster, id, transport } = parsed
    this.#options = parsed
    this.#timing = resolveTiming(parsed.timing)
    this.#runtime = { clock, random, logger: logger.child({ client: id }) }
    this.#reporter = new ErrorReporter(this.#runtime)
    this.#scope = new TaskScope(`Client ${id}`, { ...this.#runtime, reporter: this.#reporter })
    // As many requests as are under way listen to it.
    setMaxListeners(0, this.#scope.signal)
    this.#ids = new IdGenerator(this.#runtime)
    const nodeId = newNodeId(id, this.#runtime)
    this.#rpc = transport?.rpc ?? tcpTransport({ cluster, nodeId, runtime: this.#runtime })
    this.#peer = new RpcPeer(this.#rpc, {
      runtime: this.#runtime,
      timing: this.#timing,
      cluster,
      name: `Client ${id}`,
      onError: (error, method) => this.#reporter.report(`Client ${id}.${method}`, error),
    })
  }

  /**
   * Submits a job: checked here before anything is sent, then repeated, as the same job, until a gate has it.
   * @throws (as a rejection) NodeError of the code that says why not; ConfigError; the signal's reason.
   */
  async submit(job: JobDescription, options: SubmitOptions = {}): Promise<JobHandle> {
    const parsed = parseSubmitOptions(options)
    const submission = await encodeSubmission(job, parsed)
    this.#checkOpen()
    const key = parsed.idempotencyKey ?? this.#ids.next()
    const reader = this.#ids.next()
    const gates = this.#gates()
    const signal =
      parsed.signal === undefined ? this.#scope.signal : AbortSignal.any([parsed.signal, this.#scope.signal])
    const { clock, random } = this.#runtime
    const deadline = clock.now() + this.#options.submitTimeoutMs
    for (let failures = 1; ; failures++) {
      signal.throwIfAborted()
      const answer = await gates.ask(jobSubmit, { key, submission, reader, hops: 0 }, { signal })
      if (answer?.ok === true) return this.#handle(answer.jobId, reader, gates, answer.owner)
      if (answer !== null && !RETRYABLE.has(answer.code)) throw refusalError(answer)
      if (answer !== null) gates.next()
      const waitMs = (answer?.retryAfterMs ?? 0) + fullJitterMs(BACKOFF, failures, random)
      if (clock.now() + waitMs >= deadline) throw answer === null ? this.#noGate() : refusalError(answer)
      await clock.sleep(waitMs, signal)
    }
  }

  /** Attaches to a job again, after a restart of the client too. */
  job(jobId: string): JobHandle {
    this.#checkOpen()
    return this.#handle(jobId, this.#ids.next(), this.#gates())
  }

  /** @throws (as a rejection) NodeError `'NO_GATE'` if none answers within `submitTimeoutMs`. */
  async datacenters(): Promise<DatacenterView[]> {
    this.#checkOpen()
    const { clock, random } = this.#runtime
    const { signal } = this.#scope
    const gates = this.#gates()
    const deadline = clock.now() + this.#options.submitTimeoutMs
    for (let failures = 1; ; failures++) {
      const answer = await gates.ask(gateStatus, {}, { signal })
      if (answer?.ok === true) return answer.datacenters
      const waitMs = fullJitterMs(BACKOFF, failures, random)
      if (clock.now() + waitMs >= deadline) throw answer === null ? this.#noGate() : refusalError(answer)
      await clock.sleep(waitMs, signal)
    }
  }

  /** Lets go of all handles; the jobs go on. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #stop(): Promise<void> {
    await this.#scope.stop(stoppedError(`Client ${this.#options.id}`))
    this.#peer.close()
    await this.#rpc.close()
  }

  #handle(jobId: string, reader: string, gates: Gates, owner?: JobOwner): JobHandle {
    const handle = new JobHandle({
      jobId,
      reader,
      gates,
      runtime: this.#runtime,
      reporter: this.#reporter,
      timing: this.#timing,
      signal: this.#scope.signal,
      ...(owner && { owner }),
    })
    this.#scope.spawn(`watch ${jobId}`, () => handle.watch())
    return handle
  }

  #gates(): Gates {
    return new Gates(this.#options.gates, this.#peer, this.#runtime.random, (error) =>
      this.#reporter.report(`Client ${this.#options.id}.gate`, error),
    )
  }

  #checkOpen(): void {
    if (this.#stopped !== undefined) throw stoppedError(`Client ${this.#options.id}`)
  }

  #noGate(): NodeError {
    return new NodeError(
      'NO_GATE',
      `none of ${this.#options.gates.join(', ')} answered within ${this.#options.submitTimeoutMs} ms`,
    )
  }
}
