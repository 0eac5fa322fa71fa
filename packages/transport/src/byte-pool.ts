/**
 * Copies of bodies: one given to `request` may be used again by its caller at once, while the transport may need it
 * until it is answered. Small copies come many to an allocation; larger ones get memory that was used before, for
 * fresh memory of that size costs several times the copying.
 */
import { unwrittenBytes } from './byte-gatherer.js'

const SHARED_BYTES = 16_384
/** Larger ones have memory of their own, so that one of them does not keep a shared piece alive for others. */
const MAX_SHARED_BYTES = 2_048
/** The sizes of memory that is kept: 4, 8, 16 and 32 KiB. A larger body is passed on to its socket as it is. */
const KEPT_BITS = [12, 13, 14, 15] as const
const MAX_KEPT_BYTES = 32_768
/** Of each size, this much in all. */
const KEPT_TOTAL_BYTES = 1_048_576

export class BytePool {
  #shared: ArrayBufferLike = new ArrayBuffer(0)
  #used = 0
  readonly #kept = KEPT_BITS.map((bits) => ({ bytes: 2 ** bits, free: [] as ArrayBufferLike[] }))

  copy(source: Uint8Array): Uint8Array {
    const copy = this.#take(source.length)
    copy.set(source)
    return copy
  }

  /** Takes back what `copy` returned. Nobody may look at it any more. */
  recycle(copy: Uint8Array): void {
    const { buffer } = copy
    const kept = this.#keptOf(copy.length)
    if (kept === undefined || buffer.byteLength !== kept.bytes) return
    if (kept.free.length * kept.bytes < KEPT_TOTAL_BYTES) kept.free.push(buffer)
  }

  #take(length: number): Uint8Array {
    if (length <= MAX_SHARED_BYTES) return this.#takeShared(length)
    const kept = this.#keptOf(length)
    if (kept === undefined) return unwrittenBytes(length)
    return new Uint8Array(kept.free.pop() ?? unwrittenBytes(kept.bytes).buffer, 0, length)
  }

  #takeShared(length: number): Uint8Array {
    if (this.#used + length > this.#shared.byteLength) {
      this.#shared = unwrittenBytes(SHARED_BYTES).buffer
      this.#used = 0
    }
    const view = new Uint8Array(this.#shared, this.#used, length)
    this.#used += length
    return view
  }

  /** Undefined: memory for so many bytes is not kept. */
  #keptOf(length: number) {
    if (length <= MAX_SHARED_BYTES || length > MAX_KEPT_BYTES) return undefined
    return this.#kept[Math.max(0, 32 - Math.clz32(length - 1) - KEPT_BITS[0])]
  }
}
