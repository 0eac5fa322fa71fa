/** Adding, merging and reading: our sketches beside npm tdigest, DDSketch and HdrHistogram. */
import { DDSketch } from '@datadog/sketches-js'
import { exponentialSketch, tdigestSketch } from '@hs/windowed-stats'
import { build } from 'hdr-histogram-js'
import { TDigest } from 'tdigest'
import type { Contender, Workload } from '../harness.js'
import { HDR_UNITS } from '../quantiles/sketches.js'
import { stream } from '../quantiles/streams.js'

const SAMPLES = 200_000
const WINDOW = 200
const PARTS = 50
const PART = 2_000

const exponential = exponentialSketch()
const tdigest = tdigestSketch()
const npmTDigest = () => new TDigest(0.01, 25, 1.1)
const ddSketch = () => new DDSketch({ relativeAccuracy: 0.01 })
const hdr = () => build({ numberOfSignificantValueDigits: 2 })

const random = stream('log-normal', SAMPLES)
const ascending = Float64Array.from(random).sort()
/** Whole numbers, made beforehand: the peer takes no others. */
const whole = (samples: Float64Array) => samples.map((sample) => Math.round(sample * HDR_UNITS))

/** Each adds all samples, over and over, with a new sketch each time; every contender has a loop of its own. */
function adders(samples: Float64Array): Contender[] {
  const wholes = whole(samples)
  return [
    {
      name: 'exponential',
      run(n) {
        let sketch = exponential.create()
        for (let i = 0, at = 0; i < n; i++, at++) {
          if (at === samples.length) [sketch, at] = [exponential.create(), 0]
          sketch.add(samples[at] as number)
        }
        return sketch.count
      },
    },
    {
      name: 'tdigest',
      run(n) {
        let sketch = tdigest.create()
        for (let i = 0, at = 0; i < n; i++, at++) {
          if (at === samples.length) [sketch, at] = [tdigest.create(), 0]
          sketch.add(samples[at] as number)
        }
        return sketch.count
      },
    },
    {
      name: 'sketches-js',
      run(n) {
        let sketch = ddSketch()
        for (let i = 0, at = 0; i < n; i++, at++) {
          if (at === samples.length) [sketch, at] = [ddSketch(), 0]
          sketch.accept(samples[at] as number)
        }
        return sketch.count
      },
    },
    {
      name: 'hdr-histogram-js',
      run(n) {
        let histogram = hdr()
        for (let i = 0, at = 0; i < n; i++, at++) {
          if (at === wholes.length) [histogram, at] = [hdr(), 0]
          histogram.recordValue(wholes[at] as number)
        }
        return histogram.totalCount
      },
    },
    {
      name: 'npm tdigest',
      run(n) {
        let digest = npmTDigest()
        for (let i = 0, at = 0; i < n; i++, at++) {
          if (at === samples.length) [digest, at] = [npmTDigest(), 0]
          digest.push(samples[at] as number)
        }
        return digest.n
      },
    },
  ]
}

const addRandom: Workload = {
  name: `add: ${SAMPLES} log-normal samples, random`,
  contenders: adders(random),
  goals: [
    { ours: 'exponential', peer: 'sketches-js', ratio: 1.5 },
    { ours: 'exponential', peer: 'hdr-histogram-js', ratio: 6 },
    { ours: 'exponential', peer: 'npm tdigest', ratio: 12 },
    { ours: 'tdigest', peer: 'npm tdigest', ratio: 1 },
  ],
}

const addAscending: Workload = {
  name: `add: the same, ascending`,
  contenders: adders(ascending),
  goals: [
    { ours: 'exponential', peer: 'sketches-js', ratio: 1.5 },
    { ours: 'exponential', peer: 'hdr-histogram-js', ratio: 6 },
    { ours: 'exponential', peer: 'npm tdigest', ratio: 12 },
    { ours: 'tdigest', peer: 'npm tdigest', ratio: 1.2 },
  ],
}

