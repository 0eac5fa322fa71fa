/** Who leads, as far as a node can know: whose lease it was told of, until when, and who was seen to lead which term. */

export class ElectionBelief {
  #name = ''
  #untilMs = -Infinity
  /** Who leads or tries to, by term; the newest only. */
  #seen = { term: 0, name: '' }
  /** The last that was told to listeners. */
  #told = { term: 0, name: '' }

  /** Whose lease there is reason to believe in. */
  at(nowMs: number): string | undefined {
    return nowMs < this.#untilMs ? this.#name : undefined
  }

  hold(name: string, untilMs: number): void {
    this.#name = name
    this.#untilMs = untilMs
  }

  /** Of anybody, or only if it is this one. */
  drop(name = this.#name): void {
    if (name === this.#name) this.#untilMs = -Infinity
  }

  /** Notes that somebody leads a term; whoever was seen to lead it before, if that is another. */
  see(name: string, term: number): string | undefined {
    if (this.#seen.term === term && this.#seen.name !== name) return this.#seen.name
    this.#seen = { term, name }
    return undefined
  }

  /** What this leadership is to listeners: known, the first they hear of, or a change. */
  tell(name: string, term: number): 'known' | 'first' | 'change' {
    if (this.#told.term === term && this.#told.name === name) return 'known'
    const isFirst = this.#told.name === ''
    this.#told = { term, name }
    return isFirst ? 'first' : 'change'
  }
}
