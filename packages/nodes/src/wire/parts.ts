/**
 * What may be larger than a frame travels in parts: the encoded whole, cut, each part with its place. The receiver
 * keeps parts until the last one is there; the sender sends them in order, each after the answer to the one before.
 */
import { DecodeError } from '@hs/core'
import * as z from 'zod'
import { bytes, natural } from './fields.js'

/** So that two parts of neighbours fit a frame beside what else it carries. */
export const PART_BYTES = 1_048_576
const MAX_PARTS = 1_024

export const part = () => z.object({ index: natural(), count: z.int().min(1).max(MAX_PARTS), bytes: bytes() })
export type Part = z.output<ReturnType<typeof part>>

export function cut(whole: Uint8Array): Part[] {
  const count = Math.max(1, Math.ceil(whole.length / PART_BYTES))
  return Array.from({ length: count }, (_, index) => ({
    index,
    count,
    bytes: whole.subarray(index * PART_BYTES, (index + 1) * PART_BYTES),
  }))
}

/** The parts of one whole that have come. A first part begins anew. */
export class PartCollector {
  #parts: Uint8Array[] = []

  /**
   * Returns the whole with its last part, else null. A repeated part changes nothing.
   * @throws DecodeError for a part that does not follow.
   */
  add({ index, count, bytes: piece }: Part): Uint8Array | null {
    if (index >= count) throw new DecodeError(`Part ${index} of ${count}`, { path: 'part.index' })
    if (index === 0) this.#parts = []
    if (index < this.#parts.length) return null
    if (index > this.#parts.length)
      throw new DecodeError(`Part ${index} without the ones before`, { path: 'part.index' })
    this.#parts.push(piece)
    return this.#parts.length === count ? joined(this.#parts) : null
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const [first] = pieces
  if (first !== undefined && pieces.length === 1) return first
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
