/**
 * Fifty workers with clocks of their own report to the managers of two datacenters, whose windows a gate takes in and
 * pushes to a client. Nothing on the way is reliable: datagrams are lost, repeated and reordered, links are cut,
 * managers crash with what they hold, the client stands still for a minute. What each of them keeps to itself:
 *
 * - a worker sends a record until it is answered, a record of one number always with the same content;
 * - a manager answers once it has refused a record, or once the gate has the window that holds it;
 * - the gate knows which records its windows cover. A manager that boots asks for that before it takes anything in, and
 *   from then on the gate takes in nothing of its former life.
 *
 * So every record is in the gate's windows once, or refused; and what the client adds up can be compared exactly.
 */
import { HsError, type BackpressureLevel, type Clock, type RpcTransport } from '@hs/core'
import { JobStats } from '@hs/crdt'
import type { NodeEnv } from '@hs/sim'
import {
  exponentialSketch,
  StatsPusher,
  windowFromWire,
  WindowedStats,
  windowToWire,
  type QuantileSketch,
  type RecordOutcome,
  type StatsRecord,
  type StatsUpdate,
} from '@hs/windowed-stats'

export const DATACENTERS = ['eu', 'us'] as const
export const JOBS = ['job-0', 'job-1'] as const
const WINDOW_MS = 1_000
const DRIFT_TOLERANCE_MS = 250
/** Windows of managers are closed when they come. */
const GATE_TOLERANCE_MS = 1_500
const SEND_AGAIN_MS = 1_500
const TAKE_EVERY_MS = 500

/** A record of a worker, by whose name and number everybody knows it. */
export interface Report extends StatsRecord {
  readonly seq: number
  readonly counts: { readonly n: number }
  readonly values: { readonly ms: readonly number[] }
}

type Refusal = Exclude<RecordOutcome, 'counted' | 'late' | 'duplicate'>
const refusals: readonly string[] = ['expired', 'future', 'finished', 'limited'] satisfies Refusal[]

interface Answer {
  readonly life: number
  readonly seq: number
  readonly outcome: 'counted' | Refusal
}

interface Batch {
  readonly datacenter: string
  readonly life: number
  readonly batch: number
  readonly jobId: string
  readonly windows: readonly { readonly seq: number; readonly wire: unknown }[]
  /** The records that the windows are made of. */
  readonly covers: readonly Report[]
  /** Of the datacenter and the job since it began. */
  readonly completed: number
}

interface Known {
  readonly covered: readonly string[]
  /** By job. */
  readonly completed: Readonly<Record<string, number>>
}

const encode = (message: unknown) => new TextEncoder().encode(JSON.stringify(message))
const decode = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes)) as unknown
const keyOf = ({ source, seq }: Report) => `${source}#${seq}`

export const total = (reports: Iterable<Report>) => {
  let sum = 0
  for (const { counts } of reports) sum += counts.n
  return sum
}

export class ReportingWorker {
  readonly sent: Report[] = []
  /** What the latest life of the manager that answered has said. */
  readonly answers = new Map<number, Answer>()
  readonly #env: NodeEnv
  readonly #manager: string
  readonly #place: { readonly jobId: string; readonly workflowId: string; readonly source: string }

  constructor(env: NodeEnv, options: { index: number; manager: string; untilMs: number }) {
    const { index, manager, untilMs } = options
    this.#env = env
    this.#manager = `${manager}:1`
    this.#place = { jobId: JOBS[index % JOBS.length] ?? JOBS[0], workflowId: `flow-${index % 3}`, source: env.name }
    env.datagram.onMessage((_, bytes) => this.#take(decode(bytes) as Answer))
    const { clock, random } = env
    const endsAt = clock.now() + untilMs
    const report = () => {
      if (clock.now() >= endsAt) return
      this.#send(this.#next())
      clock.setTimer(600 + random.int(800), report)
    }
    clock.setTimer(3_000 + random.int(1_000), report)
  }

  get waiting(): readonly Report[] {
    return this.sent.filter(({ seq }) => !this.answers.has(seq))
  }

  #next(): Report {
    const { clock, random } = this.#env
    const ms = Array.from({ length: 1 + random.int(4) }, () => 5 * Math.exp(4 * random.next() ** 3))
    const seq = this.sent.length + 1
    const report = { ...this.#place, atMs: clock.wallNow(), seq, counts: { n: 1 + random.int(9) }, values: { ms } }
    this.sent.push(report)
    return report
  }

  #send(report: Report): void {
    if (this.answers.has(report.seq)) return
    this.#env.datagram.send(this.#manager, encode(report))
    this.#env.clock.setTimer(SEND_AGAIN_MS, () => this.#send(report))
  }

  #take(answer: Answer): void {
    const known = this.answers.get(answer.seq)
    if (known === undefined || answer.life > known.life) this.answers.set(answer.seq, answer)
  }
}

