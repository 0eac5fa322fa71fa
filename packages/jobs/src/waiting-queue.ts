/**
 * Everything that waits for cores, in the order in which it is planned: what has waited too long (longest first), then
 * by rank, then the tenant with the fewest cores in use (max-min fairness), then more virtual users, then the given
 * order. Finding the first and taking it out is O(log n), so planning costs what can be placed, not what waits.
 * Source of the fairness: Ghodsi et al., "Dominant Resource Fairness" (NSDI 2011), with one resource.
 */
import { AUTO_RANK, EXCLUSIVE_RANK, isFairer, type Candidate } from './candidate.js'
import type { Fleet } from './fleet.js'
import { Shape } from './shape.js'

export class WaitingQueue<T> {
  readonly #shapes = new Set<Shape<T>>()
  readonly #shapesOf = new Map<string | undefined, Shape<T>[]>()
  #size = 0
  #walks = 0
  #walk: Walk<T> | null = null
  #aged = 0
  #revision = 0
  /** The ends of the list of those that have not waited too long, in order of arrival. */
  #oldest: Candidate<T> | null = null
  #newest: Candidate<T> | null = null

  get size(): number {
    return this.#size
  }

  /** Changes whenever the names of what waits may have changed. */
  get revision(): number {
    return this.#revision
  }

  /** Names of the workflows that wait. */
  workflows(): Set<string> {
    const names = new Set<string>()
    for (const { workflow } of this.#shapes) if (workflow !== undefined) names.add(workflow)
    return names
  }

  ofWorkflow(workflow: string): Candidate<T>[] {
    const found: Candidate<T>[] = []
    for (const shape of this.#shapes) if (shape.workflow === workflow) found.push(...shape.candidates())
    return found
  }

  /** To be called in order of `queuedAtMs`. */
  add(candidate: Candidate<T>): void {
    this.#shapeOf(candidate).add(candidate)
    candidate.tenant.waiting++
    candidate.older = this.#newest
    if (this.#newest === null) this.#oldest = candidate
    else this.#newest.newer = candidate
    this.#newest = candidate
    this.#size++
  }

  /** Does nothing if it does not wait here. */
  remove(candidate: Candidate<T>): void {
    const { shape } = candidate
    if (shape === null) return
    if (candidate.agedGroup === null) this.#unlink(candidate)
    else this.#aged--
    shape.remove(candidate)
    if (shape.size === 0) this.#drop(shape)
    candidate.tenant.waiting--
    this.#size--
  }

  /** What began to wait at `queuedAtMs` or earlier has waited too long. */
  age(queuedAtMs: number): void {
    for (
      let candidate = this.#oldest;
      candidate !== null && candidate.queuedAtMs <= queuedAtMs;
      candidate = this.#oldest
    ) {
      this.#unlink(candidate)
      candidate.shape?.age(candidate)
      this.#aged++
    }
  }

  get hasAged(): boolean {
    return this.#aged > 0
  }

  /** Begins the one walk there is over the candidates that some worker of `fleet` could run, in the order of planning. */
  walk(fleet: Fleet): Walk<T> {
    this.#walk ??= new Walk(this, this.#shapes)
    this.#walk.begin(fleet, ++this.#walks)
    return this.#walk
  }

  #shapeOf(candidate: Candidate<T>): Shape<T> {
    const { workflow } = candidate
    const alike = this.#shapesOf.get(workflow)
    const known = alike?.find((shape) => shape.fits(candidate))
    if (known !== undefined) return known
    const shape = new Shape<T>(candidate)
    this.#shapes.add(shape)
    if (alike === undefined) this.#shapesOf.set(workflow, [shape])
    else alike.push(shape)
    this.#revision++
    return shape
  }

  #drop(shape: Shape<T>): void {
    const alike = this.#shapesOf.get(shape.workflow) ?? []
    this.#shapes.delete(shape)
    if (alike.length > 1) alike.splice(alike.indexOf(shape), 1)
    else this.#shapesOf.delete(shape.workflow)
    this.#revision++
  }

  #unlink(candidate: Candidate<T>): void {
    const { older, newer } = candidate
    if (older === null) this.#oldest = newer
    else older.newer = newer
    if (newer === null) this.#newest = older
    else newer.older = older
    candidate.older = null
    candidate.newer = null
  }
}

/** Between two calls of `next` the candidate must be taken out of the queue or passed over. */
export class Walk<T> {
  readonly #queue: WaitingQueue<T>
  readonly #shapes: ReadonlySet<Shape<T>>
  #fleet: Fleet | null = null
  #number = 0
  #rank = EXCLUSIVE_RANK

  constructor(queue: WaitingQueue<T>, shapes: ReadonlySet<Shape<T>>) {
    this.#queue = queue
    this.#shapes = shapes
  }

  /** @param number another one for each walk */
  begin(fleet: Fleet, number: number): void {
    this.#fleet = fleet
    this.#number = number
    this.#rank = EXCLUSIVE_RANK
  }

  next(): Candidate<T> | undefined {
    const aged = this.#queue.hasAged ? this.#firstAged() : undefined
    if (aged !== undefined) return aged
    for (; this.#rank <= AUTO_RANK; this.#rank++) {
      const candidate = this.#firstOfRank(this.#rank)
      if (candidate !== undefined) return candidate
    }
    return undefined
  }

  /** It does not fit: nor does anything of its shape, until something is given back. */
  passOver({ shape }: Candidate<T>): void {
    if (shape !== null) shape.passedOverIn = this.#number
  }

  /** Those of the exclusive rank that have not waited too long are left out. */
  passOverExclusive(): void {
    this.#rank = Math.max(this.#rank, EXCLUSIVE_RANK + 1)
  }

  #isCapable(shape: Shape<T>): boolean {
    return this.#fleet !== null && shape.isCapable(this.#fleet)
  }

  #firstAged(): Candidate<T> | undefined {
    let best: Candidate<T> | undefined
    for (const shape of this.#shapes) {
      const candidate = shape.firstAged()
      if (candidate === undefined || !this.#isCapable(shape)) continue
      if (best === undefined || isOlder(candidate, best)) best = candidate
    }
    return best
  }

  #firstOfRank(rank: number): Candidate<T> | undefined {
    let best: Candidate<T> | undefined
    for (const shape of this.#shapes) {
      if (shape.passedOverIn === this.#number) continue
      const candidate = shape.fresh.firstOfRank(rank)
      if (candidate === undefined || !this.#isCapable(shape)) continue
      if (best === undefined || isFairer(candidate, best)) best = candidate
    }
    return best
  }
}

function isOlder<T>(a: Candidate<T>, b: Candidate<T>): boolean {
  if (a.queuedAtMs !== b.queuedAtMs) return a.queuedAtMs < b.queuedAtMs
  return a.rank === b.rank ? isFairer(a, b) : a.rank < b.rank
}
