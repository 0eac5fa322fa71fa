/** The other process of `two-processes.ts`: reports at a steady rate to the address that it is given, then says so. */
import { msgpackCodec } from '@hs/core'
import { TcpTransport } from '@hs/transport'
import { JOBS, reportSchema, WORKERS, type Report } from './two-processes.js'

const [address = '', perSecond = 0, seconds = 0] = process.argv
  .slice(2)
  .map((text, i) => (i === 0 ? text : Number(text))) as [string, number, number]
/** Reports in a row, so that timers need not be finer than they are. */
const TURN_MS = 5

const codec = msgpackCodec(reportSchema())
// A turn that comes late has much to send.
const rpc = new TcpTransport({ maxQueued: 1_000_000, maxQueuedBytes: 256 * 2 ** 20 })
await rpc.start()
await rpc.connect(address)
const seqs = new Map<string, number>()
const total = perSecond * seconds
const begin = performance.now()
let sent = 0

function next(): Report {
  const job = `job-${sent % JOBS}`
  const source = `worker-${sent % JOBS}-${Math.floor(sent / JOBS) % WORKERS}`
  const seq = (seqs.get(source) ?? 0) + 1
  seqs.set(source, seq)
  return { job, source, atMs: Date.now(), seq, latencyMs: 5 + (sent % 977) / 10 }
}

function turn(): void {
  const due = Math.min(total, Math.floor(((performance.now() - begin) / 1_000) * perSecond))
  while (sent < due) {
    const report = next()
    sent++
    rpc.notify(address, 'report', codec.encode(report)).catch((error: unknown) => {
      console.error(error)
      process.exit(1)
    })
  }
  if (sent < total) setTimeout(turn, TURN_MS)
  else void finish()
}

async function finish(): Promise<void> {
  // Behind the last report, on the same connection.
  await rpc.request(address, 'done', new Uint8Array(), { timeoutMs: 60_000 })
  await rpc.stop()
}
turn()
