/**
 * Builds plain data from MessagePack that `MsgpackChecker` has let pass: it checks nothing again but UTF-8.
 * Nothing built is a view onto the input, and memory stays within a constant factor of it.
 */
import { MAX_SHORT, ShortStrings } from './short-strings.js'
import { readUtf8 } from './utf8.js'

const nothing: Uint8Array = /* @__PURE__ */ new Uint8Array()

export class MsgpackDecoder {
  #bytes: Uint8Array = nothing
  #pos = 0

  /** @throws DecodeError `'syntax'` for a string that is not UTF-8 */
  decode(bytes: Uint8Array): unknown {
    this.#bytes = bytes
    this.#pos = 0
    try {
      return this.#value()
    } finally {
      this.#bytes = nothing
    }
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
        return this.#binary(this.#unsigned(1))
      case 0xc5:
        return this.#binary(this.#unsigned(2))
      case 0xc6:
        return this.#binary(this.#unsigned(4))
      case 0xca:
        return this.#float(4)
      case 0xcb:
        return this.#float(8)
      case 0xcc:
        return this.#unsigned(1)
      case 0xcd:
        return this.#unsigned(2)
      case 0xce:
        return this.#unsigned(4)
      case 0xcf:
        return this.#unsigned(4) * 2 ** 32 + this.#unsigned(4)
      case 0xd0:
        return (this.#unsigned(1) << 24) >> 24
      case 0xd1:
        return (this.#unsigned(2) << 16) >> 16
      case 0xd2:
        return this.#unsigned(4) | 0
      case 0xd3:
        return (this.#unsigned(4) | 0) * 2 ** 32 + this.#unsigned(4)
      case 0xd9:
        return this.#text(this.#unsigned(1))
      case 0xda:
        return this.#text(this.#unsigned(2))
      case 0xdb:
        return this.#text(this.#unsigned(4))
      case 0xdc:
        return this.#array(this.#unsigned(2))
      case 0xdd:
        return this.#array(this.#unsigned(4))
      case 0xde:
        return this.#map(this.#unsigned(2))
      case 0xdf:
        return this.#map(this.#unsigned(4))
      default:
        throw new Error(`type 0x${type.toString(16)} passed the check`)
    }
  }

  #map(size: number): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    let isSparse = false
    for (let i = 0; i < size; i++) {
      const type = this.#bytes[this.#pos++] as number
      const key = this.#text(type < 0xc0 ? type & 0x1f : this.#unsigned(1 << (type - 0xd9)))
      if (!isSparse && beginsWithDigit(key)) {
        isSparse = true
        keepSparse(object)
      }
      object[key] = this.#value()
    }
    return object
  }

  #array(size: number): unknown[] {
    const array = new Array<unknown>(size)
    for (let i = 0; i < size; i++) array[i] = this.#value()
    return array
  }

  #text(length: number): string {
    const start = this.#pos
    this.#pos = start + length
    if (length === 0) return ''
    if (length > MAX_SHORT) return readUtf8(this.#bytes, start, start + length)
    return (shortStrings ??= new ShortStrings(readUtf8)).get(this.#bytes, start, length)
  }

  #binary(length: number): Uint8Array {
    const start = this.#pos
    this.#pos = start + length
    const copy = new Uint8Array(length)
    copy.set(this.#bytes.subarray(start, start + length))
    return copy
  }

  #unsigned(size: number): number {
    const bytes = this.#bytes
    let value = bytes[this.#pos++] as number
    for (let i = 1; i < size; i++) value = value * 256 + (bytes[this.#pos++] as number)
    return value
  }

  #float(size: 4 | 8): number {
    for (let i = 0; i < size; i++) floatBytes[i] = this.#bytes[this.#pos++] as number
    return size === 8 ? floatView.getFloat64(0) : floatView.getFloat32(0)
  }
}

const floatBytes = /* @__PURE__ */ new Uint8Array(8)
const floatView = /* @__PURE__ */ new DataView(floatBytes.buffer)
/** One for all decoders: what comes again does so across kinds of messages. */
let shortStrings: ShortStrings | undefined

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
