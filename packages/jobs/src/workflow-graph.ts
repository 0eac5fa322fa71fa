/**
 * The dependencies of a job's workflows, checked and in a stable order: topological, and among the workflows that are
 * ready the one given first comes first. A dependency may be given after its dependent.
 * Source: A. B. Kahn, "Topological sorting of large networks" (CACM, 1962), with a heap of indices for the ready ones.
 */
import { LimitError } from '@hs/core'
import { requireInteger } from './arguments.js'
import { IntHeap } from './int-heap.js'
import { JobError } from './job-error.js'

export interface WorkflowNode {
  readonly id: string
  /** Ids of the workflows that come before this one. @default [] */
  readonly dependsOn?: readonly string[]
}

export interface WorkflowGraphOptions {
  /** @default 10_000 */
  maxWorkflows?: number
}

const NONE: readonly string[] = Object.freeze([])

/** Adjacency by index, one flat array a direction: the neighbours of `i` stand from `starts[i]` to `starts[i + 1]`. */
interface Edges {
  readonly starts: Int32Array
  readonly targets: Int32Array
}

interface GraphParts {
  readonly indices: ReadonlyMap<string, number>
  readonly dependencies: Edges
  readonly dependents: Edges
}

let partsOf: (graph: WorkflowGraph) => GraphParts

export class WorkflowGraph {
  readonly size: number
  /** Ids without dependencies, in the order given. */
  readonly roots: readonly string[]
  /** All ids, each after its dependencies. */
  readonly order: readonly string[]
  readonly #ids: readonly string[]
  readonly #parts: GraphParts
  readonly #order: Int32Array

  static {
    partsOf = (graph) => graph.#parts
  }

