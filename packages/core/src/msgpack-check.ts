/**
 * The structure of a MessagePack message, checked in one pass before anything is built from it: nesting, number of
 * values, declared lengths, truncation, exact end, and that it holds nothing but plain data. It allocates nothing, so
 * a hostile message costs no more than its bytes; whoever decodes afterwards need not check again.
 * Source: the MessagePack specification, https://github.com/msgpack/msgpack/blob/master/spec.md
 */
import { DecodeError, type DecodeReason } from './errors.js'

export interface MsgpackLimits {
  /** Containers within each other. */
  readonly maxDepth: number
  /** Values: scalars and containers, the outermost included; keys do not count. */
  readonly maxItems: number
}

/** By its first byte, the length of a value that needs no further look; 0 for one that does. */
const lengths = /* @__PURE__ */ plainLengths()

export class MsgpackChecker {
  readonly #maxDepth: number
  readonly #maxItems: number
  /** For each container around the one at hand: how many values are to come, as the complement if it is a map. */
  readonly #around: Int32Array

  constructor({ maxDepth, maxItems }: MsgpackLimits) {
    this.#maxDepth = maxDepth
    this.#maxItems = maxItems
    this.#around = new Int32Array(maxDepth)
  }

  /** @throws DecodeError unless the bytes before `end` are exactly one value within the limits. */
  check(bytes: Uint8Array, end = bytes.length): void {
    const around = this.#around
    let pos = 0
    let items = 1
    let depth = 0
    let isMap = false
    let left = 1
    for (;;) {
      // Plain values in a row, which is what long arrays are.
      while (!isMap && left > 0 && pos < end) {
        const length = lengths[bytes[pos] as number] as number
        if (length === 0) break
        pos += length
        left--
      }
      while (left === 0) {
        if (depth === 0) return checkEnd(pos, end)
        const outer = around[--depth] as number
        isMap = outer < 0
        left = isMap ? ~outer : outer
      }
      left--
      if (isMap) pos = afterKey(bytes, pos, end)
      // What reaches beyond the end is seen here, when the next value should begin, or after the last one.
      if (pos >= end) throw truncated(pos)
      const type = bytes[pos] as number
      const length = lengths[type] as number
      if (length !== 0) {
        pos += length
        continue
      }
      if (!isContainer(type)) {
        pos = afterScalar(bytes, pos, type, end)
        continue
      }

      if (depth === this.#maxDepth) throw refusal('depth', pos, `nested deeper than ${this.#maxDepth}`)
      around[depth++] = isMap ? ~left : left
      isMap = (type & 0xf0) === 0x80 || type >= 0xde
      if (type < 0xa0) {
        left = type & 0x0f
        pos += 1
      } else {
        const size = type % 2 === 0 ? 2 : 4
        left = unsignedAt(bytes, pos + 1, size, end)
        pos += 1 + size
      }
      // Each value takes a byte at least, and so does each key.
      if (left * (isMap ? 2 : 1) > end - pos) throw truncated(pos)
      items += left
      if (items > this.#maxItems) throw refusal('items', pos, `more than ${this.#maxItems} values`)
    }
  }
}

function plainLengths(): Uint8Array {
  const table = new Uint8Array(256)
  table.fill(1, 0x00, 0x80) // positive fixint
  for (let type = 0xa0; type < 0xc0; type++) table[type] = 1 + (type & 0x1f) // fixstr
  for (const type of [0xc0, 0xc2, 0xc3]) table[type] = 1 // nil, false, true
  for (const type of [0xcc, 0xd0]) table[type] = 2 // 8-bit integers
  for (const type of [0xcd, 0xd1]) table[type] = 3 // 16-bit integers
  for (const type of [0xca, 0xce, 0xd2]) table[type] = 5 // float 32, 32-bit integers
  table[0xcb] = 9 // float 64
  table.fill(1, 0xe0) // negative fixint
  return table
}

/** Of a type without a plain length: fixmap, fixarray, and those of 16 and 32 bits. */
function isContainer(type: number): boolean {
  return type < 0xa0 || type >= 0xdc
}

/** Where the scalar at `pos` ends, of a type without a plain length. */
function afterScalar(bytes: Uint8Array, pos: number, type: number, end: number): number {
  switch (type) {
    case 0xc4: // bin
    case 0xd9: // str
      return pos + 2 + unsignedAt(bytes, pos + 1, 1, end)
    case 0xc5:
    case 0xda:
      return pos + 3 + unsignedAt(bytes, pos + 1, 2, end)
    case 0xc6:
    case 0xdb:
      return pos + 5 + unsignedAt(bytes, pos + 1, 4, end)
    case 0xcf:
    case 0xd3:
      checkSafe(pos, type, unsignedAt(bytes, pos + 1, 4, end), unsignedAt(bytes, pos + 5, 4, end))
      return pos + 9
    default:
      throw refusal('forbidden', pos, `type 0x${type.toString(16)} is an extension or reserved`)
  }
}

/** Where the key at `pos` ends. */
function afterKey(bytes: Uint8Array, pos: number, end: number): number {
  if (pos >= end) throw truncated(pos)
  const type = bytes[pos] as number
  if (type >= 0xa0 && type < 0xc0) return afterText(bytes, pos + 1, type & 0x1f, end)
  if (type < 0xd9 || type > 0xdb) throw refusal('forbidden', pos, 'a key that is not a string')
  const size = 1 << (type - 0xd9)
  return afterText(bytes, pos + 1 + size, unsignedAt(bytes, pos + 1, size, end), end)
}

function afterText(bytes: Uint8Array, start: number, length: number, end: number): number {
  if (length === PROTO.length && start + length <= end && PROTO.every((byte, i) => bytes[start + i] === byte))
    throw refusal('forbidden', start, 'the key __proto__')
  return start + length
}

/** `__proto__` */
const PROTO = [0x5f, 0x5f, 0x70, 0x72, 0x6f, 0x74, 0x6f, 0x5f, 0x5f]

/** Integers of 64 bits must be within what a number holds exactly. */
function checkSafe(pos: number, type: number, high: number, low: number): void {
  const value = type === 0xd3 && high >= 2 ** 31 ? (high - 2 ** 32) * 2 ** 32 + low : high * 2 ** 32 + low
  if (!Number.isSafeInteger(value)) throw refusal('forbidden', pos, 'an integer beyond 2^53-1')
}

function unsignedAt(bytes: Uint8Array, pos: number, size: number, end: number): number {
  if (pos + size > end) throw truncated(pos)
  let value = 0
  for (let i = 0; i < size; i++) value = value * 256 + (bytes[pos + i] as number)
  return value
}

function checkEnd(pos: number, end: number): void {
  if (pos > end) throw truncated(end)
  if (pos < end) throw refusal('syntax', pos, `${end - pos} bytes after the end`)
}

function truncated(pos: number): DecodeError {
  return refusal('syntax', pos, 'cut off')
}

function refusal(reason: DecodeReason, pos: number, what: string): DecodeError {
  return new DecodeError(`The message is refused at byte ${pos}: ${what}`, { reason })
}
