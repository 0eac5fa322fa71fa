/**
 * Where the sockets come from: the only file that knows `node:net`. Everything above works on a `Duplex`, so tests put
 * an in-memory pair in its place.
 */
import { HsError, formatAddress } from '@hs/core'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { handlesReleased } from './released-handles.js'
import { SOCKET_HIGH_WATER_BYTES } from './socket-writer.js'

export interface SocketLayer {
  /** Begins to connect. The socket emits `'connect'`, or `'error'` and `'close'`. */
  dial(host: string, port: number): Duplex
  /** Resolves when it listens; rejects if it cannot. `onError` hears what goes wrong with accepting later. */
  listen(host: string, port: number, onSocket: AcceptSocket, onError: (error: Error) => void): Promise<Listener>
}

/** @param ip the peer's address, without a port. */
export type AcceptSocket = (socket: Duplex, ip: string, port: number) => void

export interface Listener {
  readonly host: string
  readonly port: number
  /** Accepts nothing more, from now on; resolves when all that it accepted is closed too. */
  close(): Promise<void>
}

export const netSockets: SocketLayer = {
  dial: (host, port) => dialSocket(host, port),
  listen: (host, port, onSocket, onError) => listenOn(host, port, onSocket, onError),
}

function dialSocket(host: string, port: number): Socket {
  // The high-water mark goes to the stream below, which `net`'s types do not say.
  const streamOptions = { writableHighWaterMark: SOCKET_HIGH_WATER_BYTES }
  return connect({ ...streamOptions, host, port, noDelay: true })
}

async function listenOn(
  host: string,
  port: number,
  onSocket: AcceptSocket,
  onError: (error: Error) => void,
): Promise<Listener> {
  const server = createServer({ noDelay: true, highWaterMark: SOCKET_HIGH_WATER_BYTES }, (socket) =>
    acceptSocket(socket, onSocket),
  )
  await listening(server, host, port)
  server.on('error', onError)
  const bound = server.address() as AddressInfo
  return {
    host: bound.address,
    port: bound.port,
    close: () => closeServer(server),
  }
}

async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())))
  await handlesReleased()
}

function acceptSocket(socket: Socket, onSocket: AcceptSocket): void {
  const { remoteAddress, remotePort } = socket
  // A peer that is gone already has no address.
  if (remoteAddress === undefined || remotePort === undefined) socket.destroy()
  else onSocket(socket, plainIp(remoteAddress), remotePort)
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      const message = `Cannot listen on ${formatAddress(host, port)}: ${error.message}`
      reject(new HsError(error.code ?? 'LISTEN_FAILED', message, { cause: error }))
    }
    server.once('error', onError)
    server.listen({ host, port }, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

/** An IPv4 peer of a dual-stack socket has one address, not two; a zone means nothing elsewhere. */
function plainIp(remoteAddress: string): string {
  const [ip = ''] = remoteAddress.split('%')
  return ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice('::ffff:'.length) : ip
}
