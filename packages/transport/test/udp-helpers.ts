/** Sockets for the tests of `UdpTransport`, which close with the test, and a way to await what arrives. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach } from 'vitest'
import { parseAddress, type DatagramTransport } from '@hs/core'
import { UdpTransport, type UdpTransportOptions } from '../src/index.js'

const opened: { close(): unknown }[] = []

afterEach(async () => {
  for (const socket of opened.splice(0)) await socket.close()
})

/** A transport that listens, on a free port of 127.0.0.1 unless told otherwise. */
export async function openUdp(options: UdpTransportOptions = {}): Promise<UdpTransport> {
  const transport = track(new UdpTransport(options))
  await transport.start()
  return transport
}

/** Closed when the test ends, whatever becomes of it. */
export function track<T extends { close(): unknown }>(socket: T): T {
  opened.push(socket)
  return socket
}

export interface RawSocket {
  readonly address: string
  /** Resolves when the system has the bytes. */
  send(to: string, bytes: Uint8Array): Promise<void>
  /** The next datagram as it is on the wire. */
  receive(): Promise<Uint8Array>
}

/** A socket of a peer that writes and reads raw datagrams. */
export async function openRaw(): Promise<RawSocket> {
  const socket = createSocket('udp4')
  const inbox = new Inbox<Uint8Array>()
  socket.on('message', (bytes) => inbox.put(bytes))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  track({ close: () => closeRaw(socket) })
  return {
    address: `127.0.0.1:${socket.address().port}`,
    receive: () => inbox.take(),
    send: (to, bytes) => {
      const { host, port } = parseAddress(to)
      return new Promise((resolve, reject) => {
        socket.send(bytes, port, host, (error) => (error === null ? resolve() : reject(error)))
      })
    },
  }
}

function closeRaw(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(resolve))
}

/** What arrives, for whoever awaits it. */
export class Inbox<T> {
  readonly #items: T[] = []
  readonly #takers: ((item: T) => void)[] = []

  get size(): number {
    return this.#items.length
  }

  put(item: T): void {
    const taker = this.#takers.shift()
    if (taker === undefined) this.#items.push(item)
    else taker(item)
  }

  take(): Promise<T> {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift() as T)
    return new Promise((resolve) => this.#takers.push(resolve))
  }
}

export interface Message {
  readonly from: string
  readonly text: string
}

/** The messages of a transport as text, in the order of their arrival. */
export function inboxOf(transport: DatagramTransport): Inbox<Message> {
  const inbox = new Inbox<Message>()
  transport.onMessage((from, bytes) => inbox.put({ from, text: textOf(bytes) }))
  return inbox
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}
