/**
 * The limit: `node:net` with `u32 length | u32 id | body`, the frames of one turn joined into one write, and nothing
 * else: no promise, no deadline, no bound.
 */
import { connect, createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { CallbackLoop, type EchoClient, type LoadPlan, type LoadResult } from './load.js'

const HEADER = 8

export async function serveRaw(): Promise<{ address: string; close(): void }> {
  const server = createServer({ noDelay: true }, (socket) => {
    // An echo needs no buffer of its own: frames go back as they lie.
    readFrames(socket, (frames) => socket.write(frames))
    socket.on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return { address: `127.0.0.1:${port}`, close: () => server.close() }
}

export async function dialRaw(address: string): Promise<EchoClient> {
  const socket = connect({ host: '127.0.0.1', port: Number(address.split(':')[1]), noDelay: true })
  await once(socket, 'connect')
  const out = new Joiner(socket)
  let answered: (id: number) => void = () => undefined
  readFrames(socket, (frames) => {
    for (let at = 0; at < frames.length; at += 4 + frames.readUInt32BE(at)) answered(frames.readUInt32BE(at + 4))
    out.flush()
  })
  return {
    drive: (plan: LoadPlan) =>
      new Promise<LoadResult>((resolve) => {
        const loop = new CallbackLoop(plan, (id) => out.frame(id, plan.body), resolve)
        answered = (id) => loop.answered(id)
        loop.begin()
        out.flush()
      }),
    close: () => void socket.destroy(),
  }
}

/** Collects frames of a turn in one buffer. */
class Joiner {
  readonly #socket: Socket
  #buffer = Buffer.allocUnsafeSlow(65_536)
  #length = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  frame(id: number, body: Uint8Array): void {
    this.#reserve(HEADER + body.length)
    this.#buffer.writeUInt32BE(4 + body.length, this.#length)
    this.#buffer.writeUInt32BE(id, this.#length + 4)
    this.#buffer.set(body, this.#length + HEADER)
    this.#length += HEADER + body.length
  }

  flush(): void {
    if (this.#length === 0) return
    const bytes = this.#buffer.subarray(0, this.#length)
    // What is left of the buffer serves the next turn; what was written belongs to the socket.
    this.#buffer = this.#buffer.subarray(this.#length)
    this.#length = 0
    this.#socket.write(bytes)
  }

  #reserve(bytes: number): void {
    if (this.#buffer.length - this.#length >= bytes) return
    const larger = Buffer.allocUnsafeSlow(Math.max(65_536, 2 * (this.#length + bytes)))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

/** Hands out whole frames, as many together as lie so; only one that is cut between two chunks is copied. */
function readFrames(socket: Socket, onFrames: (frames: Buffer) => void): void {
  let partial: Buffer | null = null
  let filled = 0
  socket.on('data', (chunk: Buffer) => {
    let start = 0
    if (partial !== null && filled >= 4) {
      start = chunk.copy(partial, filled, 0, partial.length - filled)
      filled += start
      if (filled < partial.length) return
      onFrames(partial)
    } else if (partial !== null) {
      chunk = Buffer.concat([partial.subarray(0, filled), chunk]) // not even its length was whole, which is rare
    }
    partial = null
    let end = start
    while (chunk.length - end >= 4 && chunk.length - end >= 4 + chunk.readUInt32BE(end)) {
      end += 4 + chunk.readUInt32BE(end)
    }
    if (end > start) onFrames(chunk.subarray(start, end))
    filled = chunk.length - end
    if (filled === 0) return
    partial = Buffer.allocUnsafeSlow(filled < 4 ? 4 : 4 + chunk.readUInt32BE(end))
    chunk.copy(partial, 0, end)
  })
}
