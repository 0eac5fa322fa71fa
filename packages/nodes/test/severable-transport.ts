/** A node's transports whose cable can be cut: what is sent is lost or waits, and nothing refuses. */
import type { DatagramTransport, RpcTransport } from '@hs/core'
import { FreezableRpc } from './freezable-transport.js'

export class SeverableTransport {
  readonly rpc: FreezableRpc
  readonly datagram: DatagramTransport
  #isCut = false

  constructor(inner: { readonly datagram: DatagramTransport; readonly rpc: RpcTransport }) {
    this.rpc = new FreezableRpc(inner.rpc)
    const { datagram } = inner
    this.datagram = {
      address: datagram.address,
      maxMessageBytes: datagram.maxMessageBytes,
      send: (to, bytes) => this.#isCut || datagram.send(to, bytes),
      onMessage: (fn) => datagram.onMessage((from, bytes) => this.#isCut || fn(from, bytes)),
      close: () => datagram.close(),
    }
  }

  cut(): void {
    this.#isCut = true
    this.rpc.freeze()
  }

  mend(): void {
    this.#isCut = false
    this.rpc.thaw()
  }
}
