/** A peer that reads slowly: passes bytes on to a server, 10 MB a second and connection; answers come back unhindered. */
import { connect, createServer, type Socket } from 'node:net'
import { once } from 'node:events'

const BYTES_PER_SECOND = 10_000_000
const TICK_MS = 5

export async function serveThrottled(target: string): Promise<{ address: string; close(): void }> {
  const port = Number(target.split(':')[1])
  const server = createServer({ noDelay: true }, (from) => {
    const to = connect({ host: '127.0.0.1', port, noDelay: true })
    to.pipe(from)
    passSlowly(from, to)
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { address: `127.0.0.1:${(server.address() as { port: number }).port}`, close: () => server.close() }
}

function passSlowly(from: Socket, to: Socket): void {
  // What is unread stays in the kernel, where the sender's flow control sees it. A small credit may be saved up.
  let credit = 0
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    credit = Math.min(credit + ((now - last) * BYTES_PER_SECOND) / 1_000, 131_072)
    last = now
    if (credit > 0) from.resume()
  }, TICK_MS)
  from.on('data', (bytes: Buffer) => {
    to.write(bytes)
    credit -= bytes.length
    if (credit <= 0) from.pause()
  })
  from.on('close', () => clearInterval(timer))
}