/** A sample is one operation; a window is filled and asked for its p99. */
const windows: Workload = {
  name: `add: windows of ${WINDOW} samples, each read once`,
  contenders: [
    {
      name: 'exponential',
      run(n) {
        let [sum, sketch] = [0, exponential.create()]
        for (let i = 1; i <= n; i++) {
          sketch.add(random[i % SAMPLES] as number)
          if (i % WINDOW > 0) continue
          sum += sketch.quantile(0.99) ?? 0
          sketch = exponential.create()
        }
        return sum
      },
    },
    {
      name: 'tdigest',
      run(n) {
        let [sum, sketch] = [0, tdigest.create()]
        for (let i = 1; i <= n; i++) {
          sketch.add(random[i % SAMPLES] as number)
          if (i % WINDOW > 0) continue
          sum += sketch.quantile(0.99) ?? 0
          sketch = tdigest.create()
        }
        return sum
      },
    },
    {
      name: 'sketches-js',
      run(n) {
        let [sum, sketch] = [0, ddSketch()]
        for (let i = 1; i <= n; i++) {
          sketch.accept(random[i % SAMPLES] as number)
          if (i % WINDOW > 0) continue
          sum += sketch.getValueAtQuantile(0.99)
          sketch = ddSketch()
        }
        return sum
      },
    },
    {
      name: 'npm tdigest',
      run(n) {
        let [sum, digest] = [0, npmTDigest()]
        for (let i = 1; i <= n; i++) {
          digest.push(random[i % SAMPLES] as number)
          if (i % WINDOW > 0) continue
          sum += digest.percentile(0.99) ?? 0
          digest = npmTDigest()
        }
        return sum
      },
    },
  ],
  goals: [{ ours: 'tdigest', peer: 'npm tdigest', ratio: 1.2 }],
}

/** Cut into parts, each in a sketch of its own, made by `fill`. */
function parts<T>(fill: (samples: Float64Array) => T): T[] {
  return Array.from({ length: PARTS }, (_, i) => fill(random.subarray(i * PART, (i + 1) * PART)))
}

function mergers(): Contender[] {
  const oursOf = (factory: typeof tdigest) =>
    parts((samples) => {
      const sketch = factory.create()
      for (const sample of samples) sketch.add(sample)
      return sketch
    })
  const exponentials = oursOf(exponential)
  const tdigests = oursOf(tdigest)
  const ddSketches = parts((samples) => {
    const sketch = ddSketch()
    for (const sample of samples) sketch.accept(sample)
    return sketch
  })
  const hdrs = parts((samples) => {
    const histogram = hdr()
    for (const sample of whole(samples)) histogram.recordValue(sample)
    return histogram
  })
  const npmTDigests = parts((samples) => {
    const digest = npmTDigest()
    for (const sample of samples) digest.push(sample)
    return digest
  })
  return [
    {
      name: 'exponential',
      run(n) {
        let all = exponential.create()
        for (let i = 0; i < n; i++) {
          if (i % PARTS === 0) all = exponential.create()
          all.merge(exponentials[i % PARTS] as (typeof exponentials)[0])
        }
        return all.count
      },
    },
    {
      name: 'tdigest',
      run(n) {
        let all = tdigest.create()
        for (let i = 0; i < n; i++) {
          if (i % PARTS === 0) all = tdigest.create()
          all.merge(tdigests[i % PARTS] as (typeof tdigests)[0])
        }
        return all.count
      },
    },
    {
      name: 'sketches-js',
      run(n) {
        let all = ddSketch()
        for (let i = 0; i < n; i++) {
          if (i % PARTS === 0) all = ddSketch()
          all.merge(ddSketches[i % PARTS] as DDSketch)
        }
        return all.count
      },
    },
    {
      name: 'hdr-histogram-js',
      run(n) {
        let all = hdr()
        for (let i = 0; i < n; i++) {
          if (i % PARTS === 0) all = hdr()
          all.add(hdrs[i % PARTS] as (typeof hdrs)[0])
        }
        return all.totalCount
      },
    },
    {
      name: 'npm tdigest',
      run(n) {
        let all = npmTDigest()
        for (let i = 0; i < n; i++) {
          if (i % PARTS === 0) all = npmTDigest()
          all.push_centroid((npmTDigests[i % PARTS] as TDigest).toArray())
        }
        return all.n
      },
    },
  ]
}

const merge: Workload = {
  name: `merge: ${PARTS} sketches of ${PART} samples into one`,
  contenders: mergers(),
  goals: [
    { ours: 'exponential', peer: 'sketches-js', ratio: 1.2 },
    { ours: 'exponential', peer: 'npm tdigest', ratio: 80 },
  ],
}

export const workloads: readonly Workload[] = [addRandom, addAscending, windows, merge]
