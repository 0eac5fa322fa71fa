/**
 * The limit: `node:net` with `u32 length | u32 id | body`, the frames of one turn joined into one write, and nothing
 * else: no promise, no deadline, no bound.
 */
import { connect, createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { CallbackLoop, type EchoClient, type LoadPlan, type LoadResult } from './load.js'

const HEADER = 8
const BATCH_BYTES = 65_536

export async function serveRaw(): Promise<{ address: string; close(): void }> {
  const server = createServer({ noDelay: true }, (socket) => {
    const out = new Joiner(socket)
    readFrames(socket, (frames) => {
      out.add(frames)
      out.flush()
    })
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
  const header = Buffer.alloc(HEADER)
  const send = (id: number, body: Uint8Array) => {
    header.writeUInt32BE(4 + body.length)
    header.writeUInt32BE(id, 4)
    out.add(header)
    out.add(body)
  }
  let answered: (id: number) => void = () => undefined
  readFrames(socket, (frames) => {
    for (let at = 0; at < frames.length; at += 4 + frames.readUInt32BE(at)) answered(frames.readUInt32BE(at + 4))
    out.flush()
  })
  return {
    drive: (plan: LoadPlan) =>
      new Promise<LoadResult>((resolve) => {
        const loop = new CallbackLoop(plan, (id) => send(id, plan.body), resolve)
        answered = (id) => loop.answered(id)
        loop.begin()
        out.flush()
      }),
    close: () => void socket.destroy(),
  }
}

/** Collects the bytes of a turn in buffers that come back when the socket is done with them. */
class Joiner {
  readonly #socket: Socket
  readonly #free: Buffer[] = []
  #buffer: Buffer = Buffer.allocUnsafeSlow(BATCH_BYTES)
  #length = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#length === BATCH_BYTES) this.#nextBuffer()
      const part = bytes.subarray(at, at + BATCH_BYTES - this.#length)
      this.#buffer.set(part, this.#length)
      this.#length += part.length
      at += part.length
    }
  }

  flush(): void {
    if (this.#length > 0) this.#nextBuffer()
  }

  #nextBuffer(): void {
    const buffer = this.#buffer
    this.#socket.write(buffer.subarray(0, this.#length), () => this.#free.push(buffer))
    this.#buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES)
    this.#length = 0
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
