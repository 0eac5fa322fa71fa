/**
 * Where the timers of a virtual clock are written down: each has a place while it waits, a number from 1.
 * All but the callbacks is numbers in typed arrays, for what 100,000 timers cost is objects to be collected.
 */

const INITIAL_PLACES = 64
/** What has not been used yet costs nothing in a typed array: growing seldom means copying little. */
const GROWTH = 4
/** Callbacks lie in pieces of as many, so that growing copies none of them. */
const PIECE_BITS = 10
const PIECE = 2 ** PIECE_BITS

export type Callback = () => void

export class TimerTable {
  /** Of each place when it is due and as which it was set. Read by the wheel and the heap; replaced when it grows. */
  keys = new Float64Array(2 * INITIAL_PLACES)
  /** For lists of places. 0 is the end. */
  next = new Int32Array(INITIAL_PLACES)
  /** Undefined where a timer was cancelled, and where none is. */
  readonly #callbacks: (Callback | undefined)[][] = [[undefined]]
  /** Free places are chained by `next`, behind them come those that never were used. */
  #free = 0
  #unused = 1
  #set = 0

  add(due: number, fn: Callback): number {
    let place = this.#free
    if (place !== 0) {
      this.#free = this.next[place] as number
    } else {
      place = this.#unused++
      if (place === this.next.length) this.#grow()
    }
    this.#setCallback(place, fn)
    this.keys[2 * place] = due
    this.keys[2 * place + 1] = this.#set++
    return place
  }

  /** Gives the place to whoever comes next. */
  remove(place: number): void {
    this.#setCallback(place, undefined)
    this.keys[2 * place + 1] = -1
    this.next[place] = this.#free
    this.#free = place
  }

  /** What distinguishes this timer from all that had or will have its place. */
  orderOf(place: number): number {
    return this.keys[2 * place + 1] as number
  }

  dueOf(place: number): number {
    return this.keys[2 * place] as number
  }

  callbackOf(place: number): Callback | undefined {
    return this.#callbacks[place >> PIECE_BITS]?.[place & (PIECE - 1)]
  }

  cancel(place: number): void {
    this.#setCallback(place, undefined)
  }

  /** Due earlier, or due at the same time and set earlier. */
  isBefore(a: number, b: number): boolean {
    const { keys } = this
    const difference = (keys[2 * a] as number) - (keys[2 * b] as number)
    return difference < 0 || (difference === 0 && (keys[2 * a + 1] as number) < (keys[2 * b + 1] as number))
  }

  /** Removes what was cancelled; the places of all others. */
  tidy(): number[] {
    const waiting: number[] = []
    this.#free = 0
    for (let place = this.#unused - 1; place > 0; place--) {
      if (this.callbackOf(place) === undefined) this.remove(place)
      else waiting.push(place)
    }
    return waiting
  }

  #setCallback(place: number, fn: Callback | undefined): void {
    let piece = this.#callbacks[place >> PIECE_BITS]
    if (piece === undefined) {
      piece = new Array<Callback | undefined>(PIECE)
      this.#callbacks.push(piece)
    }
    piece[place & (PIECE - 1)] = fn
  }

  #grow(): void {
    const keys = new Float64Array(GROWTH * this.keys.length)
    const next = new Int32Array(GROWTH * this.next.length)
    keys.set(this.keys)
    next.set(this.next)
    this.keys = keys
    this.next = next
  }
}
