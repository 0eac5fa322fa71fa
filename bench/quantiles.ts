/**
 * How well our quantile sketches and their peers know a stream: relative error and rank error at p50, p90, p99 and
 * p99.9 of streams of known shape, fed into one sketch and into 64 that are then merged; bytes on the wire, and heap.
 * Accuracy, not speed: all but the heap depends on the seeds alone.
 * Flags: `--smoke` (shorter streams), `--only text` (streams whose name contains it), `--json file`.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { SeededRandom } from '@hs/core/testing'
import Table from 'cli-table3'
import { errorOf, type QuantileError } from './quantiles/errors.js'
import { heapOfSketch } from './quantiles/heap.js'
import { filled, kinds, type Kind } from './quantiles/sketches.js'
import { stream, streamNames, type StreamName } from './quantiles/streams.js'

const { values: flags } = parseArgs({
  options: { smoke: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'string' } },
  strict: true,
})
const SAMPLES = flags.smoke === true ? 6_400 : 200_000
const SHARDS = 64
const QUANTILES = [0.5, 0.9, 0.99, 0.999] as const
/** Between rows. */
const NO_LINES = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' } as const

interface Row {
  readonly stream: StreamName
  readonly sketch: string
  readonly fed: 'one' | 'merged'
  readonly bytes: number
  readonly errors: readonly (QuantileError & { readonly q: number })[]
}

function rowsOf(name: StreamName): readonly Row[] {
  const samples = stream(name, SAMPLES)
  const sorted = Float64Array.from(samples).sort()
  return kinds.flatMap((kind) => {
    const row = (fed: Row['fed'], sketch: unknown): Row => ({
      stream: name,
      sketch: kind.name,
      fed,
      bytes: kind.bytes(sketch),
      errors: QUANTILES.map((q) => ({ q, ...errorOf(sorted, kind.quantile(sketch, q) ?? Number.NaN, q) })),
    })
    return [row('one', filled(kind, samples)), row('merged', merged(kind, samples))]
  })
}

/** Every 64th sample goes into the same shard. */
function merged<T>(kind: Kind<T>, samples: Float64Array): T {
  const whole = kind.create()
  for (let shard = 0; shard < SHARDS; shard++) {
    const part = samples.filter((_, i) => i % SHARDS === shard)
    kind.merge(whole, filled(kind, part))
  }
  return whole
}

function printErrors(name: StreamName, rows: readonly Row[]): void {
  const heads = QUANTILES.map((q) => `p${q * 100}`)
  const table = new Table({
    head: [`${name}: error in %`, 'fed', ...heads, ...heads.map((head) => `rank ${head}`), 'bytes'],
    colAligns: ['left', 'left', ...QUANTILES.flatMap(() => ['right', 'right'] as const), 'right'],
    style: { head: [], border: [] },
    chars: NO_LINES,
  })
  for (const { sketch, fed, errors, bytes } of rows) {
    const relative = errors.map((e) => (e.relative * 100).toFixed(2))
    const rank = errors.map((e) => (e.rank * 100).toFixed(3))
    table.push([sketch, fed === 'one' ? 'one' : `${SHARDS} merged`, ...relative, ...rank, bytes])
  }
  console.log(table.toString())
}

interface Size {
  readonly sketch: string
  readonly samples: number
  readonly bytes: number
  readonly heap: number
}

function sizes(): readonly Size[] {
  return [200, 1_000, SAMPLES].flatMap((samples) => {
    const sample = stream('log-normal', samples)
    return kinds.map((kind) => ({
      sketch: kind.name,
      samples,
      bytes: kind.bytes(filled(kind, sample)),
      heap: Math.round(heapOfSketch(kind, samples)),
    }))
  })
}

function printSizes(rows: readonly Size[]): void {
  const table = new Table({
    head: ['log-normal samples', 'sketch', 'bytes', 'heap, bytes'],
    colAligns: ['right', 'left', 'right', 'right'],
    style: { head: [], border: [] },
    chars: NO_LINES,
  })
  for (const { sketch, samples, bytes, heap } of rows) table.push([samples, sketch, bytes, heap])
  console.log(table.toString())
}

// npm tdigest draws from it when it compresses, and would give other figures on every run.
const dice = new SeededRandom(1)
Math.random = () => dice.next()

console.log(`${SAMPLES} samples a stream; relative error, and the share of all samples between estimate and rank`)
console.log('bytes: msgpack of toWire(); tdigest: msgpack of its centroids; sketches-js: its protobuf; hdr: compressed')
const names = streamNames.filter((name) => flags.only === undefined || name.includes(flags.only))
if (names.length === 0) throw new Error(`no stream has "${flags.only}" in its name`)
const errors = names.map((name) => {
  const rows = rowsOf(name)
  printErrors(name, rows)
  return rows
})
const sizeRows = sizes()
printSizes(sizeRows)
if (flags.json !== undefined)
  writeFileSync(
    flags.json,
    `${JSON.stringify({ samples: SAMPLES, errors: errors.flat(), sizes: sizeRows }, null, 2)}\n`,
  )
