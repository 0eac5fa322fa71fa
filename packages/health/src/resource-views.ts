/**
 * What a datacenter's workers use, as its managers see it together. Each worker names the one manager that counts it, so
 * no total counts a worker twice. The order of reports is that of their sender's numbers, their age that of receipt: no
 * two machines' clocks are compared.
 */
import { BoundedMap, parseOptions, runtimeShape, type Clock, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { amount, decode, isNewer, natural } from './decode.js'

export interface ResourceTotals {
  readonly coresUsed: number
  readonly coresTotal: number
  /** In whichever unit all agree on. */
  readonly memoryUsed: number
  readonly memoryTotal: number
}

/** What a worker says of itself. */
export interface WorkerResourceReport extends ResourceTotals {
  readonly worker: string
  /** The one manager that counts it. */
  readonly owner: string
  /** The generation of its `NodeId`. */
  readonly incarnation: number
  /** Rises with each report of a life. */
  readonly seq: number
}

/** What a manager says of the workers that it counts: gossip payload. */
export interface ManagerResourceView extends ResourceTotals {
  readonly manager: string
  readonly datacenter: string
  /** The generation of its `NodeId`. */
  readonly incarnation: number
  /** Rises with each view of a life. */
  readonly seq: number
  /** How many it counts. */
  readonly workers: number
}

export interface ClusterResources extends ResourceTotals {
  readonly datacenter: string
  /** This one, and those heard of lately. */
  readonly managers: number
  readonly workers: number
  /** Used by total; 0 where there is nothing. */
  readonly cpuPressure: number
  readonly memoryPressure: number
}

export interface ResourceViewsOptions extends RuntimeOptions {
  /** This manager. */
  self: string
  datacenter: string
  /** Of this manager: the generation of its `NodeId`, an integer from 0. @default 0 */
  incarnation?: number
  /** What was received longer ago counts as absent, in milliseconds, above 0. @default 30_000 */
  staleMs?: number
  /** Workers remembered, at least 1; the one longest silent goes. @default 10_000 */
  maxWorkers?: number
  /** Other managers remembered, at least 1; the one longest silent goes. @default 1_000 */
  maxPeers?: number
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    self: z.string().min(1),
    datacenter: z.string().min(1),
    incarnation: natural().default(0),
    staleMs: z.number().positive().default(30_000),
    maxWorkers: z.int().min(1).default(10_000),
    maxPeers: z.int().min(1).default(1_000),
  }))()

const totals = /* @__PURE__ */ (() => ({
  coresUsed: amount(),
  coresTotal: amount(),
  memoryUsed: amount(),
  memoryTotal: amount(),
  incarnation: natural(),
  seq: natural(),
}))()

const workerSchema: z.ZodType<WorkerResourceReport> = /* @__PURE__ */ (() =>
  z.object({ worker: z.string().min(1), owner: z.string().min(1), ...totals }))()

const viewSchema: z.ZodType<ManagerResourceView> = /* @__PURE__ */ (() =>
  z.object({ manager: z.string().min(1), datacenter: z.string().min(1), workers: natural(), ...totals }))()

interface Received<T> {
  readonly said: T
  readonly atMs: number
}

/** Sums, in place. */
class Sum implements ResourceTotals {
  coresUsed = 0
  coresTotal = 0
  memoryUsed = 0
  memoryTotal = 0
  workers = 0

  add(totals: ResourceTotals, workers: number): void {
    this.coresUsed += totals.coresUsed
    this.coresTotal += totals.coresTotal
    this.memoryUsed += totals.memoryUsed
    this.memoryTotal += totals.memoryTotal
    this.workers += workers
  }

  get totals(): ResourceTotals {
    const { coresUsed, coresTotal, memoryUsed, memoryTotal } = this
    return { coresUsed, coresTotal, memoryUsed, memoryTotal }
  }
}

/** One on each manager. */
export class ResourceViews {
  readonly #clock: Clock
  readonly #self: string
  readonly #datacenter: string
  readonly #incarnation: number
  readonly #staleMs: number
  readonly #workers: BoundedMap<string, Received<WorkerResourceReport>>
  readonly #peers: BoundedMap<string, Received<ManagerResourceView>>
  #seq = 0

  /** @throws ConfigError */
  constructor(options: ResourceViewsOptions) {
    const settings = parseOptions(schema, options, 'ResourceViews')
    const { clock, random, logger, maxWorkers, maxPeers } = settings
    const runtime = { clock, random, logger }
    this.#clock = clock
    this.#self = settings.self
    this.#datacenter = settings.datacenter
    this.#incarnation = settings.incarnation
    this.#staleMs = settings.staleMs
    this.#workers = new BoundedMap({ ...runtime, maxEntries: maxWorkers })
    this.#peers = new BoundedMap({ ...runtime, maxEntries: maxPeers })
  }

  /**
   * Takes what a worker says. False: no newer than what is known.
   * @throws DecodeError if it is malformed
   */
  applyWorker(report: WorkerResourceReport): boolean {
    const said = decode(workerSchema, report, 'A resource report of a worker')
    return this.#apply(this.#workers, said.worker, said)
  }

  /**
   * Takes what another manager says. False: no newer than what is known, or from this manager itself.
   * @throws DecodeError if it is malformed
   */
  applyPeer(view: ManagerResourceView): boolean {
    const said = decode(viewSchema, view, 'A resource view of a manager')
    return said.manager !== this.#self && this.#apply(this.#peers, said.manager, said)
  }

  /** The workers that this manager counts, to be told to the others: every call is a newer view. */
  local(): ManagerResourceView {
    const sum = this.#sumOfWorkers(this.#clock.now())
    return Object.freeze({
      manager: this.#self,
      datacenter: this.#datacenter,
      incarnation: this.#incarnation,
      seq: ++this.#seq,
      workers: sum.workers,
      ...sum.totals,
    })
  }

  /** The whole datacenter: this manager's workers, and those of the others in it. */
  cluster(): ClusterResources {
    const nowMs = this.#clock.now()
    const sum = this.#sumOfWorkers(nowMs)
    let managers = 1
    for (const [, { said, atMs }] of this.#peers) {
      if (said.datacenter !== this.#datacenter || this.#isStale(atMs, nowMs)) continue
      sum.add(said, said.workers)
      managers++
    }
    return Object.freeze({
      datacenter: this.#datacenter,
      managers,
      workers: sum.workers,
      ...sum.totals,
      cpuPressure: pressure(sum.coresUsed, sum.coresTotal),
      memoryPressure: pressure(sum.memoryUsed, sum.memoryTotal),
    })
  }

  /** True if it was there. */
  forgetWorker(worker: string): boolean {
    return this.#workers.delete(worker)
  }

  /** True if it was there. */
  forgetPeer(manager: string): boolean {
    return this.#peers.delete(manager)
  }

  #apply<T extends { readonly incarnation: number; readonly seq: number }>(
    known: BoundedMap<string, Received<T>>,
    name: string,
    said: T,
  ): boolean {
    if (!isNewer(known.peek(name)?.said, said)) return false
    known.set(name, { said, atMs: this.#clock.now() })
    return true
  }

  #sumOfWorkers(nowMs: number): Sum {
    const sum = new Sum()
    for (const [, { said, atMs }] of this.#workers) {
      if (said.owner === this.#self && !this.#isStale(atMs, nowMs)) sum.add(said, 1)
    }
    return sum
  }

  #isStale(atMs: number, nowMs: number): boolean {
    return nowMs - atMs > this.#staleMs
  }
}

function pressure(used: number, total: number): number {
  return total === 0 ? 0 : used / total
}
