/**
 * What is held against nodes, by scope and by node: one record per pair, found from either side and bounded in both
 * measures. `add` and `drop` are the only two that change the indexes.
 */
import type { WheelTimer } from '@hs/core'

/** A suspicion, and once its time is over the verdict. */
export interface ScopeRecord {
  readonly scope: string
  readonly node: string
  /** Of the process that it speaks of; a later one begins clean. */
  readonly generation: number
  readonly startedAtMs: number
  /** By how much this node's own state of health stretched the timeouts when it began. */
  readonly stretch: number
  /** Who says so, the first among them. */
  readonly accusers: Set<string>
  postponements: number
  postponedMs: number
  /** Absent once the verdict is given. */
  timer: WheelTimer | undefined
}

export class ScopeRecords {
  readonly #maxPerScope: number
  readonly #max: number
  readonly #byScope = new Map<string, Map<string, ScopeRecord>>()
  readonly #byNode = new Map<string, Set<ScopeRecord>>()
  #size = 0

  constructor(maxPerScope: number, max: number) {
    this.#maxPerScope = maxPerScope
    this.#max = max
  }

  get size(): number {
    return this.#size
  }

  get(scope: string, node: string): ScopeRecord | undefined {
    return this.#byScope.get(scope)?.get(node)
  }

  hasRoomFor(scope: string): boolean {
    return this.#size < this.#max && (this.#byScope.get(scope)?.size ?? 0) < this.#maxPerScope
  }

  add(record: ScopeRecord): void {
    const { scope, node } = record
    const nodes = this.#byScope.get(scope)
    if (nodes === undefined) this.#byScope.set(scope, new Map([[node, record]]))
    else nodes.set(node, record)
    const scopes = this.#byNode.get(node)
    if (scopes === undefined) this.#byNode.set(node, new Set([record]))
    else scopes.add(record)
    this.#size++
  }

  /** Forgets it and its timer. */
  drop(record: ScopeRecord): void {
    const { scope, node } = record
    const nodes = this.#byScope.get(scope)
    if (nodes?.get(node) !== record) return
    nodes.delete(node)
    if (nodes.size === 0) this.#byScope.delete(scope)
    const scopes = this.#byNode.get(node)
    scopes?.delete(record)
    if (scopes?.size === 0) this.#byNode.delete(node)
    record.timer?.cancel()
    this.#size--
  }

  /** A copy, so that records may be dropped on the way. */
  ofScope(scope: string): ScopeRecord[] {
    return [...(this.#byScope.get(scope)?.values() ?? [])]
  }

  /** A copy, so that records may be dropped on the way. */
  ofNode(node: string): ScopeRecord[] {
    return [...(this.#byNode.get(node) ?? [])]
  }

  /** Scopes in which something is held. */
  scopes(): string[] {
    return [...this.#byScope.keys()]
  }
}
