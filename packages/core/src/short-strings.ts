/**
 * Short strings that come again and again (keys, names, states, addresses), from their UTF-8 bytes without decoding
 * them anew: a table of bounded size in which a string may stand at one place only, so that a new one simply takes
 * the place of an old one. Strings that are equal become one string, which saves memory as well as time.
 */

/** In bytes. Longer strings seldom come again. */
export const MAX_SHORT = 32
const PLACES = 2_048

export class ShortStrings {
  readonly #decode: Decode
  readonly #strings = new Array<string>(PLACES).fill('')
  readonly #lengths = new Uint8Array(PLACES)
  readonly #bytes = new Uint8Array(PLACES * MAX_SHORT)

  /** @param decode makes a string that is not in the table; what it throws passes through. */
  constructor(decode: Decode) {
    this.#decode = decode
  }

  /** The string of the `length` bytes from `start`: 1 to `MAX_SHORT`, all of them within `bytes`. */
  get(bytes: Uint8Array, start: number, length: number): string {
    const end = start + length
    let hash = length
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0
    const place = (hash ^ (hash >>> 11)) & (PLACES - 1)
    if (this.#lengths[place] === length && this.#isAt(place, bytes, start, end)) return this.#strings[place] as string
    return this.#enter(place, bytes, start, end)
  }

  #isAt(place: number, bytes: Uint8Array, start: number, end: number): boolean {
    const known = this.#bytes
    const shift = place * MAX_SHORT - start
    for (let i = start; i < end; i++) if (known[i + shift] !== bytes[i]) return false
    return true
  }

  #enter(place: number, bytes: Uint8Array, start: number, end: number): string {
    const text = interned(this.#decode(bytes, start, end))
    this.#bytes.set(bytes.subarray(start, end), place * MAX_SHORT)
    this.#lengths[place] = end - start
    this.#strings[place] = text
    return text
  }
}

type Decode = (bytes: Uint8Array, start: number, end: number) => string

/** The engine's own copy of the string: used as a key it needs no look-up. */
function interned(text: string): string {
  return Object.keys({ [text]: true })[0] ?? text
}