  /**
   * @throws JobError `'DUPLICATE_WORKFLOW'`, `'UNKNOWN_DEPENDENCY'` or `'DEPENDENCY_CYCLE'` (`details.cycle`: the ids of
   * one cycle, each a dependency of the one before it).
   * @throws LimitError for more than `maxWorkflows`.
   */
  constructor(nodes: readonly WorkflowNode[], options: WorkflowGraphOptions = {}) {
    const { maxWorkflows = 10_000 } = options
    requireInteger('maxWorkflows', maxWorkflows, 1)
    if (nodes.length > maxWorkflows) throw new LimitError('workflows of a job', maxWorkflows, nodes.length)
    this.size = nodes.length
    this.#ids = nodes.map((node) => node.id)
    const indices = indicesOf(this.#ids)
    const dependencies = dependenciesOf(nodes, indices)
    const dependents = reversed(dependencies, nodes.length)
    this.#parts = { indices, dependencies, dependents }
    const order = sorted(dependencies, dependents, nodes.length)
    if (order === null) throw cycleError(this.#ids, dependencies)
    this.#order = order
    this.order = Object.freeze(Array.from(order, (index) => this.#idAt(index)))
    this.roots = Object.freeze(this.#ids.filter((_, index) => degree(dependencies, index) === 0))
  }

  /** In the order given. @throws JobError `'UNKNOWN_WORKFLOW'` */
  dependenciesOf(id: string): readonly string[] {
    return this.#neighbours(this.#parts.dependencies, this.#indexOf(id))
  }

  /** In the order given. @throws JobError `'UNKNOWN_WORKFLOW'` */
  dependentsOf(id: string): readonly string[] {
    return this.#neighbours(this.#parts.dependents, this.#indexOf(id))
  }

  /** Everything that depends on it, directly or not, in `order`. @throws JobError `'UNKNOWN_WORKFLOW'` */
  downstreamOf(id: string): readonly string[] {
    const { starts, targets } = this.#parts.dependents
    const reached = new Uint8Array(this.size)
    const open = [this.#indexOf(id)]
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      for (let edge = starts[index] ?? 0; edge < (starts[index + 1] ?? 0); edge++) {
        const next = targets[edge] ?? 0
        if (reached[next] === 1) continue
        reached[next] = 1
        open.push(next)
      }
    }
    const downstream: string[] = []
    for (const index of this.#order) if (reached[index] === 1) downstream.push(this.#idAt(index))
    return downstream
  }

  /** Ids by the length of the longest chain of dependencies before them; each layer in the order given. */
  layers(): readonly (readonly string[])[] {
    const { starts, targets } = this.#parts.dependencies
    const depths = new Int32Array(this.size)
    for (const index of this.#order) {
      let depth = 0
      for (let edge = starts[index] ?? 0; edge < (starts[index + 1] ?? 0); edge++) {
        depth = Math.max(depth, (depths[targets[edge] ?? 0] ?? 0) + 1)
      }
      depths[index] = depth
    }
    const layers: string[][] = []
    for (const [index, id] of this.#ids.entries()) (layers[depths[index] ?? 0] ??= []).push(id)
    return layers
  }

  #indexOf(id: string): number {
    const index = this.#parts.indices.get(id)
    if (index !== undefined) return index
    throw new JobError('UNKNOWN_WORKFLOW', `no workflow ${JSON.stringify(id)} in this graph`, { details: { id } })
  }

  #idAt(index: number): string {
    return this.#ids[index] ?? ''
  }

  #neighbours({ starts, targets }: Edges, index: number): readonly string[] {
    if (starts[index] === starts[index + 1]) return NONE
    return Array.from(targets.subarray(starts[index], starts[index + 1]), (target) => this.#idAt(target))
  }
}

/** For this package: the place of a workflow in the order given. */
export function indexInGraph(graph: WorkflowGraph, id: string): number | undefined {
  return partsOf(graph).indices.get(id)
}

/** For this package: how many workflows the one at `index` depends on directly. */
export function dependencyCount(graph: WorkflowGraph, index: number): number {
  return degree(partsOf(graph).dependencies, index)
}

/** For this package: those of `all` that the workflow at `index` depends on directly. */
export function dependenciesAmong<T>(graph: WorkflowGraph, index: number, all: readonly T[]): readonly T[] {
  return neighboursAmong(partsOf(graph).dependencies, index, all)
}

/** For this package: those of `all` that depend directly on the workflow at `index`. */
export function dependentsAmong<T>(graph: WorkflowGraph, index: number, all: readonly T[]): readonly T[] {
  return neighboursAmong(partsOf(graph).dependents, index, all)
}

const NOTHING: readonly never[] = Object.freeze([])

/** `all` stands in the order given to the graph. */
function neighboursAmong<T>({ starts, targets }: Edges, index: number, all: readonly T[]): readonly T[] {
  const end = starts[index + 1] ?? 0
  let edge = starts[index] ?? 0
  if (edge === end) return NOTHING
  const found: T[] = []
  for (; edge < end; edge++) {
    const neighbour = all[targets[edge] ?? 0]
    if (neighbour !== undefined) found.push(neighbour)
  }
  return found
}

function degree({ starts }: Edges, index: number): number {
  return (starts[index + 1] ?? 0) - (starts[index] ?? 0)
}

function indicesOf(ids: readonly string[]): Map<string, number> {
  const indices = new Map<string, number>()
  for (let index = 0; index < ids.length; index++) indices.set(ids[index] ?? '', index)
  if (indices.size === ids.length) return indices
  const seen = new Set<string>()
  for (const id of ids) {
    if (seen.has(id)) {
      throw new JobError('DUPLICATE_WORKFLOW', `two workflows are called ${JSON.stringify(id)}`, { details: { id } })
    }
    seen.add(id)
  }
  return indices
}

function dependenciesOf(nodes: readonly WorkflowNode[], indices: ReadonlyMap<string, number>): Edges {
  const starts = new Int32Array(nodes.length + 1)
  let count = 0
  for (const node of nodes) count += node.dependsOn?.length ?? 0
  const targets = new Int32Array(count)
  // Which workflow named a dependency last, so that one named twice counts once.
  const namedBy = new Int32Array(nodes.length).fill(-1)
  let edge = 0
  for (let index = 0; index < nodes.length; index++) {
    const node = nodes[index]
    for (const name of node?.dependsOn ?? NONE) {
      const target = indices.get(name)
      if (target === undefined) throw unknownDependency(node?.id ?? '', name)
      if (namedBy[target] === index) continue
      namedBy[target] = index
      targets[edge++] = target
    }
    starts[index + 1] = edge
  }
  return { starts, targets: targets.subarray(0, edge) }
}

function unknownDependency(id: string, dependency: string): JobError {
  return new JobError('UNKNOWN_DEPENDENCY', `workflow ${id} depends on ${dependency}, which the job does not have`, {
    details: { id, dependency },
  })
}

/** The same edges in the other direction, by counting sort. */
function reversed({ starts, targets }: Edges, size: number): Edges {
  const back = new Int32Array(size + 1)
  for (let edge = 0; edge < targets.length; edge++) {
    const target = targets[edge] ?? 0
    back[target + 1] = (back[target + 1] ?? 0) + 1
  }
  for (let index = 0; index < size; index++) back[index + 1] = (back[index + 1] ?? 0) + (back[index] ?? 0)
  const next = back.slice(0, size)
  const sources = new Int32Array(targets.length)
  for (let index = 0; index < size; index++) {
    for (let edge = starts[index] ?? 0; edge < (starts[index + 1] ?? 0); edge++) {
      const target = targets[edge] ?? 0
      const slot = next[target] ?? 0
      sources[slot] = index
      next[target] = slot + 1
    }
  }
  return { starts: back, targets: sources }
}

/** The indices in topological order, or null if there is a cycle. */
function sorted(dependencies: Edges, dependents: Edges, size: number): Int32Array | null {
  if (isOrdered(dependencies, size)) return Int32Array.from({ length: size }, (_, index) => index)
  const { starts, targets } = dependents
  const missing = new Int32Array(size)
  const ready = new IntHeap(size)
  for (let index = 0; index < size; index++) {
    const count = degree(dependencies, index)
    missing[index] = count
    if (count === 0) ready.push(index)
  }
  const order = new Int32Array(size)
  let done = 0
  while (ready.size > 0) {
    const index = ready.pop()
    order[done++] = index
    for (let edge = starts[index] ?? 0, end = starts[index + 1] ?? 0; edge < end; edge++) {
      const target = targets[edge] ?? 0
      const left = (missing[target] ?? 0) - 1
      missing[target] = left
      if (left === 0) ready.push(target)
    }
  }
  return done === size ? order : null
}

/** Whether every dependency was given before its dependents: then the given order is the answer. */
function isOrdered({ starts, targets }: Edges, size: number): boolean {
  for (let index = 0; index < size; index++) {
    for (let edge = starts[index] ?? 0; edge < (starts[index + 1] ?? 0); edge++) {
      if ((targets[edge] ?? 0) >= index) return false
    }
  }
  return true
}

/** Follows dependencies, depth first, until one is met that is still open. */
function cycleError(ids: readonly string[], { starts, targets }: Edges): JobError {
  const edge = starts.slice(0, ids.length)
  const state = new Uint8Array(ids.length) // 1: on the path, 2: leads to no cycle
  for (let root = 0; root < ids.length; root++) {
    const path = state[root] === 0 ? [root] : []
    state[root] ||= 1
    while (path.length > 0) {
      const index = path[path.length - 1] ?? 0
      const at = edge[index] ?? 0
      if (at >= (starts[index + 1] ?? 0)) {
        state[index] = 2
        path.pop()
        continue
      }
      edge[index] = at + 1
      const target = targets[at] ?? 0
      if (state[target] === 1) {
        const cycle = path.slice(path.indexOf(target)).map((member) => ids[member] ?? '')
        return new JobError('DEPENDENCY_CYCLE', `workflows depend on one another: ${cycle.join(' -> ')}`, {
          details: { cycle: Object.freeze(cycle) },
        })
      }
      if (state[target] === 2) continue
      state[target] = 1
      path.push(target)
    }
  }
  return new JobError('DEPENDENCY_CYCLE', 'workflows depend on one another', { details: { cycle: [] } })
}
