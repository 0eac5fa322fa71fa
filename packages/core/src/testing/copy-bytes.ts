/**
 * Copies of messages. A typed array of up to 64 bytes lies in the heap of the engine; a longer one gets memory of its
 * own, which costs more than all else that is done with a message. So those share pieces, as Node's own buffers do.
 */

const IN_HEAP_BYTES = 64
const MAX_SHARED_BYTES = 4_096
const PIECE_BYTES = 32_768

let piece = new ArrayBuffer(0)
let used = 0

/** A copy that nobody else has. Its `buffer` may hold other messages too, which no one can reach but by that. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  const { length } = bytes
  // Not `slice()`: of a Buffer that is no copy.
  if (length <= IN_HEAP_BYTES || length > MAX_SHARED_BYTES) return new Uint8Array(bytes)
  if (used + length > piece.byteLength) {
    piece = new ArrayBuffer(PIECE_BYTES)
    used = 0
  }
  const copy = new Uint8Array(piece, used, length)
  // The next one begins where a number of 8 bytes may.
  used += (length + 7) & ~7
  copy.set(bytes)
  return copy
}
