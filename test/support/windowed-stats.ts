/**
 * What must hold of windowed statistics on their way from workers to a client, under loss, repeats, reordering, cut
 * links, crashes and a client that stands still: nothing is lost without being refused, nothing counts twice, and the
 * percentiles are those of the records within the sketch's bound.
 */
import { drawFaults, type Scenario, type Simulation } from '@hs/sim'
import {
  DATACENTERS,
  JOBS,
  ReportingWorker,
  StatsGate,
  StatsManager,
  total,
  WatchingClient,
  type Report,
} from './windowed-stats-world.js'

const WORKERS = 50
const LOAD_MS = 60_000
const DURATION_MS = 90_000
const SETTLE_MS = 90_000
const COMPLETE_AT_MS = DURATION_MS + 30_000
const STALL = { atMs: 20_000, forMs: 60_000 }
/** (base - 1) / (base + 1) at scale 6. */
const MAX_ERROR = 0.00542

const scenario: Scenario = {
  name: 'windows from fifty workers to a client',
  durationMs: DURATION_MS,
  settleMs: SETTLE_MS,
  nemesis: false,
  options: { link: { loss: 0.03, duplicate: 0.03, latency: { kind: 'lognormal', medianMs: 5, p99Ms: 400 } } },
  mustReach: [
    ...['counted', 'late', 'duplicate', 'expired', 'future'].map((outcome) => `a record was ${outcome}`),
    ...['counted', 'late', 'duplicate', 'expired'].map((outcome) => `a window was ${outcome}`),
    'a manager crashed with records in hand',
    'a client got coarser windows',
    'a client got an update twice',
    'percentiles were compared',
  ],
  setup: (sim) => {
    const dice = sim.random.fork('world')
    const managers = DATACENTERS.map((datacenter) =>
      sim.node(`m-${datacenter}`, async (env) => starting(new StatsManager(env, datacenter)), {
        skewMs: dice.int(101) - 50,
      }),
    )
    const workers = Array.from({ length: WORKERS }, (_, index) => {
      // Most clocks are off by a little, some by ten seconds.
      const spreadMs = index % 5 === 0 ? 10_000 : 200
      const manager = managers[index % 2]?.name ?? ''
      const skewMs = dice.int(2 * spreadMs + 1) - spreadMs
      return sim.node(`w${index}`, (env) => new ReportingWorker(env, { index, manager, untilMs: LOAD_MS }), { skewMs })
    })
    // A gate that refuses windows in some seeds, and none in others, in which percentiles can be compared.
    const allowedLatenessMs = dice.pick([2_000, 300_000])
    const gate = sim.node('gate', async (env) => starting(new StatsGate(env, { allowedLatenessMs })))
    const client = sim.node('client', (env) => new WatchingClient(env))
    sim.at(COMPLETE_AT_MS, () => void gate.call((app) => app.complete()))

    scheduleFaults(sim)
    const crashed = new Set<string>()
    const lives = new Map<string, StatsManager>()
    sim.every(100, () => {
      for (const { name, app } of managers) {
        const before = lives.get(name)
        if (before !== undefined && app !== before) {
          crashed.add(name)
          sim.sometimes('a manager crashed with records in hand', before.held.size > 0)
        }
        if (app === undefined) lives.delete(name)
        else lives.set(name, app)
        for (const outcome of app?.outcomes.keys() ?? []) sim.sometimes(`a record was ${outcome}`)
      }
      for (const outcome of gate.app?.outcomes.keys() ?? []) sim.sometimes(`a window was ${outcome}`)
    })

    const world = () => {
      const apps = workers.flatMap(({ app }) => app ?? [])
      if (apps.length !== WORKERS || gate.app === undefined || client.app === undefined)
        throw new Error('a node is down')
      return { workers: apps, gate: gate.app, client: client.app }
    }
    sim.eventually('every record was answered', () => {
      const waiting = world().workers.reduce((sum, worker) => sum + worker.waiting.length, 0)
      return waiting === 0 || `${waiting} records are without an answer`
    })
    sim.eventually('client totals and refused counts are what the workers sent', () => {
      const { workers, gate, client } = world()
      const sent = workers.flatMap((worker) => worker.sent)
      const refused = sent.filter((report) => isRefused(workers, report) && !gate.covered.has(keyOf(report)))
      if (refused.length + gate.covered.size !== sent.length)
        return `${sent.length} records, of which ${refused.length} are refused and ${gate.covered.size} in windows`
      const shown = [...client.seen.values()].reduce((sum, { n }) => sum + n, 0)
      const dropped = gate.stats.snapshot().droppedCounts['n'] ?? 0
      const [inAll, out] = [total(sent), total(refused)]
      sim.sometimes(
        'a client got coarser windows',
        [...client.seen.values()].some(({ coalesced }) => coalesced > 0),
      )
      sim.sometimes('a client got an update twice', client.repeats > 0)
      return shown + dropped + out === inAll || `shown ${shown} + dropped ${dropped} + refused ${out}, sent ${inAll}`
    })
    sim.eventually('a manager that lived all along has refused what its workers were told', () => {
      const { workers } = world()
      for (const { name, app } of managers) {
        if (app === undefined) return `${name} is down`
        if (crashed.has(name)) continue
        const told = workers.flatMap((worker) => worker.sent.filter((report) => app.refused.has(keyOf(report))))
        const dropped = app.stats.snapshot().droppedCounts['n'] ?? 0
        if (dropped !== total(told) || told.some((report) => !isRefused(workers, report)))
          return `${name} dropped ${dropped}, its workers know of ${total(told)}`
      }
      return true
    })
    sim.eventually('totals of jobs are what is in windows', () => {
      const { gate } = world()
      for (const [jobId, stats] of gate.jobs) {
        const covered = total([...gate.covered.values()].filter((report) => report.jobId === jobId))
        if (stats.totalCompleted !== covered) return `${jobId}: ${stats.totalCompleted} instead of ${covered}`
      }
      return true
    })
    sim.eventually('percentiles are those of all records, within the bound', () => {
      const { gate, client } = world()
      if ((gate.stats.snapshot().droppedCounts['n'] ?? 0) > 0) return true
      for (const jobId of JOBS) {
        const reports = [...gate.covered.values()].filter((report) => report.jobId === jobId)
        const samples = reports.flatMap(({ values }) => values.ms).sort((a, b) => a - b)
        const sketch = client.sketches.get(jobId)
        if (sketch?.count !== samples.length) return `${sketch?.count} samples of ${samples.length}`
        if (sketch.min !== samples[0] || sketch.max !== samples.at(-1)) return 'other extremes'
        for (const q of [0, 0.5, 0.9, 0.95, 0.99, 0.999, 1]) {
          const exact = samples[Math.floor(q * (samples.length - 1))] ?? 0
          const shown = sketch.quantile(q) ?? 0
          if (Math.abs(shown - exact) > MAX_ERROR * exact)
            return `p${q * 100} of ${jobId}: ${shown} instead of ${exact}`
        }
      }
      sim.sometimes('percentiles were compared')
      return true
    })
    sim.eventually('each job has its last update, and nothing is left of it', () => {
      const { gate, client } = world()
      const unfinished = [...client.seen].filter(([, { isFinal }]) => !isFinal)
      if (unfinished.length > 0) return `${unfinished.map(([jobId]) => jobId).join(', ')} without a last update`
      if (gate.completed.some(({ delivered, subscribers }) => delivered !== subscribers)) return 'an end was given up'
      const { jobs, openWindows, pendingWindows } = gate.stats.snapshot()
      const { jobs: watched, subscribers, queued, undelivered } = gate.pusher.snapshot()
      const left = { jobs, openWindows, pendingWindows, watched, subscribers, queued, undelivered }
      return Object.values(left).every((n) => n === 0) || JSON.stringify(left)
    })
  },
}
export default scenario

