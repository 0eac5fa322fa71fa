/** What an idle inbound connection keeps on the heap, beside a bare `node:net` one; and what a million requests leave. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { heapUsed } from './heap.js'
import { OtherProcess } from './other-process.js'
import { dialOurs } from './ours.js'

/** Descriptors that the processes need for themselves. */
const RESERVED_DESCRIPTORS = 200

export interface IdleFigure {
  readonly name: string
  readonly connections: number
  readonly bytesEach: number
}

/** As many connections as asked for, or as the limit of open files allows. */
export function affordableConnections(wanted: number): number {
  const line = /Max open files\s+(\d+)/.exec(readLimits())
  return line === null ? wanted : Math.min(wanted, Number(line[1]) - RESERVED_DESCRIPTORS)
}

export async function measureIdle(connections: number): Promise<IdleFigure[]> {
  return [
    { name: '@hs/transport', connections, bytesEach: await bytesEach('idleOurs', connections, hello()) },
    { name: 'node:net', connections, bytesEach: await bytesEach('idleRaw', connections, Buffer.of(1)) },
  ]
}

/** In a process of its own, where nothing else comes and goes. */
async function bytesEach(server: string, connections: number, greeting: Buffer): Promise<number> {
  const other = new OtherProcess()
  const sockets: Socket[] = []
  try {
    const address = await other.ask(server)
    // What is made once only, by the first connection, belongs to none.
    sockets.push(await greet(address, greeting))
    const before = Number(await other.ask('heap'))
    while (sockets.length <= connections) {
      const batch = Math.min(100, connections + 1 - sockets.length)
      sockets.push(...(await Promise.all(Array.from({ length: batch }, () => greet(address, greeting)))))
    }
    return (Number(await other.ask('heap')) - before) / connections
  } finally {
    for (const socket of sockets) socket.destroy()
    other.end()
  }
}

/** Resolves when the server has answered. */
async function greet(address: string, greeting: Buffer): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: Number(address.split(':')[1]) })
  socket.write(greeting)
  await once(socket, 'data')
  return socket
}

/** HELLO of a peer that wants a bulk connection. */
function hello(): Buffer {
  const payload = Buffer.from(JSON.stringify({ v: 1, label: '', major: 1, minor: 0, features: [], class: 'bulk' }))
  const frame = Buffer.alloc(10 + payload.length)
  frame.writeUInt32BE(6 + payload.length)
  frame[4] = 1
  payload.copy(frame, 10)
  return frame
}

export interface GrowthFigure {
  readonly requests: number
  readonly clientBytes: number
  readonly serverBytes: number
}

/** How much larger both heaps are after `requests` than they were after a tenth of them, which fill the pools. */
export async function measureGrowth(other: OtherProcess, requests: number): Promise<GrowthFigure> {
  const client = await dialOurs(await other.ask('ours'))
  const body = new Uint8Array(128)
  const callMany = async (count: number) => {
    let left = count
    const loop = async () => {
      while (left-- > 0) await client.call('echo', body)
    }
    await Promise.all(Array.from({ length: 512 }, loop))
  }
  await callMany(requests / 10)
  const clientBefore = heapUsed()
  const serverBefore = Number(await other.ask('heap'))
  await callMany(requests)
  const figure = {
    requests,
    clientBytes: heapUsed() - clientBefore,
    serverBytes: Number(await other.ask('heap')) - serverBefore,
  }
  await client.close()
  return figure
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return '' // not on Linux: then the system says when it is enough
  }
}
