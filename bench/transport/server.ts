/**
 * The other process: echoes for every peer of the bench, each served from the first time it is asked for. Ends when its
 * parent does.
 */
import { createServer } from 'node:net'
import { once } from 'node:events'
import { TcpTransport } from '@hs/transport'
import { serveDatagrams, datagramPeers } from './datagrams.js'
import { serveGrpc } from './grpc.js'
import { heapUsed } from './heap.js'
import { serveNats } from './nats.js'
import { serveOurs } from './ours.js'
import { serveRaw } from './raw-net.js'
import { serveThrottled } from './throttle.js'

/** What the parent asks for, by number; the answer carries the number. */
export interface Order {
  readonly number: number
  readonly name: string
  readonly argument: string
}

export interface Reply {
  readonly number: number
  readonly answer?: string
  readonly error?: string
}

const orders: Readonly<Record<string, (argument: string) => Promise<string> | string>> = {
  raw: async () => (await serveRaw()).address,
  ours: async () => (await serveOurs()).address,
  grpc: async () => (await serveGrpc()).address,
  nats: async () => (await serveNats()).address,
  datagrams: async (index) => (await serveDatagrams(datagramPeers[Number(index)] ?? 'UdpTransport')).address,
  throttle: async (target) => (await serveThrottled(target)).address,
  idleOurs: serveIdleOurs,
  idleRaw: serveIdleRaw,
  heap: () => String(heapUsed()),
}

async function serveIdleOurs(): Promise<string> {
  // From one address all of them, and nobody answers its PING.
  const transport = new TcpTransport({
    listen: '127.0.0.1:0',
    maxInbound: 100_000,
    maxInboundPerIp: 100_000,
    keepaliveMs: 600_000,
  })
  transport.handle('echo', (body) => body)
  await transport.start()
  return transport.address
}

async function serveIdleRaw(): Promise<string> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', (bytes: Buffer) => socket.write(bytes)).on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

async function fulfil({ number, name, argument }: Order): Promise<Reply> {
  try {
    const order = orders[name]
    if (order === undefined) throw new Error(`no such order: ${name}`)
    return { number, answer: await order(argument) }
  } catch (error) {
    return { number, error: String(error) }
  }
}

process.on('message', (order: Order) => void fulfil(order).then((reply) => process.send?.(reply)))
process.on('disconnect', () => process.exit())
