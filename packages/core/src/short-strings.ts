/**
 * Short strings that come again and again (keys, names, states, addresses), from their UTF-8 bytes without decoding
 * them anew. The table has a fixed size: each string may stand at two places, and one that finds both taken takes the
 * place of another. Strings that are equal become one string, which saves memory as well as time.
 */

/** In bytes. Longer strings seldom come again. */
export const MAX_SHORT = 32
const PLACES = 2_048
const WORDS = MAX_SHORT / 4

export class ShortStrings {
  readonly #strings = new Array<string>(PLACES).fill('')
  /** Zero where there is none. */
  readonly #lengths = new Uint8Array(PLACES)
  /** The bytes of each string in words of four, zeros behind the last one. */
  readonly #words = new Int32Array(PLACES * WORDS)
  #takeSecond = false

  /**
   * The string of the `length` bytes from `start`, 1 to `MAX_SHORT` of them.
   * @param view may be read to three bytes beyond the string.
   * @param decode makes the string if it is not in the table; what it throws passes through.
   */
  get(view: DataView, start: number, length: number, decode: (start: number, end: number) => string): string {
    const last = (length - 1) >> 2
    const lastWord = view.getInt32(start + 4 * last, true) & (-1 >>> (24 - 8 * ((length - 1) & 3)))
    let hash = Math.imul(lastWord ^ length, 0x9e3779b1)
    for (let i = 0; i < last; i++)
      hash = Math.imul(hash ^ (hash >>> 15) ^ view.getInt32(start + 4 * i, true), 0x9e3779b1)
    const first = hash >>> 21
    if (this.#isAt(first, view, start, length, last, lastWord)) return this.#strings[first] as string
    const second = (hash >>> 10) & (PLACES - 1)
    if (this.#isAt(second, view, start, length, last, lastWord)) return this.#strings[second] as string

    const text = decode(start, start + length)
    const place =
      this.#lengths[first] === 0 ? first : this.#lengths[second] === 0 ? second : this.#choose(first, second)
    for (let i = 0; i < last; i++) this.#words[place * WORDS + i] = view.getInt32(start + 4 * i, true)
    this.#words[place * WORDS + last] = lastWord
    this.#lengths[place] = length
    this.#strings[place] = text
    return text
  }

  #isAt(place: number, view: DataView, start: number, length: number, last: number, lastWord: number): boolean {
    const words = this.#words
    const at = place * WORDS
    if (this.#lengths[place] !== length || words[at + last] !== lastWord) return false
    for (let i = 0; i < last; i++) if (words[at + i] !== view.getInt32(start + 4 * i, true)) return false
    return true
  }

  #choose(first: number, second: number): number {
    this.#takeSecond = !this.#takeSecond
    return this.#takeSecond ? second : first
  }
}
