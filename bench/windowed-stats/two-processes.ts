/**
 * Where the time of a collector goes that hears 100,000 reports a second from another process, each a notification of
 * its own over the transport: a CPU profile by package. None of them may get lost.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Profiler, Runtime } from 'node:inspector'
import { Session } from 'node:inspector/promises'
import { fileURLToPath } from 'node:url'
import { msgpackCodec } from '@hs/core'
import { TcpTransport } from '@hs/transport'
import { exponentialSketch, WindowedStats } from '@hs/windowed-stats'
import * as z from 'zod'
import { printTable, type Report as BenchReport } from '../swim/report.js'

export const JOBS = 100
export const WORKERS = 10

export const reportSchema = () =>
  z.object({ job: z.string(), source: z.string(), atMs: z.number(), seq: z.number(), latencyMs: z.number() })
export type Report = z.infer<ReturnType<typeof reportSchema>>

const NOTHING = new Uint8Array()
const REPORTER = fileURLToPath(new URL('./reporting-process.ts', import.meta.url))
/** In this order: the first that a script's address contains. */
const PARTS = ['windowed-stats', 'transport', 'core', 'zod', 'node:'] as const

export async function twoProcesses(report: BenchReport, perSecond: number, seconds: number): Promise<void> {
  const stats = new WindowedStats({ windowMs: 1_000, sketch: exponentialSketch(), maxFutureMs: 60_000 })
  const codec = msgpackCodec(reportSchema())
  const server = new TcpTransport({ listen: '127.0.0.1:0', maxInFlight: 100_000, maxQueuedBytes: 256 * 2 ** 20 })
  server.handle('report', (body) => {
    const { job, source, atMs, seq, latencyMs } = codec.decode(body)
    stats.record({ jobId: job, workflowId: 'login', source, atMs, seq, counts: { n: 1 }, values: { latencyMs } })
    return NOTHING
  })
  server.handle('done', (body) => body)
  await server.start()

  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.start')
  const cpu = process.cpuUsage()
  const begin = performance.now()
  const child = spawn(process.execPath, ['--import', 'tsx', REPORTER, server.address, `${perSecond}`, `${seconds}`], {
    stdio: 'inherit',
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  const elapsedMs = performance.now() - begin
  const { user, system } = process.cpuUsage(cpu)
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  await server.stop()
  if (code !== 0) throw new Error(`the reporting process ended with ${code}`)

  const { counted, late, ...refused } = stats.snapshot().records
  const sent = perSecond * seconds
  const all = Object.values(refused).reduce((sum, n) => sum + n, counted + late)
  const verdict = report.verdict({ what: 'reports with an outcome, of those sent', figure: all / sent, atLeast: 1, atMost: 1 }) // prettier-ignore
  console.log(`${sent} reports, ${perSecond} a second, from another process; all have an outcome: ${verdict}`)
  // A reporter that gets no processor for seconds reports what is long past.
  console.log(`  counted ${counted}, late ${late}, too late ${refused.expired}`)
  const cpuMs = (user + system) / 1_000
  console.log(`  the collecting process used ${cpuMs.toFixed(0)} ms of ${elapsedMs.toFixed(0)} ms, start of the other one included`) // prettier-ignore
  const shares = sharesOf(profile)
  printTable(
    ['its time went to', '%', 'us a report'],
    [...shares].map(([part, share]) => [part, (100 * share).toFixed(1), ((share * cpuMs * 1_000) / sent).toFixed(2)]),
  )
}

/** Shares of the samples in which something ran, by where the function stands. */
function sharesOf({ nodes, samples = [] }: Profiler.Profile): ReadonlyMap<string, number> {
  const partOf = new Map<number, string | undefined>()
  for (const { id, callFrame } of nodes) partOf.set(id, partFor(callFrame))
  const counts = new Map<string, number>()
  let all = 0
  for (const id of samples) {
    const part = partOf.get(id)
    if (part === undefined) continue
    counts.set(part, (counts.get(part) ?? 0) + 1)
    all++
  }
  return new Map([...counts].sort(([, a], [, b]) => b - a).map(([part, count]) => [part, count / all]))
}

function partFor({ functionName, url }: Pick<Runtime.CallFrame, 'functionName' | 'url'>): string | undefined {
  if (functionName === '(idle)' || functionName === '(root)') return undefined
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (functionName === '(program)') return 'sockets and the rest of the process'
  return PARTS.find((part) => url.includes(part)) ?? 'the bench itself'
}
