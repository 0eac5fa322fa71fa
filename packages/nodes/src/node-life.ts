/**
 * The life that all nodes share: it is made, opens its endpoint under a new generation, works in a scope, and closes.
 * A stopped node is not started again: a new one takes its place, with a higher generation.
 */
import { setMaxListeners } from 'node:events'
import {
  Condition,
  DatagramChannels,
  ErrorReporter,
  newNodeId,
  parseNodeId,
  TaskScope,
  type DatagramTransport,
  type NodeId,
  type RpcTransport,
  type RuntimeOptions,
} from '@hs/core'
import { Admission, PriorityExecutor, type RateLimiter } from '@hs/overload'
import { closeEndpoint, listenEndpoint, type Endpoint } from './endpoint.js'
import { NodeLoad } from './node-load.js'
import { stoppedError, waitReady, type ReadyOptions } from './node.js'
import { RpcPeer } from './rpc-peer.js'
import { resolveTiming, type NodeTiming } from './timing.js'

export interface NodeLifeOptions extends Required<RuntimeOptions> {
  readonly id: string
  readonly cluster: string
  readonly listen?: string | undefined
  readonly transport?: { readonly datagram: DatagramTransport; readonly rpc: RpcTransport } | undefined
  readonly timing: Parameters<typeof resolveTiming>[0]
}

/** What differs between the kinds of nodes. */
export interface NodeTraits {
  /** Of requests that come with a client. @default none */
  readonly limiter?: RateLimiter
  /** Whether using the CPU is what it is there for. @default false */
  readonly worksHard?: boolean
}

/** One for each job and datacenter, at most. */
const MAX_TASKS = 1_000_000
const DEFAULT_LISTEN = '127.0.0.1:0'

export class NodeLife {
  /** For messages: `Worker w1`. */
  readonly label: string
  readonly id: string
  readonly runtime: Required<RuntimeOptions>
  readonly timing: Readonly<NodeTiming>
  readonly reporter: ErrorReporter
  readonly scope: TaskScope
  /** Notified whenever something changes that `ready` may wait for. */
  readonly changed: Condition
  readonly load: NodeLoad
  readonly admission: Admission
  readonly #options: NodeLifeOptions
  #opened: Promise<void> | undefined
  #endpoint: Endpoint | undefined
  #datagrams: DatagramChannels | undefined
  #peer: RpcPeer | undefined
  #nodeId: NodeId | undefined
  #closing: Promise<void> | undefined

  constructor(kind: string, options: NodeLifeOptions, { limiter, worksHard = false }: NodeTraits = {}) {
    const { id, clock, random, timing } = options
    this.label = `${kind} ${id}`
    this.id = id
    this.#options = options
    this.timing = resolveTiming(timing)
    const logger = options.logger.child({ node: id })
    this.runtime = { clock, random, logger }
    this.reporter = new ErrorReporter(this.runtime)
    this.scope = new TaskScope(this.label, { ...this.runtime, reporter: this.reporter, maxTasks: MAX_TASKS })
    // As many requests as are under way listen to it.
    setMaxListeners(0, this.scope.signal)
    this.changed = new Condition({ clock })
    this.load = new NodeLoad({
      runtime: this.runtime,
      measures: options.transport === undefined,
      worksHard,
      generation: () => this.generation,
    })
    this.admission = new Admission({
      ...this.runtime,
      detector: this.load.detector,
      executor: new PriorityExecutor(this.runtime),
      ...(limiter && { limiter }),
    })
  }

  get address(): string {
    return this.#endpoint?.address ?? this.#options.transport?.rpc.address ?? ''
  }

  /** Whether `stop` or `kill` was called. */
  get over(): boolean {
    return this.#closing !== undefined
  }

  get started(): boolean {
    return this.#peer !== undefined
  }

  /** @throws NodeError `'NODE_STOPPED'` before `start`. */
  get peer(): RpcPeer {
    if (this.#peer === undefined) throw stoppedError(this.label)
    return this.#peer
  }

  /** This life's name on the wire. */
  get nodeId(): NodeId {
    if (this.#nodeId === undefined) throw stoppedError(this.label)
    return this.#nodeId
  }

  get generation(): number {
    return parseNodeId(this.nodeId).generation
  }

  /** @throws NodeError `'NODE_STOPPED'` before `start`. */
  get endpoint(): Endpoint {
    if (this.#endpoint === undefined) throw stoppedError(this.label)
    return this.#endpoint
  }

  /**
   * Where protocols share the datagrams: each has a channel of its own.
   * @throws NodeError `'NODE_STOPPED'` before `start`.
   */
  get datagrams(): DatagramChannels {
    this.#datagrams ??= new DatagramChannels(this.endpoint.datagram, this.runtime)
    return this.#datagrams
  }

  /** Opens the endpoint once; `begin` serves methods and starts tasks in the same step. */
  open(begin: (peer: RpcPeer) => void | Promise<void>): Promise<void> {
    this.#opened ??= this.#open(begin)
    return this.#opened
  }

  ready(options: ReadyOptions | undefined, isReady: () => boolean): Promise<void> {
    return waitReady(
      this.label,
      this.runtime.clock,
      this.changed,
      () => {
        if (this.over) throw stoppedError(this.label)
        return isReady()
      },
      options ?? {},
    )
  }

  /**
   * Ends the life, once: `farewell` is what a graceful end does before the scope stops and the endpoint closes.
   */
  close(farewell: () => Promise<void>): Promise<void> {
    this.#closing ??= this.#close(farewell)
    return this.#closing
  }

  async #open(begin: (peer: RpcPeer) => void | Promise<void>): Promise<void> {
    const { id, cluster, listen = DEFAULT_LISTEN, transport } = this.#options
    if (this.over) throw stoppedError(this.label)
    const { runtime, timing } = this
    const nodeId = newNodeId(id, runtime)
    const endpoint: Endpoint =
      transport === undefined
        ? await listenEndpoint({ listen, cluster, nodeId, runtime })
        : { ...transport, address: transport.rpc.address }
    this.#endpoint = endpoint
    if (this.over) {
      await closeEndpoint(endpoint)
      throw stoppedError(this.label)
    }
    this.#nodeId = nodeId
    this.#peer = new RpcPeer(endpoint.rpc, {
      runtime,
      timing,
      cluster,
      name: this.label,
      admission: this.admission,
      onError: (error, method) => this.reporter.report(`${this.label}.${method}`, error),
    })
    await this.load.start()
    await begin(this.#peer)
  }

  async #close(farewell: () => Promise<void>): Promise<void> {
    try {
      if (this.#peer !== undefined) await farewell()
    } catch (error) {
      this.reporter.report(`${this.label}.stop`, error)
    }
    this.#peer?.close()
    this.changed.notify()
    await this.scope.stop(stoppedError(this.label))
    await this.load.stop()
    if (this.#endpoint !== undefined) await closeEndpoint(this.#endpoint)
    else await this.#options.transport?.rpc.close()
  }
}
