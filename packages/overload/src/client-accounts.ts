/**
 * The debts of clients: one row of numbers each, in one array; a row is named by the offset of its first number.
 * Guarantee: never more than `maxClients` rows, and a row in debt is never taken away from its client. A row without
 * debts holds no information and may go at any time, so whoever calls looks at a few of the others and drops those:
 * there is no pass over all of them, no timer, and nothing to race with.
 */

/** The row of all those for whom there is no room. */
export const OVERFLOW = 0

const FIRST_ROWS = 16

export class ClientAccounts {
  /**
   * TATs, row by row. The first number of a row is the latest of all its others; where a row has one TAT only, that is
   * both.
   */
  tats: Float64Array
  readonly #width: number
  readonly #maxClients: number
  readonly #rows = new Map<string, number>()
  /** By row; the overflow's has no name. */
  readonly #clients: string[] = ['']
  /** The row that is looked at next. */
  #hand = 1

  /** @param columns how many TATs a client has; at least 1 */
  constructor(columns: number, maxClients: number) {
    this.#width = columns === 1 ? 1 : columns + 1
    this.#maxClients = maxClients
    this.tats = new Float64Array(Math.min(FIRST_ROWS, maxClients + 1) * this.#width).fill(-Infinity)
  }

  get size(): number {
    return this.#clients.length - 1
  }

  get isFull(): boolean {
    return this.#clients.length > this.#maxClients
  }

  /** Where the TAT of a column, counted from 0, stands in a row. */
  placeOf(column: number): number {
    return this.#width === 1 ? 0 : column + 1
  }

  /** The row of a client, or -1. */
  find(client: string): number {
    const row = this.#rows.get(client)
    return row === undefined ? -1 : row * this.#width
  }

  /** A row without debts for a client that has none. There must be room. */
  add(client: string): number {
    const row = this.#clients.length
    const offset = row * this.#width
    if (offset === this.tats.length) this.#grow()
    if (this.#width === 1) this.tats[offset] = -Infinity
    else this.tats.fill(-Infinity, offset, offset + this.#width)
    this.#clients.push(client)
    this.#rows.set(client, row)
    return offset
  }

  /** Puts a client deeper into debt. */
  charge(offset: number, place: number, tatMs: number): void {
    const { tats } = this
    tats[offset + place] = tatMs
    if (tatMs > (tats[offset] as number)) tats[offset] = tatMs
  }

  /** Takes a debt back in part. */
  refund(offset: number, place: number, tatMs: number): void {
    const { tats } = this
    tats[offset + place] = tatMs
    if (this.#width > 1) tats[offset] = tats.subarray(offset + 1, offset + this.#width).reduce((a, b) => Math.max(a, b))
  }

  remove(client: string): boolean {
    const row = this.#rows.get(client)
    if (row === undefined) return false
    this.#drop(row)
    return true
  }

  /** Looks at that many rows and drops those that are without debts. */
  tidy(looks: number, nowMs: number): void {
    for (let look = 0; look < looks; look++) this.#look(nowMs)
  }

  /** Looks at that many rows at most, until one is without debts and gone. */
  makeRoom(looks: number, nowMs: number): boolean {
    for (let look = 0; look < looks; look++) if (this.#look(nowMs)) return true
    return false
  }

  #look(nowMs: number): boolean {
    const rows = this.#clients.length
    if (this.#hand >= rows) this.#hand = 1
    const row = this.#hand
    if (row >= rows) return false
    if ((this.tats[row * this.#width] as number) <= nowMs) {
      this.#drop(row)
      return true
    }
    this.#hand = row + 1
    return false
  }

  /** The last row takes its place, so that rows stay dense and the hand sees all of them. */
  #drop(row: number): void {
    const client = this.#clients[row] as string
    const last = this.#clients.length - 1
    const lastClient = this.#clients.pop() as string
    this.#rows.delete(client)
    if (row === last) return
    this.#clients[row] = lastClient
    this.#rows.set(lastClient, row)
    this.tats.copyWithin(row * this.#width, last * this.#width, (last + 1) * this.#width)
  }

  #grow(): void {
    const rows = Math.min(2 * (this.tats.length / this.#width), this.#maxClients + 1)
    const tats = new Float64Array(rows * this.#width)
    tats.set(this.tats)
    this.tats = tats
  }
}
