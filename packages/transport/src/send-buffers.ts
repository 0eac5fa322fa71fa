/**
 * Buffers for datagrams on their way: the socket may keep one for later (when the kernel's queue is full), while the
 * caller of `send` may reuse its bytes at once, so each message is copied behind a header that is there already.
 * A buffer comes back when the socket is done with it; a steady stream therefore allocates nothing.
 */

/** Buffers kept for reuse; a burst beyond that leaves the rest to the garbage collector. */
const MAX_KEPT = 64

export interface SendBuffer {
  /** Header and body. */
  readonly bytes: Uint8Array
  /** To be called once, when the socket has sent them or failed to. */
  readonly done: (error: Error | null) => void
}

export class SendBuffers {
  readonly #header: Uint8Array
  readonly #maxBytes: number
  readonly #onError: (error: Error) => void
  readonly #kept: PooledBuffer[] = []
  #inUse = 0

  constructor(header: Uint8Array, maxBytes: number, onError: (error: Error) => void) {
    this.#header = header
    this.#maxBytes = maxBytes
    this.#onError = onError
  }

  /** Taken and not yet done. */
  get inUse(): number {
    return this.#inUse
  }

  /** A buffer that holds the header and `body`, which together must not exceed `maxBytes`. */
  take(body: Uint8Array): SendBuffer {
    const buffer = this.#kept.pop() ?? this.#create()
    const length = this.#header.length + body.length
    // Messages of one length in a row, which is what protocols send, need no new view.
    if (buffer.bytes.length !== length) buffer.bytes = buffer.whole.subarray(0, length)
    buffer.bytes.set(body, this.#header.length)
    this.#inUse++
    return buffer
  }

  #create(): PooledBuffer {
    const whole = Buffer.alloc(this.#maxBytes)
    whole.set(this.#header)
    const buffer: PooledBuffer = { whole, bytes: whole, done: (error) => this.#giveBack(buffer, error) }
    return buffer
  }

  #giveBack(buffer: PooledBuffer, error: Error | null): void {
    this.#inUse--
    if (this.#kept.length < MAX_KEPT) this.#kept.push(buffer)
    if (error !== null) this.#onError(error)
  }
}

interface PooledBuffer extends SendBuffer {
  readonly whole: Buffer
  bytes: Buffer
}
