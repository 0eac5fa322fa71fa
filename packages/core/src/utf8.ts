/**
 * UTF-8 to and from parts of byte arrays: with the methods of Node's `Buffer` where there are any, else with the
 * platform's `TextEncoder` and `TextDecoder`; short ones are read byte by byte, as a call would cost more than the work.
 * Writing replaces lone surrogates by U+FFFD, as the platform does; reading refuses malformed bytes.
 */
import { DecodeError } from './errors.js'

/** They work on any `Uint8Array`, and on a part of it without a view of that part. */
interface BufferMethods {
  utf8Write(this: Uint8Array, text: string, at: number): number
  utf8Slice(this: Uint8Array, start: number, end: number): string
}

const { utf8Write, utf8Slice } = /* @__PURE__ */ bufferMethods()
const encoder = /* @__PURE__ */ new TextEncoder()
const decoder = /* @__PURE__ */ new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const SHORT_BYTES = 16

/** Writes all of `text` from `at`, where there is room for three bytes a character. Returns where it ends. */
export function writeUtf8(bytes: Uint8Array, text: string, at: number): number {
  if (utf8Write !== undefined) return at + utf8Write.call(bytes, text, at)
  return at + encoder.encodeInto(text, bytes.subarray(at)).written
}

/** @throws DecodeError `'syntax'` for malformed UTF-8 */
export function readUtf8(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > SHORT_BYTES) return readAny(bytes, start, end)
  let text = ''
  let pos = start
  for (; pos + 4 <= end; pos += 4) {
    const [a, b, c, d] = [bytes[pos], bytes[pos + 1], bytes[pos + 2], bytes[pos + 3]] as [
      number,
      number,
      number,
      number,
    ]
    if ((a | b | c | d) >= 0x80) return readAny(bytes, start, end)
    text += String.fromCharCode(a, b, c, d)
  }
  for (; pos < end; pos++) {
    const unit = bytes[pos] as number
    if (unit >= 0x80) return readAny(bytes, start, end)
    text += String.fromCharCode(unit)
  }
  return text
}

function readAny(bytes: Uint8Array, start: number, end: number): string {
  if (utf8Slice !== undefined) {
    const text = utf8Slice.call(bytes, start, end)
    // What is malformed comes out as U+FFFD; so does U+FFFD itself, and only the strict decoder tells them apart.
    if (!text.includes('\ufffd')) return text
  }
  try {
    return decoder.decode(bytes.subarray(start, end))
  } catch (cause) {
    throw new DecodeError(`The string at byte ${start} is not UTF-8`, { reason: 'syntax', cause })
  }
}

function bufferMethods(): Partial<BufferMethods> {
  const { Buffer } = globalThis as { Buffer?: { prototype: Partial<BufferMethods> } }
  return Buffer === undefined ? {} : Buffer.prototype
}
