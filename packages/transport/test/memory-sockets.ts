/**
 * Sockets in memory behind the same engine: bytes cross within a turn of the event loop, time is whatever the test's clock says.
 * A link may be silenced (bytes vanish), cut, or its readers held, to play dead, reset and slow peers.
 */
import { Duplex } from 'node:stream'
import type { AcceptSocket, SocketLayer } from '../src/sockets.js'
import { SOCKET_HIGH_WATER_BYTES } from '../src/socket-writer.js'

export class MemorySocket extends Duplex {
  other: MemorySocket | null = null
  /** What is written vanishes, as to a host that is gone. */
  silent = false
  /** How what is written crosses: never within the write, as with a real socket. */
  cross: (arrive: () => void) => void = (arrive) => process.nextTick(arrive)
  #held: { chunk: Buffer; done: () => void } | null = null
  #wantsMore = true

  constructor() {
    super({ writableHighWaterMark: SOCKET_HIGH_WATER_BYTES, allowHalfOpen: false })
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const { other } = this
    if (this.silent || other === null || other.destroyed) {
      done()
      return
    }
    const copy = Buffer.from(chunk)
    this.cross(() => other.receive(copy, done))
  }

  override _final(done: () => void): void {
    const { other } = this
    if (!this.silent && other !== null) process.nextTick(() => other.finish())
    done()
  }

  override _read(): void {
    this.#wantsMore = true
    const held = this.#held
    this.#held = null
    if (held !== null) this.receive(held.chunk, held.done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.silent && this.other !== null && !this.other.destroyed) {
      const { other } = this
      process.nextTick(() => other.finish())
    }
    done(error)
  }

  receive(chunk: Buffer, done: () => void): void {
    if (!this.#wantsMore) {
      this.#held = { chunk, done }
      return
    }
    this.#wantsMore = this.push(chunk)
    done()
  }

  finish(): void {
    if (!this.readableEnded && !this.destroyed && !this.#finished) {
      this.#finished = true
      this.push(null)
    }
  }

  #finished = false
}

export function socketPair(): [MemorySocket, MemorySocket] {
  const [a, b] = [new MemorySocket(), new MemorySocket()]
  a.other = b
  b.other = a
  return [a, b]
}

/** One host: listeners by port. */
export class MemorySockets implements SocketLayer {
  /** Every dial that was made, in order, from the dialler's side. */
  readonly dialled: MemorySocket[] = []
  /** What becomes of the next dials. */
  mode: 'accept' | 'refuse' | 'ignore' = 'accept'
  readonly #listeners = new Map<number, AcceptSocket>()
  #nextPort = 40_000

  dial(host: string, port: number): Duplex {
    const [near, far] = socketPair()
    this.dialled.push(near)
    const accept = this.#listeners.get(port)
    const { mode } = this
    process.nextTick(() => {
      if (near.destroyed || mode === 'ignore') return
      if (accept === undefined || mode === 'refuse') {
        near.destroy(Object.assign(new Error(`connect ECONNREFUSED ${host}:${port}`), { code: 'ECONNREFUSED' }))
        return
      }
      near.emit('connect')
      accept(far, '127.0.0.1', this.#nextPort++)
    })
    return near
  }

  async listen(host: string, port: number, onSocket: AcceptSocket) {
    const bound = port === 0 ? this.#nextPort++ : port
    this.#listeners.set(bound, onSocket)
    return {
      host,
      port: bound,
      close: async () => {
        this.#listeners.delete(bound)
      },
    }
  }
}
