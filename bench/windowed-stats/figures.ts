/** Figures that are no contest of operations per second: bytes on the wire, heap, and rounds in which few jobs have news. */
import { VirtualClock } from '@hs/core/testing'
import { exponentialSketch, StatsPusher, tdigestSketch, WindowedStats, type SketchFactory } from '@hs/windowed-stats'
import { heapOf, heapOfSketch } from '../quantiles/heap.js'
import { ddSketch, exponential, filled, hdr2, npmTDigest, tdigest, type Kind } from '../quantiles/sketches.js'
import { stream } from '../quantiles/streams.js'
import { printTable, type Report } from '../swim/report.js'
import { twoProcesses } from './two-processes.js'

export interface Section {
  readonly name: string
  run(report: Report): void | Promise<void>
}

export function sections(smoke: boolean): readonly Section[] {
  return [
    { name: 'wire: bytes of a sketch', run: (report) => wire(report, smoke ? 2_000 : 200_000) },
    { name: 'heap: bytes of a sketch', run: heap },
    { name: 'pushNow: 100 jobs with news', run: (report) => rounds(report, smoke ? 500 : 10_000, smoke ? 5 : 200) },
    { name: 'memory: jobs with open windows', run: () => memory(smoke ? 200 : 10_000) },
    { name: 'two processes', run: (report) => twoProcesses(report, smoke ? 1_000 : 100_000, smoke ? 1 : 5) },
  ]
}

/** A row of a table whose figure may be judged against a peer's. */
function row<T>(report: Report, kind: Kind<T>, figure: number, goal?: { ratio: number; peer: string; of: number }) {
  if (goal === undefined) return [kind.name, figure.toFixed(0), '', '']
  const { ratio, peer, of } = goal
  const verdict = report.verdict({ what: `${kind.name} / ${peer}`, figure: figure / of, atMost: ratio })
  return [kind.name, figure.toFixed(0), `${(figure / of).toFixed(2)} of ${peer}, goal ${ratio}`, verdict]
}

function wire(report: Report, samples: number): void {
  const sample = stream('log-normal', samples)
  const bytesOf = <T>(kind: Kind<T>) => kind.bytes(filled(kind, sample))
  printTable(
    [`bytes of ${samples} log-normal samples`, 'bytes', '', ''],
    [
      row(report, exponential, bytesOf(exponential), { ratio: 0.5, peer: ddSketch.name, of: bytesOf(ddSketch) }),
      row(report, ddSketch, bytesOf(ddSketch)),
      row(report, hdr2, bytesOf(hdr2)),
      row(report, tdigest, bytesOf(tdigest)),
      row(report, npmTDigest, bytesOf(npmTDigest)),
    ],
  )
}

function heap(report: Report): void {
  for (const samples of [200, 1_000]) {
    const peers = { dd: heapOfSketch(ddSketch, samples), npm: heapOfSketch(npmTDigest, samples) }
    const isAtThousand = samples === 1_000
    printTable(
      [`heap of a sketch of ${samples} samples`, 'bytes', '', ''],
      [
        row(
          report,
          exponential,
          heapOfSketch(exponential, samples),
          isAtThousand ? { ratio: 1.1, peer: ddSketch.name, of: peers.dd } : undefined,
        ),
        row(report, ddSketch, peers.dd),
        row(report, hdr2, heapOfSketch(hdr2, samples)),
        row(
          report,
          tdigest,
          heapOfSketch(tdigest, samples),
          isAtThousand ? undefined : { ratio: 0.3, peer: npmTDigest.name, of: peers.npm },
        ),
        row(report, npmTDigest, peers.npm),
      ],
    )
  }
}

const WITH_NEWS = 100
const WINDOW_MS = 100

/** A collector whose jobs all have a subscriber, and of which a hundred, others each time, have news in a round. */
class Rounds {
  readonly #clock = new VirtualClock()
  readonly #stats: WindowedStats
  readonly #pusher: StatsPusher
  readonly #jobs: number
  #next = 0
  pushed = 0

  constructor(jobs: number) {
    const clock = this.#clock
    this.#jobs = jobs
    this.#stats = new WindowedStats({ windowMs: WINDOW_MS, sketch: exponentialSketch(), clock })
    this.#pusher = new StatsPusher({ stats: this.#stats, clock })
    for (let i = 0; i < jobs; i++) this.#pusher.subscribe(`job-${i}`, () => void this.pushed++)
    for (let i = 0; i < jobs; i += WITH_NEWS) this.run()
  }

  /** Milliseconds of one `pushNow`. */
  run(): number {
    const atMs = this.#clock.wallNow()
    for (let i = 0; i < WITH_NEWS; i++) {
      const jobId = `job-${this.#next++ % this.#jobs}`
      const news = { counts: { completed: 1 }, values: { latencyMs: 1 + (i % 7) } }
      this.#stats.record({ jobId, workflowId: 'login', source: 'worker-1', atMs, ...news })
    }
    this.#clock.advance(2 * WINDOW_MS)
    const start = performance.now()
    this.#pusher.pushNow()
    return performance.now() - start
  }
}

function rounds(report: Report, jobs: number, times: number): void {
  const [many, alone] = [new Rounds(jobs), new Rounds(WITH_NEWS)]
  const measured = Array.from({ length: times }, () => [many.run(), alone.run()] as const)
  const [ofMany, ofAlone] = [medianOf(measured.map(([a]) => a)), medianOf(measured.map(([, b]) => b))]
  const pushed = many.pushed - jobs
  if (pushed !== times * WITH_NEWS) throw new Error(`${pushed} updates instead of ${times * WITH_NEWS}`)
  const ratio = ofMany / ofAlone
  const verdict = report.verdict({ what: 'pushNow', figure: ratio, atMost: 10 })
  console.log(`pushNow, median of ${times} rounds in which ${WITH_NEWS} jobs have news`)
  console.log(`  ${jobs} jobs: ${(ofMany * 1_000).toFixed(0)} us, these alone: ${(ofAlone * 1_000).toFixed(0)} us`)
  console.log(`  ratio ${ratio.toFixed(2)}, goal 10: ${verdict}`)
}

/** Each source of each job has reported one sample and a count. */
function memory(jobs: number): void {
  const bytesAJob = (sketch: SketchFactory, sources: number) =>
    heapOf(1, () => {
      const stats = new WindowedStats({ windowMs: WINDOW_MS, sketch, clock: new VirtualClock() })
      const atMs = new VirtualClock().wallNow()
      for (let source = 0; source < sources; source++) {
        for (let job = 0; job < jobs; job++) {
          const report = { counts: { completed: 1 }, values: { latencyMs: 1 + source } }
          stats.record({ jobId: `job-${job}`, workflowId: 'login', source: `w-${source}`, atMs, seq: 0, ...report })
        }
      }
      return stats
    }) / jobs
  const sketches = { exponential: exponentialSketch(), tdigest: tdigestSketch() }
  printTable(
    [`heap of ${jobs} jobs, each with an open window`, '1 source', '10 sources'],
    Object.entries(sketches).map(([name, sketch]) => [
      name,
      `${bytesAJob(sketch, 1).toFixed(0)} B a job`,
      `${bytesAJob(sketch, 10).toFixed(0)} B a job`,
    ]),
  )
}

function medianOf(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
}
