/** What a collector costs a record, beside a bare `Map` of the peers' sketches by the same key. */
import { DDSketch } from '@datadog/sketches-js'
import { VirtualClock } from '@hs/core/testing'
import {
  exponentialSketch,
  tdigestSketch,
  WindowedStats,
  type SketchFactory,
  type StatsRecord,
  type WindowResult,
} from '@hs/windowed-stats'
import { TDigest } from 'tdigest'
import type { Contender, Workload } from '../harness.js'
import { stream } from '../quantiles/streams.js'

const JOBS = 100
const WORKERS = 10
const SOURCES = JOBS * WORKERS
const WINDOW_MS = 100
/** Reports of a source in one window: 100,000 a second over all sources. */
const REPORTS_PER_WINDOW = 10
const ARRAY = 100

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type Report = Mutable<StatsRecord>
/** Sets what is new in a report, before each is taken in. */
type Renew = (report: Report, i: number) => void

const samples = stream('log-normal', 200_000)
const arrays = Array.from({ length: 1_000 }, (_, i) => Array.from(samples.subarray(i * ARRAY, (i + 1) * ARRAY)))

/** One a source, used again and again: what receives them made them anyway, for every contender. */
function reports(of: Partial<StatsRecord>): Report[] {
  return Array.from({ length: SOURCES }, (_, i) => ({
    jobId: `job-${i % JOBS}`,
    workflowId: 'login',
    source: `worker-${i % JOBS}-${Math.floor(i / JOBS)}`,
    atMs: 0,
    ...of,
  }))
}

const oneSample = () => reports({ values: { latencyMs: 0 } }).map((report) => ({ ...report, values: { latencyMs: 0 } }))
const renewSample: Renew = (report, i) => {
  ;(report.values as { latencyMs: number }).latencyMs = samples[i % samples.length] as number
}
const renewArray: Renew = (report, i) => {
  ;(report.values as { latencyMs: number[] }).latencyMs = arrays[i % arrays.length] as number[]
}

/** Records in turn of all sources; after each window the clock goes on and every job is taken from. */
function collector(name: string, sketch: SketchFactory, made: () => Report[], renew: Renew): Contender {
  const clock = new VirtualClock()
  const stats = new WindowedStats({ windowMs: WINDOW_MS, sketch, clock })
  const all = made()
  let taken = 0
  let total = 0
  return {
    name,
    run(n) {
      for (let i = 0; i < n; i++) {
        const report = all[i % SOURCES] as Report
        report.atMs = clock.wallNow()
        renew(report, total++)
        stats.record(report)
        if (total % (SOURCES * REPORTS_PER_WINDOW) > 0) continue
        clock.advance(WINDOW_MS)
        for (const jobId of stats.getJobsWithPendingStats()) taken += stats.takeAggregatedStats(jobId).length
      }
      const { records } = stats.snapshot()
      if (records.counted !== total) throw new Error(`${total - records.counted} records were not counted`)
      return taken
    },
  }
}

/** A sketch a (job, workflow, window) in a `Map`, cleared after each window: no checks, no bounds, no lateness. */
function bareMap<T>(
  name: string,
  create: () => T,
  add: (sketch: T, value: number | readonly number[]) => void,
  made: () => Report[],
  renew: Renew,
): Contender {
  const clock = new VirtualClock()
  const all = made()
  let taken = 0
  let total = 0
  return {
    name,
    run(n) {
      const windows = new Map<string, T>()
      for (let i = 0; i < n; i++) {
        const report = all[i % SOURCES] as Report
        report.atMs = clock.wallNow()
        renew(report, total++)
        const { jobId, workflowId, atMs, values } = report
        const key = `${jobId}/${workflowId}/${Math.floor(atMs / WINDOW_MS)}`
        let sketch = windows.get(key)
        if (sketch === undefined) windows.set(key, (sketch = create()))
        add(sketch, (values as { latencyMs: number | readonly number[] }).latencyMs)
        if (total % (SOURCES * REPORTS_PER_WINDOW) > 0) continue
        clock.advance(WINDOW_MS)
        taken += windows.size
        windows.clear()
      }
      return taken
    },
  }
}

