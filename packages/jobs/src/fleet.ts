/**
 * The workers of a datacenter as planning sees them: who has room, in the order of placement, found without looking at
 * every worker. Workers of one health bucket that run the same workflows stand in one heap, most free cores first.
 */
import { datacenterHealths, type DatacenterHealth } from '@hs/core'
import { IndexedHeap, type HeapItem } from './indexed-heap.js'

/** How a worker is doing; the words are those of datacenters. */
export type HealthBucket = DatacenterHealth

/** A worker as planning sees it. */
export interface WorkerSlot {
  readonly workerId: string
  readonly bucket: HealthBucket
  /** Cores that may be given out now. */
  readonly free: number
  readonly total: number
  /** Names of the workflows it runs. @default all */
  readonly workflows?: readonly string[]
}

export class FleetWorker implements HeapItem {
  readonly workerId: string
  bucket: HealthBucket
  total: number
  /** Below 0 if a worker came back with fewer cores than are reserved on it. */
  free: number
  /** How many more shards it may be sent. */
  slots: number
  workflows: readonly string[] | undefined
  heapIndex = -1
  group: WorkerGroup | null = null

  constructor(slot: WorkerSlot, slots = Infinity) {
    this.workerId = slot.workerId
    this.bucket = slot.bucket
    this.total = slot.total
    this.free = slot.free
    this.slots = slots
    this.workflows = slot.workflows
  }

  /** Cores that a new shard can have. */
  get room(): number {
    return this.slots > 0 && this.free > 0 ? this.free : 0
  }
}

/** Most free cores first, then the smaller id. */
function hasMoreRoom(a: FleetWorker, b: FleetWorker): boolean {
  const difference = a.room - b.room
  return difference === 0 ? a.workerId < b.workerId : difference > 0
}

/** Workers of one bucket that run the same workflows. */
class WorkerGroup {
  readonly bucket: HealthBucket
  readonly signature: string
  /** Null: they run everything. */
  readonly workflows: ReadonlySet<string> | null
  readonly heap = new IndexedHeap<FleetWorker>(hasMoreRoom)
  /** How many workers have how many cores in all. */
  readonly totals = new Map<number, number>()
  room = 0
  busy = 0

  constructor(bucket: HealthBucket, signature: string, workflows: readonly string[] | undefined) {
    this.bucket = bucket
    this.signature = signature
    this.workflows = workflows === undefined ? null : new Set(workflows)
  }

  runs(workflow: string | undefined): boolean {
    return this.workflows === null || workflow === undefined || this.workflows.has(workflow)
  }

  /** The first worker that is not avoided, if it has at least `cores`. */
  best(cores: number, avoid: readonly string[]): FleetWorker | undefined {
    const top = this.heap.peek()
    if (top === undefined || top.room < cores) return undefined
    if (avoid.length === 0 || !avoid.includes(top.workerId)) return top
    return this.#bestBelow(cores, avoid)
  }

  /** Best first through the heap; what is avoided is rare, so the frontier stays small. */
  #bestBelow(cores: number, avoid: readonly string[]): FleetWorker | undefined {
    const frontier = [0]
    while (frontier.length > 0) {
      let first = 0
      for (let at = 1; at < frontier.length; at++) {
        const a = this.heap.at(frontier[at] ?? 0)
        const b = this.heap.at(frontier[first] ?? 0)
        if (a !== undefined && b !== undefined && hasMoreRoom(a, b)) first = at
      }
      const [index = 0] = frontier.splice(first, 1)
      const worker = this.heap.at(index)
      if (worker === undefined || worker.room < cores) return undefined
      if (!avoid.includes(worker.workerId)) return worker
      for (const child of [2 * index + 1, 2 * index + 2]) if (child < this.heap.size) frontier.push(child)
    }
    return undefined
  }
}

export class Fleet {
  readonly #workers = new Map<string, FleetWorker>()
  /** Those that may be given work, healthy ones first. */
  #usable: WorkerGroup[] = []
  readonly #groups = new Map<string, WorkerGroup>()
  #revision = 0

  /** Changes whenever who can run what may have changed. */
  get revision(): number {
    return this.#revision
  }

