/** The other end of a connection, written by hand: whatever bytes a test wants, and every frame that came back. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { FRAME_TYPES, readU32 } from '../src/wire.js'

export interface RawFrame {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly payload: Buffer
}

export const TYPE = FRAME_TYPES

export class RawPeer {
  readonly socket: Socket
  readonly frames: RawFrame[] = []
  #pending = Buffer.alloc(0)
  #taken = 0
  #closed = false
  #wake: (() => void)[] = []
  #onFrame: (frame: RawFrame) => void = () => undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => this.#onData(chunk))
    socket.on('error', () => this.#notify())
    socket.on('close', () => {
      this.#closed = true
      this.#notify()
    })
  }

  static async dial(address: string): Promise<RawPeer> {
    const at = address.lastIndexOf(':')
    const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)), noDelay: true })
    const peer = new RawPeer(socket)
    await once(socket, 'connect')
    return peer
  }

  /** Dialled, and HELLO exchanged. */
  static async greeted(address: string, hello: object = {}): Promise<RawPeer> {
    const peer = await RawPeer.dial(address)
    peer.hello(hello)
    await peer.next(TYPE.hello)
    return peer
  }

  /** As this peer's socket is seen by the other end. */
  get address(): string {
    return `127.0.0.1:${this.socket.localPort}`
  }

  hello(fields: object = {}): void {
    this.send(TYPE.hello, 0, json({ v: 1, label: '', major: 1, minor: 0, features: [], class: 'bulk', ...fields }))
  }

  send(type: number, id: number, payload: Uint8Array = Buffer.alloc(0), flags = 0): void {
    this.socket.write(frame(type, id, payload, flags))
  }

  request(id: number, method: string, body: Uint8Array = Buffer.alloc(0), timeoutMs = 30_000): void {
    this.send(TYPE.request, id, requestPayload(method, body, timeoutMs))
  }

  /** The next frame, or the next one of a type, skipping others. Rejects if the connection ends first. */
  async next(type?: number): Promise<RawFrame> {
    for (;;) {
      while (this.#taken < this.frames.length) {
        const found = this.frames[this.#taken++] as RawFrame
        if (type === undefined || found.type === type) return found
      }
      if (this.#closed) throw new Error(`the connection ended before a frame ${type ?? ''} came`)
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  /** Answers every request from now on. */
  answerAll(answer: Uint8Array): void {
    this.#onFrame = ({ type, id }) => {
      if (type === TYPE.request) this.send(TYPE.response, id, answer)
    }
  }

  async closed(): Promise<void> {
    while (!this.#closed) await new Promise<void>((resolve) => this.#wake.push(resolve))
  }

  get isClosed(): boolean {
    return this.#closed
  }

  destroy(): void {
    this.socket.destroy()
  }

  #onData(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk])
    while (this.#pending.length >= 4) {
      const length = readU32(this.#pending, 0)
      if (this.#pending.length < 4 + length) break
      const bytes = this.#pending.subarray(4, 4 + length)
      const seen = {
        type: bytes[0] as number,
        flags: bytes[1] as number,
        id: readU32(bytes, 2),
        payload: bytes.subarray(6),
      }
      this.frames.push(seen)
      this.#onFrame(seen)
      this.#pending = this.#pending.subarray(4 + length)
    }
    this.#notify()
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

/** A server whose connections are driven by hand. */
export class RawServer {
  readonly peers: RawPeer[] = []
  readonly #server: Server
  readonly #onPeer: (peer: RawPeer) => void
  #wake: (() => void)[] = []

  private constructor(onPeer: (peer: RawPeer) => void) {
    this.#onPeer = onPeer
    this.#server = createServer({ noDelay: true }, (socket) => {
      const peer = new RawPeer(socket)
      this.peers.push(peer)
      this.#onPeer(peer)
      for (const wake of this.#wake.splice(0)) wake()
    })
  }

  static async listen(onPeer: (peer: RawPeer) => void = () => undefined, port = 0): Promise<RawServer> {
    const server = new RawServer(onPeer)
    server.#server.listen(port, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  /** Answers HELLO at once, and nothing else. */
  static greeting(hello: object = {}): Promise<RawServer> {
    return RawServer.listen((peer) => {
      void peer.next(TYPE.hello).then(
        ({ payload }) => peer.hello({ class: (parse(payload) as { class: string }).class, ...hello }),
        () => peer.destroy(),
      )
    })
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async peer(index = 0): Promise<RawPeer> {
    for (;;) {
      const peer = this.peers[index]
      if (peer !== undefined) return peer
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  async close(): Promise<void> {
    for (const peer of this.peers) peer.destroy()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}

export function frame(type: number, id: number, payload: Uint8Array = Buffer.alloc(0), flags = 0): Buffer {
  const bytes = Buffer.alloc(10 + payload.length)
  bytes.writeUInt32BE(6 + payload.length, 0)
  bytes[4] = type
  bytes[5] = flags
  bytes.writeUInt32BE(id, 6)
  bytes.set(payload, 10)
  return bytes
}

export function requestPayload(method: string, body: Uint8Array = Buffer.alloc(0), timeoutMs = 30_000): Buffer {
  const timeout = Buffer.alloc(4)
  timeout.writeUInt32BE(timeoutMs)
  return Buffer.concat([timeout, notifyPayload(method, body)])
}

export function notifyPayload(method: string, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const name = Buffer.from(method)
  return Buffer.concat([Buffer.of(name.length), name, body])
}

export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

export function parse(payload: Uint8Array): unknown {
  return JSON.parse(Buffer.from(payload).toString()) as unknown
}

export interface ParsedRequest {
  readonly timeoutMs: number
  readonly method: string
  readonly body: Buffer
}

export function parseRequest(payload: Buffer): ParsedRequest {
  const nameEnd = 5 + (payload[4] as number)
  return {
    timeoutMs: payload.readUInt32BE(0),
    method: payload.subarray(5, nameEnd).toString(),
    body: payload.subarray(nameEnd),
  }
}
