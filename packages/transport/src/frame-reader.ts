/**
 * Cuts a byte stream into frames, however its bytes were cut on the way: a synchronous state machine without I/O.
 * A frame that lies whole in one chunk is handed out where it lies; one that spans chunks is joined once, so n bytes
 * cost O(n) in whatever pieces they come. Nothing is allocated for a length, only for bytes that came.
 */
import { ByteGatherer } from './byte-gatherer.js'
import { LENGTH_BYTES, MIN_LENGTH, readU32 } from './wire.js'

export interface FrameSink {
  /** The payload is `bytes[start..end)`: whoever keeps it makes a view. */
  onFrame(type: number, flags: number, id: number, bytes: Uint8Array, start: number, end: number): void
  /** A length below the least or above the limit. The reader has ended: nothing after it can be told apart. */
  onBadLength(length: number): void
}

export class FrameReader {
  /** The largest length taken. May be changed at any frame. */
  limit: number
  readonly #sink: FrameSink
  #ended = false
  #paused = false
  /** What came while paused. */
  #backlog: Uint8Array | null = null
  /** The length word of a frame that is not complete: bytes read of it, and its value so far. */
  #lengthBytes = 0
  #length = 0
  /** The rest of that frame; null while none is under way. */
  #gatherer: ByteGatherer | null = null
  #partialSinceMs = -1

  constructor(sink: FrameSink, limit: number) {
    this.#sink = sink
    this.limit = limit
  }

  /** When the first byte of the frame came that is not complete; -1 if there is none. */
  get partialSinceMs(): number {
    return this.#partialSinceMs
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Holds back whatever comes, from the next frame on, until `resume`. */
  pause(): void {
    this.#paused = true
  }

  /** Hands out what was held back, up to the next `pause`. */
  resume(nowMs: number): void {
    this.#paused = false
    const backlog = this.#backlog
    this.#backlog = null
    if (backlog !== null) this.push(backlog, nowMs)
  }

  /** Nothing is handed out any more. */
  end(): void {
    this.#ended = true
    this.#backlog = null
    this.#gatherer = null
    this.#partialSinceMs = -1
  }

  /** Takes the stream's next bytes, which belong to the reader from here on. */
  push(chunk: Uint8Array, nowMs: number): void {
    if (this.#ended) return
    if (this.#paused) {
      this.#hold(chunk)
      return
    }
    let at = this.#partialSinceMs < 0 ? 0 : this.#continue(chunk, 0)
    while (!this.#ended) {
      if (this.#paused) {
        if (at < chunk.length) this.#hold(chunk.subarray(at))
        return
      }
      const left = chunk.length - at
      if (left < LENGTH_BYTES) break
      const length = readU32(chunk, at)
      if (!this.#accepts(length)) return
      if (left < LENGTH_BYTES + length) break
      const start = at + LENGTH_BYTES
      at = start + length
      this.#deliver(chunk, start, at)
    }
    if (this.#ended || at >= chunk.length) return
    this.#partialSinceMs = nowMs
    this.#continue(chunk, at)
  }

  /** Adds to the incomplete frame from `at`; delivers it when complete. Returns how far it read. */
  #continue(chunk: Uint8Array, from: number): number {
    let at = from
    while (this.#lengthBytes < LENGTH_BYTES) {
      if (at === chunk.length) return at
      this.#length = ((this.#length << 8) | (chunk[at++] as number)) >>> 0
      if (++this.#lengthBytes === LENGTH_BYTES && !this.#accepts(this.#length)) return at
    }
    const gatherer = (this.#gatherer ??= new ByteGatherer())
    const take = Math.min(this.#length - gatherer.size, chunk.length - at)
    gatherer.add(chunk, at, at + take)
    if (gatherer.size < this.#length) return chunk.length
    this.#gatherer = null
    this.#lengthBytes = 0
    this.#length = 0
    this.#partialSinceMs = -1
    const frame = gatherer.join()
    this.#deliver(frame, 0, frame.length)
    return at + take
  }

  #accepts(length: number): boolean {
    if (length >= MIN_LENGTH && length <= this.limit) return true
    this.end()
    this.#sink.onBadLength(length)
    return false
  }

  #deliver(bytes: Uint8Array, start: number, end: number): void {
    const type = bytes[start] as number
    const flags = bytes[start + 1] as number
    this.#sink.onFrame(type, flags, readU32(bytes, start + 2), bytes, start + MIN_LENGTH, end)
  }

  #hold(chunk: Uint8Array): void {
    const before = this.#backlog
    if (before === null) {
      this.#backlog = chunk
      return
    }
    const joined = new Uint8Array(before.length + chunk.length)
    joined.set(before)
    joined.set(chunk, before.length)
    this.#backlog = joined
  }
}
