/**
 * Which of a source's sequence numbers were seen: a sliding bitmap, as IPsec's anti-replay window, so that repeats are
 * refused and reordering is admitted in constant time and space. Source: RFC 6479.
 */

const WORD_BITS = 5
const WORD = 1 << WORD_BITS

export class SequenceWindow {
  readonly #size: number
  readonly #bits: Uint32Array
  /** The highest number seen; -1 before the first. */
  #top = -1
  /** The least number seen: what lies before was never expected, for a source may have begun elsewhere. */
  #first = 0
  #missing = 0

  constructor(size: number) {
    this.#size = size
    this.#bits = new Uint32Array(Math.ceil(size / WORD))
  }

  /** Numbers that left the window unseen. */
  get missing(): number {
    return this.#missing
  }

  /** Whether the number was seen, or is too old to tell. */
  isRepeat(seq: number): boolean {
    if (this.#top < 0 || seq > this.#top) return false
    return seq <= this.#top - this.#size || this.#isSet(seq)
  }

  /** @param seq one that `isRepeat` denied. */
  mark(seq: number): void {
    if (this.#top < 0) this.#first = this.#top = seq
    else if (seq > this.#top) this.#slide(seq)
    else this.#first = Math.min(this.#first, seq)
    this.#set(seq)
  }

  #slide(top: number): void {
    const before = this.#top
    const steps = Math.min(top - before, this.#size)
    for (let i = 1; i <= steps; i++) {
      const leaving = before + i - this.#size
      if (leaving > this.#first && !this.#isSet(leaving)) this.#missing++
      this.#clear(before + i)
    }
    // Of a leap beyond the window, all between was skipped over.
    const lastSkipped = top - this.#size
    if (lastSkipped > before) this.#missing += lastSkipped - before
    this.#top = top
  }

  #isSet(seq: number): boolean {
    const bit = seq % this.#size
    return (((this.#bits[bit >>> WORD_BITS] ?? 0) >>> (bit % WORD)) & 1) === 1
  }

  #set(seq: number): void {
    const bit = seq % this.#size
    const word = bit >>> WORD_BITS
    this.#bits[word] = (this.#bits[word] ?? 0) | (1 << (bit % WORD))
  }

  #clear(seq: number): void {
    const bit = seq % this.#size
    const word = bit >>> WORD_BITS
    this.#bits[word] = (this.#bits[word] ?? 0) & ~(1 << (bit % WORD))
  }
}
