/**
 * Plain data to MessagePack with the smallest headers: nil, booleans, numbers (integers of up to 32 bits in the
 * smallest form, all others and -0 as 64-bit floats), strings, binary, arrays, string-keyed maps. Anything else is
 * refused, with the path to it.
 * Source: the MessagePack specification, https://github.com/msgpack/msgpack/blob/master/spec.md
 */
import { HsError, LimitError } from './errors.js'
import { isBinary } from './binary.js'
import type { MsgpackLimits } from './msgpack-check.js'
import { writeUtf8 } from './utf8.js'

const MIN_CAPACITY = 4_096
/** A larger buffer is not kept. */
const MAX_KEPT = 1_048_576
/** Room for what has a fixed length: type and eight bytes. */
const FIXED = 9

/** Kept for the next message; nobody's while one is being written, for a getter may encode another meanwhile. */
let idle: MsgpackWriter | undefined

/**
 * @throws LimitError above `maxBytes` or `maxItems`; HsError `'ENCODE_FAILED'` for what is not plain data, nested
 * deeper than `maxDepth`, or part of a cycle
 */
export function encodeMsgpack(value: unknown, limits: MsgpackLimits & { readonly maxBytes: number }): Uint8Array {
  const writer = idle ?? new MsgpackWriter()
  idle = undefined
  try {
    return writer.write(value, limits)
  } finally {
    if (writer.capacity <= MAX_KEPT) idle = writer
  }
}

class MsgpackWriter {
  #bytes = new Uint8Array(MIN_CAPACITY)
  #view = new DataView(this.#bytes.buffer)
  #pos = 0
  #items = 0
  #maxBytes = 0
  #maxDepth = 0
  #maxItems = 0

  get capacity(): number {
    return this.#bytes.length
  }

  write(value: unknown, { maxBytes, maxDepth, maxItems }: MsgpackLimits & { readonly maxBytes: number }): Uint8Array {
    this.#pos = 0
    this.#items = 1
    this.#maxBytes = maxBytes
    this.#maxDepth = maxDepth
    this.#maxItems = maxItems
    try {
      this.#value(value, 0)
    } catch (thrown) {
      throw thrown instanceof LimitError ? thrown : Unfit.of(thrown).toHsError()
    }
    if (this.#pos > maxBytes) throw tooLong(maxBytes)
    return this.#bytes.slice(0, this.#pos)
  }

  #value(value: unknown, depth: number): void {
    // Not a switch: the engine makes comparisons of these, but a string of that.
    if (typeof value === 'string') this.#text(value)
    else if (typeof value === 'number') this.#number(value)
    else if (typeof value === 'object' && value !== null) this.#object(value, depth)
    else if (typeof value === 'boolean') this.#byte(value ? 0xc3 : 0xc2)
    else if (value === null) this.#byte(0xc0)
    else throw new Unfit(value === undefined ? 'undefined' : `a ${typeof value}`)
  }

