/** What the tests of `TcpTransport` share: transports that are stopped at the end, and waiting without sleeping. */
import type { TransportError } from '@hs/core'
import { HsError } from '@hs/core'
import { MemoryLogger } from '@hs/core/testing'
import { afterEach } from 'vitest'
import { TcpTransport, type TcpTransportOptions } from '../src/index.js'
import type { RawServer } from './raw-peer.js'
import { type RawPeer } from './raw-peer.js'

export const NOTHING = new Uint8Array(0)

const made: { stop(): unknown }[] = []

afterEach(async () => {
  await Promise.all(made.splice(0).map((thing) => thing.stop()))
})

/** Ends it after the test. */
export function use<T extends TcpTransport | RawServer | RawPeer>(thing: T): T {
  made.push(
    thing instanceof TcpTransport ? thing : { stop: () => ('close' in thing ? thing.close() : thing.destroy()) },
  )
  return thing
}

const QUICK = { drainTimeoutMs: 50 } as const

/** Listens on loopback. */
export async function serve(options: TcpTransportOptions = {}): Promise<TcpTransport> {
  const transport = use(new TcpTransport({ listen: '127.0.0.1:0', logger: new MemoryLogger(), ...QUICK, ...options }))
  await transport.start()
  return transport
}

/** Only dials. */
export function client(options: TcpTransportOptions = {}): TcpTransport {
  return use(new TcpTransport({ logger: new MemoryLogger(), ...QUICK, ...options }))
}

/** Lets real I/O go on until the condition holds; the test's own timeout is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

/** One turn of the event loop, real sockets included. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

/** What a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<TransportError> {
  try {
    await promise
  } catch (error) {
    if (HsError.is(error)) return error as TransportError
    throw error
  }
  throw new Error('expected a rejection')
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function text(body: Uint8Array): string {
  return new TextDecoder().decode(body)
}

/** A promise and its settling, for handlers that wait. */
export function gate<T = void>() {
  let open: (value: T) => void = () => undefined
  const promise = new Promise<T>((resolve) => (open = resolve))
  return { promise, open: (value: T) => open(value) }
}
