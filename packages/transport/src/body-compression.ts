/** Raw deflate for bodies, where both ends asked for it (ZIP-1, ZIP-2). */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import { viewOf } from './byte-gatherer.js'

/** Beyond this, synchronous deflate would hold the loop for milliseconds. */
const MAX_DEFLATED_BYTES = 262_144

export class BodyCompression {
  readonly #thresholdBytes: number
  readonly #maxBytes: number

  /** @param maxBytes what a body may inflate to. */
  constructor(thresholdBytes: number, maxBytes: number) {
    this.#thresholdBytes = thresholdBytes
    this.#maxBytes = maxBytes
  }

  /** Null: it stays as it is, for its size, or because it would not become smaller. */
  deflate(body: Uint8Array): Uint8Array | null {
    if (body.length === 0 || body.length < this.#thresholdBytes || body.length > MAX_DEFLATED_BYTES) return null
    const deflated = deflateRawSync(body, { level: constants.Z_BEST_SPEED })
    return deflated.length < body.length ? deflated : null
  }

  /** Null: not raw deflate, or more than allowed. */
  inflate(body: Uint8Array): Uint8Array | null {
    try {
      const inflated = inflateRawSync(body, { maxOutputLength: this.#maxBytes })
      return viewOf(inflated, 0, inflated.length)
    } catch {
      return null
    }
  }
}
