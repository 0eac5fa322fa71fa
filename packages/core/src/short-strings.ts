/**
 * Short strings that come again and again (keys, names, states, addresses), from their UTF-8 bytes without decoding
 * them anew. The table has a fixed size: each string may stand at two places, and one that finds both taken takes the
 * place of another. Strings that are equal become one string, which saves memory as well as time.
 */

/** In bytes. Longer strings seldom come again. */
export const MAX_SHORT = 32
const PLACES = 2_048
const WORDS = MAX_SHORT / 4
const MIXER = 0x9e3779b1

/** Makes the string of the bytes from `start` to `end`. What it throws passes through. */
export type DecodeString = (start: number, end: number) => string

export class ShortStrings {
  readonly #strings = new Array<string>(PLACES).fill('')
  /** Zero where there is none. */
  readonly #lengths = new Uint8Array(PLACES)
  /** The bytes of each string in words of four, zeros behind the last one. */
  readonly #words = new Int32Array(PLACES * WORDS)
  /** For each place, that of the string which `getInOrder` gave after the one there. */
  readonly #followers = new Uint16Array(PLACES)
  #latest = 0
  #takeSecond = false

  /**
   * The string of the `length` bytes from `start`, 1 to `MAX_SHORT` of them.
   * @param view may be read to three bytes beyond the string.
   */
  get(view: DataView, start: number, length: number, decode: DecodeString): string {
    return this.#strings[this.#placeOf(view, start, length, decode)] as string
  }

  /** The same, faster for strings that come in the same order again and again, as keys do. */
  getInOrder(view: DataView, start: number, length: number, decode: DecodeString): string {
    let place = this.#followers[this.#latest] as number
    if (!this.#isAt(place, view, start, length)) {
      place = this.#placeOf(view, start, length, decode)
      this.#followers[this.#latest] = place
    }
    this.#latest = place
    return this.#strings[place] as string
  }

  #placeOf(view: DataView, start: number, length: number, decode: DecodeString): number {
    const last = (length - 1) >> 2
    let hash = Math.imul(lastWord(view, start, length) ^ length, MIXER)
    for (let i = 0; i < last; i++) hash = Math.imul(hash ^ (hash >>> 15) ^ view.getInt32(start + 4 * i, true), MIXER)
    const first = hash >>> 21
    if (this.#isAt(first, view, start, length)) return first
    const second = (hash >>> 10) & (PLACES - 1)
    if (this.#isAt(second, view, start, length)) return second

    const text = decode(start, start + length)
    const place =
      this.#lengths[first] === 0 ? first : this.#lengths[second] === 0 ? second : this.#choose(first, second)
    for (let i = 0; i < last; i++) this.#words[place * WORDS + i] = view.getInt32(start + 4 * i, true)
    this.#words[place * WORDS + last] = lastWord(view, start, length)
    this.#lengths[place] = length
    this.#strings[place] = text
    return place
  }

  #isAt(place: number, view: DataView, start: number, length: number): boolean {
    const words = this.#words
    const at = place * WORDS
    const last = (length - 1) >> 2
    if (this.#lengths[place] !== length || words[at + last] !== lastWord(view, start, length)) return false
    for (let i = 0; i < last; i++) if (words[at + i] !== view.getInt32(start + 4 * i, true)) return false
    return true
  }

  #choose(first: number, second: number): number {
    this.#takeSecond = !this.#takeSecond
    return this.#takeSecond ? second : first
  }
}

/** The last word of the string, without what stands behind the string. */
function lastWord(view: DataView, start: number, length: number): number {
  const last = length - 1
  return view.getInt32(start + (last & ~3), true) & (-1 >>> (24 - 8 * (last & 3)))
}
