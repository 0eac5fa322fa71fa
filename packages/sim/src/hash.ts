/** Cheap mixing of 32-bit integers: for hashes and seeds, not for secrets. */

/** Finalizer of MurmurHash3 (A. Appleby): every bit of the input changes half of the output. */
export function scramble(x: number): number {
  let h = x
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** Takes one more word into a hash; the order of words counts. */
export function blend(hash: number, word: number): number {
  const h = Math.imul(hash ^ Math.imul(word, 0xcc9e2d51), 0x9e3779b1)
  return (h << 13) | (h >>> 19)
}

/** 32 bits of a text. */
export function hashText(text: string, seed: number): number {
  let h = blend(seed, text.length)
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return scramble(h)
}

/** 31 bits of a message, unsigned: a checksum to tell messages apart in a trace. */
export function hashBytes(bytes: Uint8Array): number {
  const { length } = bytes
  const whole = length & ~3
  let h = length
  let at = 0
  for (; at < whole; at += 4) {
    const word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    h = Math.imul(h ^ word, 0x9e3779b1)
    h ^= h >>> 15
  }
  for (; at < length; at++) h = Math.imul(h ^ (bytes[at] as number), 0x01000193)
  return scramble(h) >>> 1
}

const double = new Float64Array(1)
const words = new Int32Array(double.buffer)

/** 32 bits of a number; of 0 and -0 alike. */
export function hashNumber(value: number): number {
  double[0] = value + 0
  return blend(words[0] as number, words[1] as number)
}
