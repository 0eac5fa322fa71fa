/**
 * Text to and from parts of byte arrays, and hashes of it: of bytes and of the string that they stand for alike, so
 * that what is known under a name is found without building the name.
 */

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

/** They work on any `Uint8Array`, and on a part of it without a view of that part. */
interface BufferMethods {
  utf8Slice(this: Uint8Array, start: number, end: number): string
}

const utf8Slice = /* @__PURE__ */ sliceOfBuffer()
const encoder = /* @__PURE__ */ new TextEncoder()
const decoder = /* @__PURE__ */ new TextDecoder('utf-8', { ignoreBOM: true })

/** FNV-1a of the UTF-16 units, as a signed 32-bit integer; for ASCII that of the bytes. */
export function hashText(text: string): number {
  let hash = FNV_OFFSET
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME)
  return hash | 0
}

/** FNV-1a of the bytes from `start` to `end`. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = FNV_OFFSET
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), FNV_PRIME)
  return hash | 0
}

/** Mixes a number into a hash, all of its 53 bits. */
export function mixNumber(hash: number, value: number): number {
  const high = Math.floor(value / 0x1_0000_0000)
  return mixWord(mixWord(hash, value >>> 0), high)
}

/** One step of a hash over 32-bit words, which can be undone: different words give different hashes. */
export function mixWord(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x85ebca6b)
  return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35)
}

/** Whether the bytes are the text, which is ASCII. */
export function isAscii(bytes: Uint8Array, start: number, length: number, text: string): boolean {
  if (text.length !== length) return false
  for (let i = 0; i < length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false
  return true
}

/** The text of bytes that are known to be UTF-8. */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  if (utf8Slice !== undefined) return utf8Slice.call(bytes, start, end)
  return decoder.decode(bytes.subarray(start, end))
}

/** Writes the text from `at`, where there is room, and returns where it ends. */
export function writeText(bytes: Uint8Array, text: string, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) return at + encoder.encodeInto(text, bytes.subarray(at)).written
    bytes[at + i] = unit
  }
  return at + text.length
}

export function encodeText(text: string): Uint8Array {
  return encoder.encode(text)
}

/** How many bytes of UTF-8 it has. */
export function byteLength(text: string): number {
  let length = 0
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) >= 0x80) return encoder.encode(text).length
    length++
  }
  return length
}

/** Whether the bytes are UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start
  while (i < end) {
    const first = bytes[i] as number
    if (first < 0x80) {
      i++
      continue
    }
    const length = sequenceLength(first)
    if (length === 0 || i + length > end || !continues(bytes, i, first, length)) return false
    i += length
  }
  return true
}

function sequenceLength(first: number): number {
  if (first >= 0xc2 && first <= 0xdf) return 2
  if (first >= 0xe0 && first <= 0xef) return 3
  return first >= 0xf0 && first <= 0xf4 ? 4 : 0
}

function continues(bytes: Uint8Array, at: number, first: number, length: number): boolean {
  const second = bytes[at + 1] as number
  if ((second & 0xc0) !== 0x80) return false
  if (first === 0xe0 && second < 0xa0) return false
  if (first === 0xed && second > 0x9f) return false
  if (first === 0xf0 && second < 0x90) return false
  if (first === 0xf4 && second > 0x8f) return false
  for (let i = 2; i < length; i++) if (((bytes[at + i] as number) & 0xc0) !== 0x80) return false
  return true
}

function sliceOfBuffer(): BufferMethods['utf8Slice'] | undefined {
  const { Buffer } = globalThis as { Buffer?: { prototype?: Partial<BufferMethods> } }
  return Buffer?.prototype?.utf8Slice
}
