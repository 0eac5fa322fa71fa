/**
 * Datagram echoes: `UdpTransport` beside bare `node:dgram`, which is the limit; once as it comes, and once given the
 * same look-up that answers at once, because that alone makes it faster.
 */
import { createSocket, type Socket } from 'node:dgram'
import { UdpTransport } from '@hs/transport'
import { CallbackLoop, type EchoClient, type LoadPlan, type LoadResult } from './load.js'

export type DatagramPeer = 'raw dgram' | 'raw dgram, default look-up' | 'UdpTransport'
export const datagramPeers: readonly DatagramPeer[] = ['raw dgram', 'raw dgram, default look-up', 'UdpTransport']

/** How long to wait for echoes that a full buffer may have eaten. */
const LOST_AFTER_MS = 500

export async function serveDatagrams(peer: DatagramPeer): Promise<{ address: string; close(): unknown }> {
  if (peer === 'UdpTransport') {
    const udp = new UdpTransport()
    udp.onMessage((from, bytes) => udp.send(from, bytes))
    await udp.start()
    return { address: udp.address, close: () => udp.close() }
  }
  const socket = await openSocket(peer)
  socket.on('message', (bytes, { address, port }) => socket.send(bytes, port, address))
  return { address: `127.0.0.1:${socket.address().port}`, close: () => socket.close() }
}

export async function dialDatagrams(peer: DatagramPeer, address: string): Promise<EchoClient> {
  let received: () => void = () => undefined
  if (peer === 'UdpTransport') {
    const udp = new UdpTransport()
    udp.onMessage(() => received())
    await udp.start()
    return { drive: (plan) => drive(plan, (body) => udp.send(address, body), onReceived), close: () => udp.close() }
  }
  const socket = await openSocket(peer)
  const port = Number(address.split(':')[1])
  socket.on('message', () => received())
  return {
    drive: (plan) => drive(plan, (body) => socket.send(body, port, '127.0.0.1'), onReceived),
    close: () => void socket.close(),
  }

  function onReceived(fn: () => void): void {
    received = fn
  }
}

/** Echoes carry no id: loopback keeps their order, so the oldest is taken to be answered. */
function drive(plan: LoadPlan, send: (body: Uint8Array) => void, onReceived: (fn: () => void) => void) {
  return new Promise<LoadResult>((resolve, reject) => {
    const watch = setTimeout(() => reject(new Error('datagrams were lost')), plan.durationMs + LOST_AFTER_MS)
    let oldest = 0
    const loop = new CallbackLoop(
      plan,
      () => send(plan.body),
      (result) => {
        clearTimeout(watch)
        resolve(result)
      },
    )
    onReceived(() => {
      const id = oldest
      oldest = (oldest + 1) % plan.concurrency
      loop.answered(id)
    })
    loop.begin()
  })
}

async function openSocket(peer: DatagramPeer): Promise<Socket> {
  const socket =
    peer === 'raw dgram'
      ? createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) })
      : createSocket('udp4')
  // A look-up that answers at once lets the socket listen before `bind` returns.
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return socket
}
