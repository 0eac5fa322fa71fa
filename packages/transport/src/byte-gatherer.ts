/**
 * Collects the pieces of something that arrives in parts and joins them once. Large pieces are kept as views; small
 * ones are copied together into tails that grow with what came, so a drip of single bytes costs neither an object
 * a byte nor more than twice the memory of the bytes.
 */

/** A piece below this is copied rather than kept: a view costs about this much. */
const SMALL_BYTES = 1_024
const MIN_TAIL_BYTES = 256
const MAX_TAIL_BYTES = 65_536

export class ByteGatherer {
  readonly #pieces: Uint8Array[] = []
  /** The last piece, if it is ours and has room: bytes used of it. */
  #tail: Uint8Array | null = null
  #tailUsed = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Takes `source[start..end)`, which must not change any more. */
  add(source: Uint8Array, start: number, end: number): void {
    if (end - start >= SMALL_BYTES) {
      this.#closeTail()
      this.#pieces.push(viewOf(source, start, end))
      this.#size += end - start
      return
    }
    let at = start
    while (at < end) {
      const tail = this.#tail ?? this.#openTail()
      const take = Math.min(end - at, tail.length - this.#tailUsed)
      tail.set(viewOf(source, at, at + take), this.#tailUsed)
      at += take
      this.#tailUsed += take
      this.#size += take
      if (this.#tailUsed === tail.length) this.#closeTail()
    }
  }

  /** All of it in one array; nothing may be added afterwards. */
  join(): Uint8Array {
    this.#closeTail()
    const [first] = this.#pieces
    if (first !== undefined && this.#pieces.length === 1) return first
    const joined = unwrittenBytes(this.#size)
    let at = 0
    for (const piece of this.#pieces) {
      joined.set(piece, at)
      at += piece.length
    }
    return joined
  }

  #openTail(): Uint8Array {
    const bytes = Math.min(Math.max(MIN_TAIL_BYTES, this.#size), MAX_TAIL_BYTES)
    this.#tail = unwrittenBytes(bytes)
    this.#tailUsed = 0
    return this.#tail
  }

  #closeTail(): void {
    if (this.#tail !== null && this.#tailUsed > 0) this.#pieces.push(this.#tail.subarray(0, this.#tailUsed))
    this.#tail = null
    this.#tailUsed = 0
  }
}

/** A plain `Uint8Array`, whatever `source` is: a `Buffer` would hand its subclass on to users. */
export function viewOf(source: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(source.buffer, source.byteOffset + start, end - start)
}

/** Not zeroed: whoever takes it overwrites all that is shown of it. */
export function unwrittenBytes(length: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer, 0, length)
}
