/**
 * One life of a node: from a boot to a crash or a stop. When it is over, nothing that it began ever completes: no
 * timer, delivery, sleep, request or disk operation; and what its code still tries is ignored.
 */

import type { Clock, DatagramTransport, Disk, HsError, Logger, Random, RpcTransport } from '@hs/core'
import type { Datagrams } from './datagrams.js'
import { DatagramEvent } from './datagram-event.js'
import type { SimEvent } from './event-queue.js'
import { exchangeOf } from './rpc-messages.js'
import { messageOf } from './failure.js'
import { NodeClock } from './node-clock.js'
import { NodeDatagram } from './node-datagram.js'
import { nodeLogger } from './node-logger.js'
import { NodeRpc } from './node-rpc.js'
import { StreamEvent } from './stream.js'
import type { Wire } from './wire.js'
import type { Actor, World } from './world.js'
import type { WorldNode } from './world-node.js'

/** What a node's program is given instead of the machine. */
export interface NodeEnv {
  readonly name: string
  /** `name:1` */
  readonly address: string
  /** From 1; one more at each start. */
  readonly incarnation: number
  readonly clock: Clock
  readonly random: Random
  /** Kept in `node.logs`; each line is an entry of the trace. */
  readonly logger: Logger
  readonly datagram: DatagramTransport
  readonly rpc: RpcTransport
  readonly disk: Disk
  /** Aborted by a graceful stop, never by a crash. */
  readonly signal: AbortSignal
  /** An entry of the trace: for what tells two runs apart that nothing else shows. */
  trace(event: string, detail?: string): void
}

/** Monotonic clocks begin below this. */
const MAX_ORIGIN_MS = 1_000_000

export interface Surroundings {
  readonly world: World
  readonly datagrams: Datagrams
  readonly wire: Wire
}

export class Incarnation implements Actor {
  readonly node: WorldNode
  readonly name: string
  readonly traceSalt: number
  readonly tieSalt: number
  /** Its handler of datagrams; undefined: it does not listen. */
  onMessage: ((from: string, bytes: Uint8Array) => unknown) | undefined = undefined
  readonly clock: NodeClock
  readonly datagram: NodeDatagram
  readonly rpc: NodeRpc
  readonly env: NodeEnv
  /** What boot returned. */
  app: unknown = undefined
  /** Boot is asynchronous and not done. */
  isBooting = true
  isDead = false
  /** Datagrams among what waits for the resume. */
  waitingDatagrams = 0
  readonly #world: World
  readonly #controller = new AbortController()
  readonly #waiting: SimEvent[] = []
  /** How many hold it: faults, and those who paused it. */
  #pauses = 0

  constructor(node: WorldNode, number: number, { world, datagrams, wire }: Surroundings) {
    this.#world = world
    this.node = node
    this.name = node.name
    this.traceSalt = node.traceSalt
    this.tieSalt = node.tieSalt
    const stream = `node/${node.name}/${number}`
    this.clock = new NodeClock(world, this, node.time, (world.saltOf(`origin/${stream}`) >>> 0) % MAX_ORIGIN_MS)
    this.datagram = new NodeDatagram(this, datagrams)
    this.rpc = new NodeRpc(this, wire)
    this.env = Object.freeze({
      name: node.name,
      address: node.address,
      incarnation: number,
      clock: this.clock,
      random: world.random.fork(stream),
      logger: nodeLogger(world, this, node.logs),
      datagram: this.datagram,
      rpc: this.rpc,
      disk: node.disk.mount(this.clock),
      signal: this.#controller.signal,
      trace: (event: string, detail = '') => {
        if (!this.isDead) world.trace.custom(this, event, detail)
      },
    })
  }

  get isPaused(): boolean {
    return this.#pauses > 0
  }

  hold(event: SimEvent): void {
    this.#waiting.push(event)
  }

  /** Until as many calls of `unpause`. */
  pause(): void {
    this.#pauses++
  }

  /** With the last pause, everything that waited is due, in the order in which it came. */
  unpause(): void {
    if (this.#pauses === 0 || --this.#pauses > 0) return
    this.waitingDatagrams = 0
    for (const event of this.#waiting.splice(0)) this.#world.schedule(this.#world.now, this, event)
  }

  /** Tells its program to end, which may take until after this event. */
  abort(): void {
    this.#controller.abort()
  }

  /** Ends it within this event. */
  end(datagrams: Datagrams): void {
    this.isDead = true
    this.rpc.crash()
    for (const event of this.#waiting.splice(0)) {
      if (event instanceof DatagramEvent) datagrams.drop(event, 'down')
      // It was taken in by the process, which resets the connection.
      else if (event instanceof StreamEvent) exchangeOf(event.message)?.lose()
    }
  }

  failed(error: unknown): void {
    if (this.isDead || error === this.#world.failure) return
    if (this.#world.options.onNodeError === 'crash') {
      this.node.logs.error('The process ended by an error', { err: error })
      this.node.crash()
      return
    }
    const message = `Node ${this.name} failed: ${messageOf(error)}`
    this.#world.fail(this.#world.failureOf('NODE_ERROR', message, { cause: error, details: { node: this.name } }))
  }

  refuses(api: string): HsError | null {
    if (!this.#world.options.forbidGlobals) return null
    const message = `Node ${this.name} called ${api}, which differs from run to run: it must use what env gives it`
    const failure = this.#world.failureOf('NONDETERMINISM', message, { details: { node: this.name, api } })
    this.#world.fail(failure)
    return failure
  }
}
