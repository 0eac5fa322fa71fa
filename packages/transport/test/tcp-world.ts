/** A world without time of its own: engines on sockets in memory, one clock, and what settles when. */
import { HsError, parseOptions, type TransportError } from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import { RpcEndpoint } from '../src/rpc-endpoint.js'
import { tcpOptionsSchema, type TcpTransportOptions } from '../src/tcp-options.js'
import { MemorySockets, type MemorySocket } from './memory-sockets.js'

export const NOTHING = new Uint8Array(0)
export const SERVER = '127.0.0.1:7000'

export function world() {
  const clock = new VirtualClock()
  const sockets = new MemorySockets()
  const endpoint = (options: TcpTransportOptions = {}) =>
    new RpcEndpoint(
      parseOptions(
        tcpOptionsSchema,
        { clock, logger: new MemoryLogger(), random: new SeededRandom(1), ...options },
        'TcpTransport',
      ),
      sockets,
    )
  const serving = async (options: TcpTransportOptions = {}) => {
    const server = endpoint({ listen: SERVER, ...options })
    await server.start()
    server.handle('echo', (body) => body)
    server.handle('stuck', () => new Promise(() => undefined))
    return server
  }
  /** A listener that is driven by hand. */
  const rawServer = async (onSocket: (socket: MemorySocket) => void) => {
    await sockets.listen('127.0.0.1', 7_000, (socket) => {
      socket.on('error', () => undefined)
      onSocket(socket as MemorySocket)
    })
  }
  return { clock, sockets, endpoint, serving, rawServer }
}

export interface Outcome {
  atMs: number | null
  error: TransportError | null
}

/** When and how a promise settles. */
export function watch(clock: VirtualClock, promise: Promise<unknown>): Outcome {
  const outcome: Outcome = { atMs: null, error: null }
  promise.then(
    () => (outcome.atMs = clock.now()),
    (error: unknown) => {
      if (!HsError.is(error)) throw error
      outcome.atMs = clock.now()
      outcome.error = error as TransportError
    },
  )
  return outcome
}
