/** Who shares the cores fairly with the others: the fewer it has in use, the sooner it is planned. */

/** Something whose place depends on how much its tenant has in use. */
export interface TenantPlace {
  /** The tenant's use has changed. */
  reorder(): void
}

export class Tenant {
  readonly name: string
  /** Candidates of it that wait. */
  waiting = 0
  #inUse = 0
  readonly #places = new Set<TenantPlace>()

  constructor(name: string, inUse = 0) {
    this.name = name
    this.#inUse = inUse
  }

  /** Cores that its shards have now. */
  get inUse(): number {
    return this.#inUse
  }

  /** It has `cores` more, or fewer if negative. */
  use(cores: number): void {
    if (cores === 0) return
    this.#inUse += cores
    for (const place of this.#places) place.reorder()
  }

  attach(place: TenantPlace): void {
    this.#places.add(place)
  }

  detach(place: TenantPlace): void {
    this.#places.delete(place)
  }
}
