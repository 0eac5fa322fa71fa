/**
 * What grows if anything does: jobs by the thousand that come, report, are watched by all kinds of subscribers and end,
 * and thousands that nobody takes from. Afterwards the snapshots are as before, no timer runs, and of the objects that
 * a job is made of none is left. `HS_SOAK=1` for the whole of it: 10,000 jobs in an hour, and 10,000 at once for an
 * hour; both in virtual time.
 */
import { queryObjects, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import { ExponentialSketch, exponentialSketch, StatsPusher, WindowedStats, type StatsUpdate } from '@hs/windowed-stats'
import { describe, expect, it } from 'vitest'
import { JobWindows } from '../packages/windowed-stats/src/job-windows.js'
import { Subscription } from '../packages/windowed-stats/src/subscription.js'
import { WindowAccumulator } from '../packages/windowed-stats/src/window-accumulator.js'

const isWhole = process.env['HS_SOAK'] === '1'
const JOBS = isWhole ? 10_000 : 400
const HOUR_MS = 3_600_000
/** As many a second, whole or not. */
const JOB_EVERY_MS = HOUR_MS / 10_000
const AT_ONCE = isWhole ? 10_000 : 400
const AT_ONCE_MS = isWhole ? HOUR_MS : 120_000
const MAX_GROWTH_BYTES = 4_000_000
const FINISHED_TTL_MS = 60_000

async function heapBytes(): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve))
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  return process.memoryUsage().heapUsed
}

/** What is left in memory of what jobs are made of. */
function objects() {
  const [jobs, subscriptions, windows, sketches] = [JobWindows, Subscription, WindowAccumulator, ExponentialSketch].map(
    (kind) => Number(queryObjects(kind, { format: 'count' })),
  )
  return { jobs, subscriptions, windows, sketches }
}

const MOODS = ['reads', 'reads', 'reads', 'throws', 'hangs', 'rejects', 'is slow', 'leaves'] as const

class Plant {
  readonly clock = new VirtualClock()
  readonly stats = new WindowedStats({ clock: this.clock, sketch: exponentialSketch(), finishedTtlMs: FINISHED_TTL_MS })
  readonly pusher = new StatsPusher({ clock: this.clock, logger: new MemoryLogger(), stats: this.stats })
  readonly dice = new SeededRandom('plant')
  readonly told = { taken: 0, shown: 0, unclaimed: 0 }
  #came = 0

  constructor() {
    this.pusher.events.on('unclaimed', ({ windows }) => {
      for (const { counts } of windows ?? []) this.told.unclaimed += counts['n'] ?? 0
    })
  }

  async work(jobs: number): Promise<void> {
    for (let i = 0; i < jobs; i++) {
      void this.#job(`job-${this.#came++}`)
      await this.clock.advanceAsync(JOB_EVERY_MS)
    }
  }

  /** What is not a mere count of what has been. */
  state() {
    const { jobs, openWindows, pendingWindows, fill } = this.stats.snapshot()
    const { jobs: watched, subscribers, queued } = this.pusher.snapshot()
    return { jobs, openWindows, pendingWindows, fill, watched, subscribers, queued, timers: this.clock.pendingTimers }
  }

  /** Two to ten seconds of reports, some too late, too early or twice, and a reader whose mood changes. */
  async #job(jobId: string): Promise<void> {
    const { clock, dice } = this
    const watching = dice.next() < 0.7
    if (watching) this.#watch(jobId)
    const reports = 4 + dice.int(16)
    for (let seq = 1; seq <= reports; seq++) {
      await clock.sleep(500)
      const atMs = clock.wallNow() - dice.pick([0, 0, 0, 200, 4_000, 20_000, -3_000, -20_000])
      const record = { jobId, workflowId: `w${seq % 2}`, source: `s${seq % 3}`, atMs, counts: { n: 1 + dice.int(5) } }
      const numbered = { ...record, seq: Math.ceil(seq / 3), values: { ms: [1 + dice.int(1_000)] } }
      const outcome = this.stats.record(numbered)
      if (outcome === 'counted' || outcome === 'late') this.told.taken += record.counts.n
      if (dice.next() < 0.1) this.stats.record(numbered)
    }
    await this.pusher.complete(jobId)
    this.stats.record({ jobId, workflowId: 'straggler', source: 's0', atMs: clock.wallNow() })
  }

  #watch(jobId: string): void {
    const { clock, dice } = this
    let sequence = 0
    const off = this.pusher.subscribe(jobId, (update: StatsUpdate) => {
      const mood = dice.pick(MOODS)
      if (mood === 'throws') throw new Error('not now')
      if (mood === 'rejects') return Promise.reject(new Error('not now'))
      if (mood === 'hangs') return new Promise(() => undefined)
      if (mood === 'leaves' && dice.next() < 0.05) off()
      if (update.tier === 'periodic' && update.sequence > sequence) {
        for (const { counts } of update.windows) this.told.shown += counts['n'] ?? 0
        sequence = update.sequence
      }
      return mood === 'is slow' ? clock.sleep(1_000) : undefined
    })
  }
}