  /** Cores that new shards can have, on all usable workers. */
  get room(): number {
    let room = 0
    for (const group of this.#usable) room += group.room
    return room
  }

  /** Whether no usable worker has a core in use. */
  get isIdle(): boolean {
    return this.#usable.every((group) => group.busy === 0)
  }

  get hasUsable(): boolean {
    return this.#usable.length > 0
  }

  add(worker: FleetWorker): void {
    this.#workers.set(worker.workerId, worker)
    this.#join(worker)
  }

  remove(worker: FleetWorker): void {
    this.#workers.delete(worker.workerId)
    this.#leave(worker)
  }

  /** Applies `change` to what decides where a worker stands: bucket, cores, workflows. */
  reclassify(worker: FleetWorker, change: (worker: FleetWorker) => void): void {
    this.#leave(worker)
    change(worker)
    this.#join(worker)
  }

  /** Gives `cores` of a worker out, or takes them back if negative; `slots` is the change of its slots. */
  take(worker: FleetWorker, cores: number, slots = 0): void {
    const { group } = worker
    const roomBefore = worker.room
    const wasBusy = worker.free < worker.total
    worker.free -= cores
    worker.slots += slots
    if (group === null) return
    group.room += worker.room - roomBefore
    group.busy += Number(worker.free < worker.total) - Number(wasBusy)
    group.heap.update(worker)
  }

  /** Where a shard of `cores` goes: buckets in their order, most free cores first, then the smaller id. */
  best(workflow: string | undefined, cores: number, avoid: readonly string[]): FleetWorker | undefined {
    let best: FleetWorker | undefined
    for (const group of this.#usable) {
      if (best !== undefined && group.bucket !== best.bucket) return best
      if (!group.runs(workflow)) continue
      const worker = group.best(cores, avoid)
      if (worker !== undefined && (best === undefined || hasMoreRoom(worker, best))) best = worker
    }
    return best
  }

  /** Cores that a new shard of this workflow can have, on all workers together. */
  roomFor(workflow: string | undefined, avoid: readonly string[]): number {
    let room = 0
    for (const group of this.#usable) if (group.runs(workflow)) room += group.room
    for (const workerId of avoid) {
      const worker = this.#workers.get(workerId)
      if (worker !== undefined && this.#couldRun(worker, workflow, 0)) room -= worker.room
    }
    return room
  }

  /** How many usable workers could ever run a shard of `cores`, apart from those to avoid. */
  countCapable(workflow: string | undefined, cores: number, avoid: readonly string[]): number {
    let count = 0
    for (const group of this.#usable) {
      if (!group.runs(workflow)) continue
      for (const [total, workers] of group.totals) if (total >= cores) count += workers
    }
    for (const workerId of avoid) {
      const worker = this.#workers.get(workerId)
      if (worker !== undefined && this.#couldRun(worker, workflow, cores)) count--
    }
    return count
  }

  /** Whether any worker, usable or not, runs this workflow. */
  isKnown(workflow: string): boolean {
    for (const group of this.#groups.values()) if (group.runs(workflow)) return true
    return false
  }

  /** Whether a usable worker runs this workflow. */
  isRunnable(workflow: string | undefined): boolean {
    return this.#usable.some((group) => group.runs(workflow))
  }

  #couldRun({ group, total, bucket }: FleetWorker, workflow: string | undefined, cores: number): boolean {
    return bucket !== 'unhealthy' && group !== null && group.runs(workflow) && total >= cores
  }

  #join(worker: FleetWorker): void {
    const signature = worker.workflows === undefined ? '*' : JSON.stringify([...new Set(worker.workflows)].sort())
    const key = `${worker.bucket} ${signature}`
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = new WorkerGroup(worker.bucket, signature, worker.workflows)
      this.#groups.set(key, group)
      this.#listUsable()
    }
    worker.group = group
    group.heap.push(worker)
    group.totals.set(worker.total, (group.totals.get(worker.total) ?? 0) + 1)
    group.room += worker.room
    group.busy += Number(worker.free < worker.total)
    this.#revision++
  }

  #leave(worker: FleetWorker): void {
    const { group } = worker
    if (group === null) return
    worker.group = null
    group.heap.remove(worker)
    const sameTotal = (group.totals.get(worker.total) ?? 0) - 1
    if (sameTotal > 0) group.totals.set(worker.total, sameTotal)
    else group.totals.delete(worker.total)
    group.room -= worker.room
    group.busy -= Number(worker.free < worker.total)
    if (group.heap.size === 0) {
      this.#groups.delete(`${group.bucket} ${group.signature}`)
      this.#listUsable()
    }
    this.#revision++
  }

  #listUsable(): void {
    this.#usable = [...this.#groups.values()]
      .filter(({ bucket }) => bucket !== 'unhealthy')
      .sort((a, b) => datacenterHealths.indexOf(a.bucket) - datacenterHealths.indexOf(b.bucket))
  }
}
