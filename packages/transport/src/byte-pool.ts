/**
 * Copies of small bodies, many to an allocation: a body given to `request` may be used again by its caller at once,
 * while the transport may need it until it is answered.
 */
import { unwrittenBytes } from './byte-gatherer.js'

const POOL_BYTES = 16_384
/** Larger ones have memory of their own, so that one of them does not keep a pool alive for others. */
const MAX_POOLED_BYTES = 2_048

export class BytePool {
  #pool: ArrayBufferLike = new ArrayBuffer(0)
  #used = 0

  copy(bytes: Uint8Array): Uint8Array {
    const { length } = bytes
    if (length > MAX_POOLED_BYTES) return copyOf(bytes)
    if (this.#used + length > this.#pool.byteLength) {
      this.#pool = unwrittenBytes(POOL_BYTES).buffer
      this.#used = 0
    }
    const copy = new Uint8Array(this.#pool, this.#used, length)
    copy.set(bytes)
    this.#used += length
    return copy
  }
}

function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = unwrittenBytes(bytes.length)
  copy.set(bytes)
  return copy
}
