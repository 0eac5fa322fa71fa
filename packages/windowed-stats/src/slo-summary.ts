/**
 * What gossip carries of a datacenter's latencies: 28 bytes, big-endian: float32 p50, p95, p99, score; uint32 count
 * (saturating); float64 wall time. Percentiles are never merged; whoever needs those of several merges sketches.
 */
import { DecodeError, HsError } from '@hs/core'

export interface SloSummary {
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly score: number
  readonly count: number
  /** Unix epoch milliseconds. A reader ignores what is older than 30 s. */
  readonly atMs: number
}

const BYTES = 28
const MAX_COUNT = 0xffff_ffff

/** @throws HsError `'INVALID_ARGUMENT'`: a field is negative or does not fit, or the percentiles fall. */
export function encodeSloSummary(summary: SloSummary): Uint8Array {
  if (typeof summary !== 'object' || summary === null)
    throw new HsError('INVALID_ARGUMENT', `An SLO summary: expected an object, found ${String(summary)}`)
  const { p50, p95, p99, score, count, atMs } = summary
  const flaw = flawOf({
    p50: Math.fround(p50),
    p95: Math.fround(p95),
    p99: Math.fround(p99),
    score: Math.fround(score),
    count,
    atMs,
  })
  if (flaw !== undefined) throw new HsError('INVALID_ARGUMENT', `An SLO summary: ${flaw}`)
  const bytes = new Uint8Array(BYTES)
  const view = new DataView(bytes.buffer)
  for (const [i, value] of [p50, p95, p99, score].entries()) view.setFloat32(i * 4, value)
  view.setUint32(16, Math.min(count, MAX_COUNT))
  view.setFloat64(20, atMs)
  return bytes
}

/** Frozen. @throws DecodeError: another length, a value that is not finite or negative, percentiles that fall. */
export function decodeSloSummary(bytes: Uint8Array): SloSummary {
  if (!(bytes instanceof Uint8Array) || bytes.length !== BYTES)
    throw new DecodeError(`An SLO summary has ${BYTES} bytes, found ${String((bytes as Uint8Array | null)?.length)}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, BYTES)
  const summary: SloSummary = {
    p50: view.getFloat32(0),
    p95: view.getFloat32(4),
    p99: view.getFloat32(8),
    score: view.getFloat32(12),
    count: view.getUint32(16),
    atMs: view.getFloat64(20),
  }
  const flaw = flawOf(summary)
  if (flaw !== undefined) throw new DecodeError(`An SLO summary: ${flaw}`)
  return Object.freeze(summary)
}

function flawOf(summary: SloSummary): string | undefined {
  for (const [name, value] of Object.entries(summary) as [string, unknown][]) {
    if (!(typeof value === 'number' && value >= 0 && value < Infinity))
      return `${name} is no number from 0 that fits: ${String(value)}`
  }
  if (!Number.isInteger(summary.count)) return `count is no integer: ${summary.count}`
  if (summary.p50 > summary.p95 || summary.p95 > summary.p99) return 'the percentiles fall'
  return undefined
}