const DD_MAP = 'Map of sketches-js'
const TDIGEST_MAP = 'Map of npm tdigest'
const ddSketch = () => new DDSketch({ relativeAccuracy: 0.01 })
const npmTDigest = () => new TDigest(0.01, 25, 1.1)

const one: Workload = {
  name: `record: ${JOBS} jobs of ${WORKERS} workers, one sample each`,
  contenders: [
    collector('tdigest', tdigestSketch(), oneSample, renewSample),
    collector('exponential', exponentialSketch(), oneSample, renewSample),
    bareMap(TDIGEST_MAP, npmTDigest, (digest, value) => digest.push(value as number), oneSample, renewSample),
    bareMap(DD_MAP, ddSketch, (sketch, value) => sketch.accept(value as number), oneSample, renewSample),
  ],
  goals: [
    { ours: 'tdigest', peer: TDIGEST_MAP, ratio: 2 },
    { ours: 'exponential', peer: DD_MAP, ratio: 0.6 },
  ],
}

const many: Workload = {
  name: `record: the same, ${ARRAY} samples each`,
  contenders: [
    collector('exponential', exponentialSketch(), oneSample, renewArray),
    bareMap(
      DD_MAP,
      ddSketch,
      (sketch, values) => {
        const list = values as readonly number[]
        for (let i = 0; i < list.length; i++) sketch.accept(list[i] as number)
      },
      oneSample,
      renewArray,
    ),
  ],
  goals: [{ ours: 'exponential', peer: DD_MAP, ratio: 1 }],
}

const YARDSTICK = 'sketches-js, adds'
const counts: Workload = {
  name: 'record: counts and seq only',
  contenders: [
    collector(
      'counts and seq',
      tdigestSketch(),
      () => reports({ seq: -1, counts: { completed: 1 } }),
      (report) => {
        report.seq = (report.seq ?? -1) + 1
      },
    ),
    {
      name: YARDSTICK,
      run(n) {
        let sketch = ddSketch()
        for (let i = 0; i < n; i++) {
          if (i % samples.length === 0) sketch = ddSketch()
          sketch.accept(samples[i % samples.length] as number)
        }
        return sketch.count
      },
    },
  ],
  goals: [{ ours: 'counts and seq', peer: YARDSTICK, ratio: 0.1 }],
}

const DATACENTERS = Array.from({ length: 5 }, (_, i) => `dc-${i}`)
const PART = 2_000

/** A gate that takes in a window of each of five datacenters, window after window. */
function absorber(name: string, sketch: SketchFactory): Contender {
  const clock = new VirtualClock()
  const stats = new WindowedStats({ windowMs: WINDOW_MS, sketch, clock })
  const windows = Array.from({ length: 50 }, (_, i) => windowOf(sketch, i))
  let taken = 0
  return {
    name,
    run(n) {
      for (let i = 0; i < n; i++) {
        const now = clock.wallNow()
        const window = { ...(windows[i % windows.length] as WindowResult), startMs: now - WINDOW_MS, endMs: now }
        stats.absorb(window, DATACENTERS[i % DATACENTERS.length] as string)
        if (i % DATACENTERS.length < DATACENTERS.length - 1) continue
        clock.advance(WINDOW_MS)
        taken += stats.takeAggregatedStats('job').length
      }
      return taken
    },
  }
}

function windowOf(sketch: SketchFactory, part: number): WindowResult {
  const stats = new WindowedStats({ windowMs: WINDOW_MS, sketch, clock: new VirtualClock() })
  const latencyMs = Array.from(samples.subarray(part * PART, (part + 1) * PART))
  const atMs = new VirtualClock().wallNow()
  stats.record({
    jobId: 'job',
    workflowId: 'login',
    source: 'w',
    atMs,
    counts: { completed: PART },
    values: { latencyMs },
  })
  const [window] = stats.finish('job')
  if (window === undefined) throw new Error('no window')
  return window
}

const absorb: Workload = {
  name: `absorb: a window of ${PART} samples`,
  contenders: [absorber('exponential', exponentialSketch()), absorber('tdigest', tdigestSketch())],
  goals: [{ ours: 'exponential', peer: 'tdigest', ratio: 25 }],
}

export const workloads: readonly Workload[] = [one, many, counts, absorb]
