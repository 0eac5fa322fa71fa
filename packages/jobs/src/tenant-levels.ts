/** Candidates that differ in rank and tenant only: by rank, within a rank the fairest tenant first. */
import { isFairer, type Candidate } from './candidate.js'
import { CandidateLine } from './candidate-line.js'
import { IndexedHeap, type HeapItem } from './indexed-heap.js'
import type { Tenant, TenantPlace } from './tenant.js'

/** The candidates of one tenant in one level; never empty while it stands there. */
export class TenantQueue<T> implements HeapItem, TenantPlace {
  readonly tenant: Tenant
  readonly candidates = new CandidateLine<T>()
  heapIndex = -1
  readonly #heap: IndexedHeap<TenantQueue<T>> | null

  constructor(tenant: Tenant, heap: IndexedHeap<TenantQueue<T>> | null) {
    this.tenant = tenant
    this.#heap = heap
  }

  reorder(): void {
    this.#heap?.update(this)
  }
}

function isFairerQueue<T>(a: TenantQueue<T>, b: TenantQueue<T>): boolean {
  const first = a.candidates.peek()
  const second = b.candidates.peek()
  return first !== undefined && second !== undefined && isFairer(first, second)
}

/** The candidates of one rank. */
class Level<T> {
  readonly #queues = new Map<Tenant, TenantQueue<T>>()
  /** Null: tenants are compared only when somebody asks, which is cheaper for a level that hardly anybody comes to. */
  readonly #heap: IndexedHeap<TenantQueue<T>> | null

  constructor(keepsOrder: boolean) {
    this.#heap = keepsOrder ? new IndexedHeap<TenantQueue<T>>(isFairerQueue) : null
  }

  get isEmpty(): boolean {
    return this.#queues.size === 0
  }

  add(candidate: Candidate<T>): void {
    const { tenant } = candidate
    let queue = this.#queues.get(tenant)
    if (queue !== undefined) {
      queue.candidates.push(candidate)
      if (queue.candidates.peek() === candidate) queue.reorder()
    } else {
      queue = new TenantQueue(tenant, this.#heap)
      this.#queues.set(tenant, queue)
      queue.candidates.push(candidate)
      this.#heap?.push(queue)
      if (this.#heap !== null) tenant.attach(queue)
    }
    candidate.tenantQueue = queue
  }

  remove(candidate: Candidate<T>): void {
    const queue = candidate.tenantQueue
    if (queue === null) return
    const wasFirst = queue.candidates.peek() === candidate
    candidate.tenantQueue = null
    queue.candidates.remove(candidate)
    if (queue.candidates.size > 0) {
      if (wasFirst) queue.reorder()
      return
    }
    this.#queues.delete(queue.tenant)
    this.#heap?.remove(queue)
    queue.tenant.detach(queue)
  }

  all(): Candidate<T>[] {
    return [...this.#queues.values()].flatMap(({ candidates }) => candidates.toArray())
  }

  first(): Candidate<T> | undefined {
    if (this.#heap !== null) return this.#heap.peek()?.candidates.peek()
    let best: TenantQueue<T> | undefined
    for (const queue of this.#queues.values()) if (best === undefined || isFairerQueue(queue, best)) best = queue
    return best?.candidates.peek()
  }
}

export class TenantLevels<T> {
  readonly #levels: (Level<T> | undefined)[] = []
  readonly #keepsOrder: boolean

  constructor(keepsOrder: boolean) {
    this.#keepsOrder = keepsOrder
  }

  get isEmpty(): boolean {
    return this.#levels.every((level) => level === undefined || level.isEmpty)
  }

  add(candidate: Candidate<T>): void {
    const level = (this.#levels[candidate.rank] ??= new Level<T>(this.#keepsOrder))
    level.add(candidate)
  }

  remove(candidate: Candidate<T>): void {
    this.#levels[candidate.rank]?.remove(candidate)
  }

  all(): Candidate<T>[] {
    return this.#levels.flatMap((level) => level?.all() ?? [])
  }

  firstOfRank(rank: number): Candidate<T> | undefined {
    return this.#levels[rank]?.first()
  }

  first(): Candidate<T> | undefined {
    for (const level of this.#levels) {
      const candidate = level?.first()
      if (candidate !== undefined) return candidate
    }
    return undefined
  }
}