  #object(value: object, depth: number): void {
    const prototype = Object.getPrototypeOf(value) as object | null
    if (prototype === Object.prototype || prototype === null) return this.#map(value, depth)
    if (Array.isArray(value)) return this.#array(value, depth)
    if (isBinary(value)) return this.#binary(value)
    if (isPlainElsewhere(prototype)) return this.#map(value, depth)
    throw new Unfit(`a ${nameOf(value)}`)
  }

  #map(object: object, depth: number): void {
    if (depth === this.#maxDepth) throw tooDeep(depth)
    const start = this.#pos
    this.#reserve(FIXED)
    this.#pos = start + 1
    let size = 0
    let key = ''
    try {
      for (key in object) {
        if (!hasOwn.call(object, key)) continue
        const value = (object as Record<string, unknown>)[key]
        if (value === undefined) continue
        size++
        this.#key(key)
        this.#value(value, depth + 1)
      }
    } catch (thrown) {
      throw thrown instanceof LimitError ? thrown : Unfit.of(thrown).within(key)
    }
    this.#count(size)
    this.#header(start, size, 0x80, 0xde)
  }

  #array(array: readonly unknown[], depth: number): void {
    if (depth === this.#maxDepth) throw tooDeep(depth)
    const size = array.length
    this.#count(size)
    this.#reserve(FIXED)
    const start = this.#pos++
    this.#header(start, size, 0x90, 0xdc)
    let i = 0
    try {
      for (; i < size; i++) this.#value(array[i], depth + 1)
    } catch (thrown) {
      throw thrown instanceof LimitError ? thrown : Unfit.of(thrown).within(String(i))
    }
  }

  /**
   * Writes the header of a container at `start`, where one byte was left for it, and moves what follows if it needs
   * more: so a map is written in one pass, though its size is known only afterwards.
   */
  #header(start: number, size: number, small: number, large: number): void {
    if (size < 16) {
      this.#bytes[start] = small | size
      return
    }
    const extra = size < 0x10000 ? 2 : 4
    this.#reserve(extra)
    this.#bytes.copyWithin(start + 1 + extra, start + 1, this.#pos)
    this.#pos += extra
    if (extra === 2) {
      this.#bytes[start] = large
      this.#view.setUint16(start + 1, size)
    } else {
      this.#bytes[start] = large + 1
      this.#view.setUint32(start + 1, size)
    }
  }

  #key(key: string): void {
    if (key === '__proto__') throw new Unfit('a key that no decoder accepts')
    this.#text(key)
  }

  #text(text: string): void {
    const { length } = text
    if (length >= 0x20 || !this.#shortAscii(text, length)) this.#anyText(text, length)
  }

  /** What most strings are, without a call for what may come in others. False: it is not one, and nothing is written. */
  #shortAscii(text: string, length: number): boolean {
    this.#reserve(1 + length)
    const bytes = this.#bytes
    const start = this.#pos
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit >= 0x80) return false
      bytes[start + 1 + i] = unit
    }
    bytes[start] = 0xa0 | length
    this.#pos = start + 1 + length
    return true
  }

  #anyText(text: string, length: number): void {
    const start = this.#pos
    if (start + length > this.#maxBytes) throw tooLong(this.#maxBytes)
    this.#reserve(5 + 3 * length)
    // What the header takes if each character takes one byte; it is right for almost all.
    const guess = textHeader(length)
    const end = writeUtf8(this.#bytes, text, start + guess)
    const size = end - start - guess
    const header = textHeader(size)
    if (header !== guess) this.#bytes.copyWithin(start + header, start + guess, end)
    this.#pos = start + header + size
    if (header === 1) {
      this.#bytes[start] = 0xa0 | size
    } else if (header === 2) {
      this.#bytes[start] = 0xd9
      this.#bytes[start + 1] = size
    } else if (header === 3) {
      this.#bytes[start] = 0xda
      this.#view.setUint16(start + 1, size)
    } else {
      this.#bytes[start] = 0xdb
      this.#view.setUint32(start + 1, size)
    }
  }

  #binary(binary: Uint8Array): void {
    const size = binary.length
    if (this.#pos + size > this.#maxBytes) throw tooLong(this.#maxBytes)
    this.#reserve(5 + size)
    if (size < 0x100) {
      this.#bytes[this.#pos] = 0xc4
      this.#bytes[this.#pos + 1] = size
      this.#pos += 2
    } else if (size < 0x10000) {
      this.#bytes[this.#pos] = 0xc5
      this.#view.setUint16(this.#pos + 1, size)
      this.#pos += 3
    } else {
      this.#bytes[this.#pos] = 0xc6
      this.#view.setUint32(this.#pos + 1, size)
      this.#pos += 5
    }
    this.#bytes.set(binary, this.#pos)
    this.#pos += size
  }

  #number(value: number): void {
    this.#reserve(FIXED)
    const at = this.#pos
    if (value >>> 0 === value && !Object.is(value, -0)) {
      if (value < 0x80) {
        this.#bytes[at] = value
        this.#pos = at + 1
      } else if (value < 0x100) {
        this.#bytes[at] = 0xcc
        this.#bytes[at + 1] = value
        this.#pos = at + 2
      } else if (value < 0x10000) {
        this.#bytes[at] = 0xcd
        this.#view.setUint16(at + 1, value)
        this.#pos = at + 3
      } else {
        this.#bytes[at] = 0xce
        this.#view.setUint32(at + 1, value)
        this.#pos = at + 5
      }
    } else if (value >> 0 === value && value < 0) {
      if (value >= -0x20) {
        this.#bytes[at] = value
        this.#pos = at + 1
      } else if (value >= -0x80) {
        this.#bytes[at] = 0xd0
        this.#bytes[at + 1] = value
        this.#pos = at + 2
      } else if (value >= -0x8000) {
        this.#bytes[at] = 0xd1
        this.#view.setInt16(at + 1, value)
        this.#pos = at + 3
      } else {
        this.#bytes[at] = 0xd2
        this.#view.setInt32(at + 1, value)
        this.#pos = at + 5
      }
    } else {
      this.#bytes[at] = 0xcb
      this.#view.setFloat64(at + 1, value)
      this.#pos = at + 9
    }
  }

  #byte(byte: number): void {
    this.#reserve(1)
    this.#bytes[this.#pos++] = byte
  }

  #count(items: number): void {
    this.#items += items
    if (this.#items > this.#maxItems) throw new LimitError('Values of a message', this.#maxItems, this.#items)
  }

  #reserve(length: number): void {
    if (this.#pos + length > this.#bytes.length) this.#grow(this.#pos + length)
  }

  #grow(needed: number): void {
    if (this.#pos > this.#maxBytes) throw tooLong(this.#maxBytes)
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length))
    larger.set(this.#bytes.subarray(0, this.#pos))
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

/** What cannot be encoded, on its way up: each container that it passes adds its step to the path. */
class Unfit extends Error {
  readonly #path: string[] = []

  /** Takes over what a getter or a proxy has thrown. */
  static of(thrown: unknown): Unfit {
    return thrown instanceof Unfit ? thrown : new Unfit('a property that throws', { cause: thrown })
  }

  within(step: string): this {
    this.#path.unshift(step)
    return this
  }

  toHsError(): HsError {
    const path = this.#path.join('.')
    const where = path === '' ? 'The value' : `The value at ${path}`
    return new HsError('ENCODE_FAILED', `${where} cannot be encoded, for only plain data can: found ${this.message}`, {
      details: { path },
      cause: this.cause,
    })
  }
}

function tooDeep(maxDepth: number): Unfit {
  return new Unfit(`containers nested deeper than ${maxDepth}, or in a cycle`)
}

function tooLong(maxBytes: number): LimitError {
  return new LimitError('Bytes of a message', maxBytes)
}

/** The length of the header of a string of so many bytes. */
function textHeader(size: number): number {
  if (size < 0x20) return 1
  if (size < 0x100) return 2
  return size < 0x10000 ? 3 : 5
}

/** An object literal of another realm: a frame, a `vm` context. */
function isPlainElsewhere(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && hasOwn.call(prototype, 'isPrototypeOf')
}

function nameOf(value: object): string {
  const { constructor } = value as { constructor?: unknown }
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'object that is not plain'
}

const hasOwn = Object.prototype.hasOwnProperty
