/**
 * Builds plain data from MessagePack that `MsgpackChecker` has let pass: it checks nothing again but UTF-8.
 * Nothing built is a view onto the input, and memory stays within a constant factor of it.
 *
 * It works on a copy of the message, in a buffer that serves one message after the other: of one kind, whatever the
 * caller's array is, and changed by nobody between check and building.
 */
import type { MsgpackChecker } from './msgpack-check.js'
import { MAX_SHORT, ShortStrings } from './short-strings.js'
import { readUtf8 } from './utf8.js'

/** More is not kept for the next message. */
const MAX_KEPT = 1_048_576
/** `ShortStrings` may read so far beyond the end. */
const MARGIN = 3

export class MsgpackDecoder {
  readonly #keys = new ShortStrings()
  readonly #texts = new ShortStrings()
  readonly #readKey = (start: number, end: number) => interned(readUtf8(this.#bytes, start, end))
  readonly #readText = (start: number, end: number) => readUtf8(this.#bytes, start, end)
  #bytes = new Uint8Array()
  #view = new DataView(this.#bytes.buffer)
  #pos = 0

  /** @throws DecodeError from the checker, and `'syntax'` for a string that is not UTF-8 */
  decode(bytes: Uint8Array, checker: MsgpackChecker): unknown {
    const { length } = bytes
    if (this.#bytes.length < length + MARGIN) this.#allocate(2 * (length + MARGIN))
    this.#bytes.set(bytes)
    this.#pos = 0
    try {
      checker.check(this.#bytes, length)
      return this.#value()
    } finally {
      if (this.#bytes.length > MAX_KEPT) this.#allocate(0)
    }
  }

  #allocate(length: number): void {
    this.#bytes = new Uint8Array(length)
    this.#view = new DataView(this.#bytes.buffer)
  }

  #value(): unknown {
    const type = this.#bytes[this.#pos++] as number
    if (type < 0x80) return type
    if (type < 0x90) return this.#map(type & 0x0f)
    if (type < 0xa0) return this.#array(type & 0x0f)
    if (type < 0xc0) return this.#text(type & 0x1f)
    if (type >= 0xe0) return type - 0x100
    switch (type) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.#binary(this.#unsigned8())
      case 0xc5:
        return this.#binary(this.#unsigned16())
      case 0xc6:
        return this.#binary(this.#unsigned32())
      case 0xca:
        return this.#float(4)
      case 0xcb:
        return this.#float(8)
      case 0xcc:
        return this.#unsigned8()
      case 0xcd:
        return this.#unsigned16()
      case 0xce:
        return this.#unsigned32()
      case 0xcf:
        return this.#unsigned32() * 2 ** 32 + this.#unsigned32()
      case 0xd0:
        return (this.#unsigned8() << 24) >> 24
      case 0xd1:
        return (this.#unsigned16() << 16) >> 16
      case 0xd2:
        return this.#unsigned32() | 0
      case 0xd3:
        return (this.#unsigned32() | 0) * 2 ** 32 + this.#unsigned32()
      case 0xd9:
        return this.#text(this.#unsigned8())
      case 0xda:
        return this.#text(this.#unsigned16())
      case 0xdb:
        return this.#text(this.#unsigned32())
      case 0xdc:
        return this.#array(this.#unsigned16())
      case 0xdd:
        return this.#array(this.#unsigned32())
      case 0xde:
        return this.#map(this.#unsigned16())
      case 0xdf:
        return this.#map(this.#unsigned32())
      default:
        throw new Error(`type 0x${type.toString(16)} passed the check`)
    }
  }

  #map(size: number): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    let isSparse = false
    for (let i = 0; i < size; i++) {
      const type = this.#bytes[this.#pos++] as number
      const key = this.#key(type < 0xc0 ? type & 0x1f : this.#lengthOf(type))
      if (!isSparse && beginsWithDigit(key)) {
        isSparse = true
        keepSparse(object)
      }
      object[key] = this.#value()
    }
    return object
  }

  #lengthOf(type: number): number {
    if (type === 0xd9) return this.#unsigned8()
    return type === 0xda ? this.#unsigned16() : this.#unsigned32()
  }

  #array(size: number): unknown[] {
    const array = new Array<unknown>(size)
    for (let i = 0; i < size; i++) array[i] = this.#value()
    return array
  }

  #key(length: number): string {
    const start = this.#pos
    this.#pos = start + length
    if (length === 0 || length > MAX_SHORT) return readUtf8(this.#bytes, start, start + length)
    return this.#keys.getInOrder(this.#view, start, length, this.#readKey)
  }

  #text(length: number): string {
    const start = this.#pos
    this.#pos = start + length
    if (length === 0 || length > MAX_SHORT) return readUtf8(this.#bytes, start, start + length)
    return this.#texts.get(this.#view, start, length, this.#readText)
  }

  #binary(length: number): Uint8Array {
    const start = this.#pos
    this.#pos = start + length
    return this.#bytes.slice(start, start + length)
  }

  #unsigned8(): number {
    return this.#bytes[this.#pos++] as number
  }

  #unsigned16(): number {
    this.#pos += 2
    return this.#view.getUint16(this.#pos - 2)
  }

  #unsigned32(): number {
    this.#pos += 4
    return this.#view.getUint32(this.#pos - 4)
  }

  #float(size: 4 | 8): number {
    const at = this.#pos
    this.#pos = at + size
    return size === 8 ? this.#view.getFloat64(at) : this.#view.getFloat32(at)
  }
}

function beginsWithDigit(key: string): boolean {
  const unit = key.charCodeAt(0)
  return unit >= 0x30 && unit <= 0x39
}

/**
 * Properties named by integers are the elements of an object, and V8 makes room for the lower ones too: 12 kB for
 * a lone "1023" of six bytes. An object that once had a very high one keeps them in a table instead.
 */
function keepSparse(object: Record<string, unknown>): void {
  object['4294967294'] = null
  delete object['4294967294']
}

/** The engine's own copy of the string: as the name of a property it needs no look-up. */
function interned(key: string): string {
  return Object.keys({ [key]: true })[0] ?? key
}