export class StatsManager {
  readonly stats: WindowedStats
  /** Records of this life that are in windows, but not yet at the gate. */
  readonly held = new Map<string, Report>()
  readonly refused = new Map<string, { readonly report: Report; readonly outcome: Refusal }>()
  readonly outcomes = new Map<RecordOutcome, number>()
  readonly #env: NodeEnv
  readonly #datacenter: string
  readonly #covered = new Set<string>()
  readonly #completed = new Map<string, number>()
  readonly #windows = new Map<string, number>()
  #batches = 0
  #isReady = false

  constructor(env: NodeEnv, datacenter: string) {
    const { clock, logger, datagram } = env
    this.#env = env
    this.#datacenter = datacenter
    this.stats = new WindowedStats({
      ...{ clock, logger, windowMs: WINDOW_MS, driftToleranceMs: DRIFT_TOLERANCE_MS, sketch: exponentialSketch() },
      maxPendingPerJob: 8,
    })
    datagram.onMessage((_, bytes) => {
      if (this.#isReady) this.#take(decode(bytes) as Report)
    })
  }

  async start(): Promise<void> {
    const { clock, incarnation, rpc } = this.#env
    const hello = { datacenter: this.#datacenter, life: incarnation }
    const known = (await asking(clock, rpc, 'hello', hello)) as Known
    for (const key of known.covered) this.#covered.add(key)
    for (const [jobId, completed] of Object.entries(known.completed)) this.#completed.set(jobId, completed)
    this.#isReady = true
    void this.#forward()
  }

  #take(report: Report): void {
    const key = keyOf(report)
    if (this.#covered.has(key)) return this.#answer(report, 'counted')
    const refused = this.refused.get(key)
    if (refused !== undefined) return this.#answer(report, refused.outcome)
    const outcome = this.stats.record(report)
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
    if (outcome === 'counted' || outcome === 'late') this.held.set(key, report)
    else if (outcome === 'duplicate') check(this.held.has(key), `${key} is no duplicate`)
    else {
      check(refusals.includes(outcome), `${key} is ${outcome}`)
      this.refused.set(key, { report, outcome })
      this.#answer(report, outcome)
    }
  }

  async #forward(): Promise<void> {
    const { clock, rpc } = this.#env
    for (;;) {
      await clock.sleep(TAKE_EVERY_MS)
      for (const jobId of this.stats.getJobsWithPendingStats()) {
        const batch = this.#batch(jobId)
        await asking(clock, rpc, 'absorb', batch)
        for (const report of batch.covers) {
          this.#covered.add(keyOf(report))
          this.held.delete(keyOf(report))
          this.#answer(report, 'counted')
        }
      }
    }
  }

  #batch(jobId: string): Batch {
    const { clock, incarnation } = this.#env
    const windows = this.stats.takeAggregatedStats(jobId).map((window) => {
      const seq = (this.#windows.get(window.workflowId + jobId) ?? 0) + 1
      this.#windows.set(window.workflowId + jobId, seq)
      return { seq, wire: windowToWire(window), window }
    })
    // What is taken is all that is closed.
    const closedBeforeMs = clock.wallNow() - DRIFT_TOLERANCE_MS
    const covers = [...this.held.values()].filter(
      (report) => report.jobId === jobId && (Math.floor(report.atMs / WINDOW_MS) + 1) * WINDOW_MS <= closedBeforeMs,
    )
    const n = windows.reduce((sum, { window }) => sum + (window.counts['n'] ?? 0), 0)
    check(n === total(covers), `windows of ${jobId} hold ${n} instead of ${total(covers)}`)
    const completed = (this.#completed.get(jobId) ?? 0) + n
    this.#completed.set(jobId, completed)
    return {
      ...{ datacenter: this.#datacenter, life: incarnation, batch: ++this.#batches, jobId, covers, completed },
      windows: windows.map(({ seq, wire }) => ({ seq, wire })),
    }
  }

  #answer({ source, seq }: Report, outcome: Answer['outcome']): void {
    const answer: Answer = { life: this.#env.incarnation, seq, outcome }
    this.#env.datagram.send(`${source}:1`, encode(answer))
  }
}

export class StatsGate {
  readonly stats: WindowedStats
  readonly pusher: StatsPusher
  readonly covered = new Map<string, Report>()
  readonly jobs = new Map(JOBS.map((jobId) => [jobId as string, new JobStats(jobId)]))
  readonly outcomes = new Map<RecordOutcome, number>()
  readonly completed: { readonly subscribers: number; readonly delivered: number }[] = []
  readonly #lives = new Map<string, number>()
  /** By batch, what became of its windows. */
  readonly #seen = new Map<string, readonly RecordOutcome[]>()

  constructor(env: NodeEnv, options: { allowedLatenessMs: number }) {
    const { clock, logger, random, rpc } = env
    const { allowedLatenessMs } = options
    const sketch = exponentialSketch()
    const levels: readonly BackpressureLevel[] = ['none', 'none', 'throttle', 'batch', 'reject']
    this.stats = new WindowedStats({
      ...{ clock, logger, windowMs: WINDOW_MS, driftToleranceMs: GATE_TOLERANCE_MS, allowedLatenessMs, sketch },
      maxPendingPerJob: 8,
    })
    this.pusher = new StatsPusher({
      ...{ clock, logger, stats: this.stats, backpressure: () => random.pick(levels) },
      // It shall wait for a client that stands still, however long.
      ...{ maxQueuedPerSubscriber: 6, attempts: 10_000, deliveryTimeoutMs: 2_000 },
    })
    rpc.handle('hello', (body) => encode(this.#hello(decode(body) as { datacenter: string; life: number })))
    rpc.handle('absorb', (body) => {
      this.#absorb(decode(body) as Batch)
      return encode({})
    })
    for (const jobId of JOBS) {
      this.pusher.subscribe(jobId, async (update) => {
        const windows = update.tier === 'periodic' ? update.windows.map(windowToWire) : []
        await rpc.request('client:1', 'update', encode({ ...update, windows }), { timeoutMs: 1_500 })
      })
    }
  }

  async start(): Promise<void> {
    await this.pusher.start()
  }

  async complete(): Promise<void> {
    this.completed.push(...(await Promise.all(JOBS.map((jobId) => this.pusher.complete(jobId)))))
  }

  #hello({ datacenter, life }: { datacenter: string; life: number }): Known {
    const latest = Math.max(life, this.#lives.get(datacenter) ?? 0)
    this.#lives.set(datacenter, latest)
    const completed: Record<string, number> = {}
    for (const [jobId, stats] of this.jobs) completed[jobId] = stats.datacenter(datacenter)?.completed ?? 0
    return { covered: [...this.covered.keys()], completed }
  }

  #absorb({ datacenter, life, batch, jobId, windows, covers, completed }: Batch): void {
    if (life !== this.#lives.get(datacenter)) throw new HsError('STALE', `${datacenter}/${life} has a successor`)
    const key = `${datacenter}/${life}/${batch}`
    const before = this.#seen.get(key)
    const outcomes = windows.map(({ seq, wire }, i) => {
      // A window that was refused may come again, and would be refused twice.
      const known = before?.[i]
      if (known !== undefined && refusals.includes(known)) return known
      const outcome = this.stats.absorb(windowFromWire(wire), `${datacenter}/${life}`, seq)
      check((outcome === 'duplicate') === (before !== undefined), `window ${i} of batch ${key} is ${outcome}`)
      this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
      return known ?? outcome
    })
    this.#seen.set(key, outcomes)
    this.jobs.get(jobId)?.observe(datacenter, {
      ...{ completed, failed: 0, rate: 0, status: 'running', time: life * 1_000_000 + batch },
    })
    if (before !== undefined) return
    for (const report of covers) {
      check(!this.covered.has(keyOf(report)), `${keyOf(report)} is covered twice`)
      this.covered.set(keyOf(report), report)
    }
  }
}

export class WatchingClient {
  /** Of each job: what its windows add up to. */
  readonly seen = new Map(
    JOBS.map((jobId) => [jobId as string, { n: 0, records: 0, sequence: 0, windows: 0, coalesced: 0, isFinal: false }]),
  )
  readonly sketches = new Map<string, QuantileSketch>()
  repeats = 0

  constructor({ rpc }: NodeEnv) {
    rpc.handle('update', (body) => {
      this.#take(decode(body) as StatsUpdate & { readonly tier: 'periodic' })
      return encode({})
    })
  }

  #take({ jobId, sequence, windows, final }: StatsUpdate & { readonly tier: 'periodic' }): void {
    const seen = this.seen.get(jobId)
    if (seen === undefined) throw new HsError('UNKNOWN', jobId)
    if (sequence <= seen.sequence) {
      this.repeats++
      return
    }
    check(sequence === seen.sequence + 1 && !seen.isFinal, `update ${sequence} after ${seen.sequence}`)
    seen.sequence = sequence
    seen.isFinal = final
    for (const window of windows.map(windowFromWire)) {
      seen.n += window.counts['n'] ?? 0
      seen.records += window.records
      seen.windows++
      if (window.cause === 'coalesced') seen.coalesced++
      const sketch = window.values['ms']
      if (sketch === undefined) continue
      const known = this.sketches.get(jobId)
      if (known === undefined) this.sketches.set(jobId, sketch)
      else known.merge(sketch)
    }
  }
}

/** Until there is an answer. */
async function asking(clock: Clock, rpc: RpcTransport, method: string, message: unknown): Promise<unknown> {
  for (;;) {
    try {
      return decode(await rpc.request('gate:1', method, encode(message), { timeoutMs: 2_000 }))
    } catch (error) {
      if (HsError.is(error, 'REMOTE_ERROR')) throw error
      await clock.sleep(500)
    }
  }
}

function check(holds: boolean, message: string): asserts holds {
  if (!holds) throw new HsError('WRONG', message)
}