function scheduleFaults(sim: Simulation): void {
  sim.schedule([{ kind: 'pause', node: 'client', ...STALL }])
  const managers = DATACENTERS.map((datacenter) => `m-${datacenter}`)
  const some = Array.from({ length: 6 }, (_, i) => `w${i * 7}`)
  const plan = { durationMs: DURATION_MS - 10_000, meanGapMs: 8_000, maxForMs: 12_000 }
  const crashes = drawFaults(sim.random.fork('crashes'), {
    ...{ ...plan, nodes: managers, kinds: ['crash', 'pause'], maxDown: 2, meanGapMs: 20_000 },
  })
  const cuts = drawFaults(sim.random.fork('cuts'), {
    ...{ ...plan, nodes: [...managers, 'gate', 'client', ...some], kinds: ['partition', 'clog', 'link'] },
  })
  sim.schedule([...crashes, ...cuts].map((fault) => ({ ...fault, atMs: fault.atMs + 5_000 })))
}

function isRefused(workers: readonly ReportingWorker[], { source, seq }: Report): boolean {
  const worker = workers[Number(source.slice(1))]
  const outcome = worker?.answers.get(seq)?.outcome
  return outcome !== undefined && outcome !== 'counted'
}

function keyOf({ source, seq }: Report): string {
  return `${source}#${seq}`
}

async function starting<A extends { start(): Promise<void> }>(app: A): Promise<A> {
  await app.start()
  return app
}