/** A function of its own, so that nothing of what it saw is held by the frame of the test. */
function drain(stats: WindowedStats, jobs: number) {
  let [given, samples] = [0, 0]
  for (let job = 0; job < jobs; job++) {
    for (const { counts, values } of stats.finish(`job-${job}`)) {
      given += counts['n'] ?? 0
      samples += values['ms']?.count ?? 0
    }
  }
  return { given, samples }
}

describe('Soak (WSTAT section 7)', { timeout: 7_200_000 }, () => {
  it(`${JOBS} jobs come and end, and nothing of them is left`, async () => {
    const before = objects()
    const plant = new Plant()
    await plant.pusher.start()
    const idle = plant.state()
    const settle = () => plant.clock.advanceAsync(5 * FINISHED_TTL_MS)
    await plant.work(JOBS / 4)
    await settle()
    const early = await heapBytes()
    await plant.work((JOBS * 3) / 4)
    await settle()
    const late = await heapBytes()

    expect(plant.state()).toEqual(idle)
    expect(objects()).toEqual(before)
    expect(late - early).toBeLessThan(MAX_GROWTH_BYTES)
    const { records, missing } = plant.stats.snapshot()
    const { delivered, undelivered, retries } = plant.pusher.snapshot()
    expect(Object.values({ ...records, limited: 1 }).every((n) => n > 0)).toBe(true)
    expect([missing >= 0, delivered > JOBS, undelivered > 0, retries > 0]).not.toContain(false)
    const { taken, shown, unclaimed } = plant.told
    expect(unclaimed).toBeGreaterThan(0)
    expect(shown).toBeGreaterThan(taken / 3)
    expect(shown + unclaimed).toBeLessThanOrEqual(taken)
    await plant.pusher.stop()
    expect(plant.clock.pendingTimers).toBe(0)
  })

  it(`${AT_ONCE} jobs at once that nobody takes from stay within their bounds, and every count comes out`, async () => {
    const before = objects()
    const clock = new VirtualClock()
    const limits = { maxJobs: AT_ONCE, maxOpenWindows: AT_ONCE / 2, maxPendingPerJob: 4 }
    const stats = new WindowedStats({ clock, windowMs: 1_000, sketch: exponentialSketch(), ...limits })
    let taken = 0
    for (let second = 0; second < AT_ONCE_MS / 1_000; second += 20) {
      for (let job = 0; job < AT_ONCE; job++) {
        const record = { jobId: `job-${job}`, workflowId: 'w', source: 's', atMs: clock.wallNow() }
        if (stats.record({ ...record, counts: { n: 1 }, values: { ms: job } }) === 'counted') taken++
      }
      const { openWindows, pendingWindows, fill } = stats.snapshot()
      expect(openWindows).toBeLessThanOrEqual(AT_ONCE / 2)
      expect(pendingWindows).toBeLessThanOrEqual(4 * AT_ONCE)
      expect(fill).toBe(1)
      clock.advance(20_000)
    }
    const { evicted, coalesced } = stats.snapshot()
    expect([evicted > 0, coalesced > 0]).toEqual([true, true])
    const { given, samples } = drain(stats, AT_ONCE)
    expect([given, samples]).toEqual([taken, taken])
    expect(stats.snapshot()).toMatchObject({ jobs: 0, openWindows: 0, pendingWindows: 0, fill: 0 })
    expect(objects()).toEqual(before)
  })
})
