/** How much strain was told within a time: a sum over a sliding window, exact for as many tellings as it has room. */

interface Strain {
  atMs: number
  amount: number
}

/** Beyond it the oldest are taken together and count until the later of them is over. */
const MAX_ENTRIES = 64

export class StrainWindow {
  readonly #entries: Strain[] = []

  /** Amounts that are none are ignored. */
  record(amount: number, nowMs: number, windowMs: number): void {
    if (!Number.isFinite(amount) || amount <= 0) return
    this.#forget(nowMs, windowMs)
    this.#entries.push({ atMs: nowMs, amount })
    if (this.#entries.length <= MAX_ENTRIES) return
    const [oldest, next] = this.#entries
    if (oldest !== undefined && next !== undefined) next.amount += oldest.amount
    this.#entries.shift()
  }

  sum(nowMs: number, windowMs: number): number {
    this.#forget(nowMs, windowMs)
    return this.#entries.reduce((sum, { amount }) => sum + amount, 0)
  }

  #forget(nowMs: number, windowMs: number): void {
    while (this.#entries[0] !== undefined && nowMs - this.#entries[0].atMs >= windowMs) this.#entries.shift()
  }
}
