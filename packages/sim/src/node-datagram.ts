/** The datagram socket of a node: core's contract, on the simulated network. */

import { TransportError, type DatagramTransport } from '@hs/core'
import type { Datagrams } from './datagrams.js'
import type { Incarnation } from './incarnation.js'

/** As over UDP and IPv4. */
const MAX_MESSAGE_BYTES = 65_507

export class NodeDatagram implements DatagramTransport {
  readonly address: string
  readonly maxMessageBytes = MAX_MESSAGE_BYTES
  readonly #life: Incarnation
  readonly #datagrams: Datagrams
  #closed = false

  constructor(life: Incarnation, datagrams: Datagrams) {
    this.address = life.node.address
    this.#life = life
    this.#datagrams = datagrams
  }

  send(to: string, bytes: Uint8Array): void {
    if (this.#life.isDead) return
    if (this.#closed) throw new TransportError('CLOSED', `${this.address} is closed`, { notExecuted: true })
    if (bytes.length > MAX_MESSAGE_BYTES) {
      const message = `A message may have ${MAX_MESSAGE_BYTES} bytes, found ${bytes.length}`
      throw new TransportError('MESSAGE_TOO_LARGE', message, { notExecuted: true })
    }
    this.#datagrams.send(this.#life.node, to, bytes)
  }

  onMessage(fn: (from: string, bytes: Uint8Array) => void): void {
    if (!this.#closed) this.#life.onMessage = fn
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#life.onMessage = undefined
  }
}
