/**
 * An order of small integers that stand for entries elsewhere: appending, removing and moving to the end touch a few
 * words of one typed array and allocate nothing. Two neighbouring words hold what comes after a number and before it;
 * the words of 0 are the two ends, so there is no case of an empty list.
 */

/** What stands before the first and after the last; never a member. */
export const NONE = 0

export class IndexList {
  #links = new Int32Array(32)

  get first(): number {
    return this.#links[NONE] as number
  }

  /** The one after it, or `NONE`. */
  next(index: number): number {
    return this.#links[2 * index] as number
  }

  append(index: number): void {
    const links = this.#links
    const last = links[1] as number
    links[2 * index] = NONE
    links[2 * index + 1] = last
    links[2 * last] = index
    links[1] = index
  }

  remove(index: number): void {
    const links = this.#links
    const next = links[2 * index] as number
    const previous = links[2 * index + 1] as number
    links[2 * previous] = next
    links[2 * next + 1] = previous
  }

  moveToEnd(index: number): void {
    if (this.#links[1] === index) return
    this.remove(index)
    this.append(index)
  }

  /** Makes room for members up to `maxIndex`. */
  reserve(maxIndex: number): void {
    const larger = new Int32Array(2 * (maxIndex + 1))
    larger.set(this.#links)
    this.#links = larger
  }
}
