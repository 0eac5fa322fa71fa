/**
 * A manager of a datacenter: one of them leads, schedules jobs on workers and reports to gates (`DatacenterLeader`); the
 * others stand by, tell whoever asks who leads, and take over when that one is gone.
 */
import { deepFreeze, parseOptions, TypedEmitter, type Disk } from '@hs/core'
import { FederatedResponder, type ResponderReport } from '@hs/health'
import type { DcJobResult, JobSchedulerOptions } from '@hs/jobs'
import * as z from 'zod'
import { DatacenterLeader, type ManagerCounters } from './datacenter-leader.js'
import { DatacenterState } from './datacenter-state.js'
import type { ManagerAlert, ManagerCount } from './leader-health.js'
import { ManagerCluster } from './manager-cluster.js'
import { ManagerPeers } from './manager-peers.js'
import { NodeLife } from './node-life.js'
import {
  datacenterName,
  type NodeOptions,
  nodeShape,
  oneNetwork,
  peerAddress,
  retainOption,
  type RetainOptions,
} from './node-options.js'
import type { Node, ReadyOptions } from './node.js'
import type { RpcPeer } from './rpc-peer.js'
import { MAX_TIER, PROBE_CHANNEL } from './tier-cluster.js'
import { jobCancel } from './wire/client-gate.js'
import { refuse, type Refusal } from './wire/fields.js'
import { jobAssign, jobForget, managerStatus } from './wire/gate-manager.js'
import { workerExtend, workerRegister, workerReport } from './wire/manager-worker.js'

export interface ManagerLimits {
  /** @default 10_000 */
  maxJobs?: number
  /** @default 10_000 */
  maxWorkers?: number
}

export interface ManagerOptions extends NodeOptions {
  datacenter: string
  /** Addresses of the other managers of the datacenter. @default [] */
  peers?: readonly string[]
  /** How many managers the datacenter is to have; the same at all of them. @default peers.length + 1 */
  clusterSize?: number
  /** Keeps votes over restarts. Without it, do not restart a majority of the managers at once. */
  disk?: Disk
  scheduler?: Partial<Pick<JobSchedulerOptions, 'maxAttempts' | 'backoff' | 'agingMs'>>
  limits?: ManagerLimits
  retain?: RetainOptions
}

export interface ManagerEvents {
  leaderChanged: [{ leaderId: string | null; term: number }]
  workerRegistered: [id: string]
  workerLost: [id: string, why: string]
  jobFinished: [DcJobResult]
  /** While this manager leads: of its workers and of the managers, each once a transition. */
  alert: [ManagerAlert]
}

export interface ManagerSnapshot {
  readonly id: string
  readonly address: string
  readonly http: string | null
  readonly datacenter: string
  readonly leaderId: string | null
  readonly isLeader: boolean
  readonly term: number
  readonly managers: number
  readonly workers: number
  readonly totalCores: number
  readonly freeCores: number
  readonly jobs: number
  readonly shards: number
  readonly overload: string
  readonly counters: Readonly<Record<string, number>>
}

/** Before any leader has spoken. */
const NOTHING = Object.freeze({ workers: 0, workersHealthy: 0, coresAvailable: 0, coresTotal: 0 })

const isDisk = (x: unknown): boolean => typeof (x as Disk | null)?.open === 'function'

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      ...nodeShape(),
      datacenter: datacenterName(),
      peers: z.array(peerAddress()).max(MAX_TIER).default([]),
      clusterSize: z.int().min(1).max(MAX_TIER).optional(),
      disk: z.custom<Disk>(isDisk, 'expected a Disk').optional(),
      scheduler: z
        .strictObject({
          maxAttempts: z.int().min(1).optional(),
          backoff: z.strictObject({ baseMs: z.number().positive(), maxMs: z.number().positive() }).optional(),
          agingMs: z.number().positive().optional(),
        })
        .default({}),
      limits: z
        .strictObject({
          maxJobs: z.int().min(1).default(10_000),
          maxWorkers: z.int().min(1).default(10_000),
        })
        .prefault({}),
      retain: retainOption(),
    })
    .refine(oneNetwork.test, oneNetwork.params))()

export class Manager implements Node {
  readonly id: string
  readonly events: TypedEmitter<ManagerEvents>
  readonly #options: z.output<typeof schema>
  readonly #life: NodeLife
  readonly #counters: ManagerCounters = { accepted: 0, workersLost: 0, staleResults: 0 }
  /** Null where this is the only one. */
  #cluster: ManagerCluster | null = null
  /** What the managers know together; null where this is the only one. */
  #state: DatacenterState | null = null
  /** Set while this one leads. */
  #leading: DatacenterLeader | undefined

  /** @throws ConfigError */
  constructor(options: ManagerOptions) {
    const parsed = parseOptions(schema, options, 'Manager')
    this.#options = parsed
    this.id = parsed.id
    this.#life = new NodeLife('Manager', parsed)
    this.events = new TypedEmitter(`Manager ${this.id}`, this.#life.reporter)
  }

  get address(): string {
    return this.#life.address
  }

  /** At this very moment, however late the news of a loss are. */
  get isLeader(): boolean {
    return this.#leader !== undefined
  }

  /** @throws (as a rejection) as of every node, and HsError `'ELECTION_STATE_CORRUPT'` */
  start(): Promise<void> {
    return this.#life.open((peer) => this.#begin(peer))
  }

  /** It leads, or knows who does. */
  ready(options?: ReadyOptions): Promise<void> {
    return this.#life.ready(options, () => this.isLeader || this.#cluster?.leader != null)
  }

  /** Steps down: nothing it dispatched is aborted, workers carry it to the next leader. */
  stop(): Promise<void> {
    return this.#life.close(async () => {
      await this.#cluster?.leave()
      this.#abdicate()
    })
  }

  kill(): Promise<void> {
    return this.#life.close(async () => {
      await this.#cluster?.crash()
      this.#abdicate()
    })
  }

  snapshot(): ManagerSnapshot {
    const leader = this.#leader
    const scheduler = leader?.scheduler.snapshot()
    return deepFreeze({
      id: this.id,
      address: this.address,
      http: null,
      datacenter: this.#options.datacenter,
      leaderId: leader === undefined ? (this.#cluster?.leader?.name ?? null) : this.id,
      isLeader: leader !== undefined,
      term: leader?.term ?? this.#cluster?.term ?? 0,
      managers: this.#cluster?.size ?? 1,
      workers: leader?.workers ?? this.#state?.workers.size ?? 0,
      totalCores: scheduler?.totalCores ?? 0,
      freeCores: scheduler?.freeCores ?? 0,
      jobs: leader?.jobs ?? 0,
      shards: scheduler?.shards ?? 0,
      overload: this.#life.load.state,
      counters: {
        ...scheduler?.counters,
        ...this.#counters,
        malformed: this.#life.started ? this.#life.peer.malformed : 0,
      },
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  get #managers(): ManagerCount {
    const { peers, clusterSize = peers.length + 1 } = this.#options
    return { managers: clusterSize, managersAlive: this.#cluster?.size ?? 1 }
  }

  get #leader(): DatacenterLeader | undefined {
    if (this.#life.over || this.#cluster?.leads === false) return undefined
    return this.#leading
  }

  async #begin(peer: RpcPeer): Promise<void> {
    const { cluster, datacenter, peers, clusterSize = peers.length + 1, disk } = this.#options
    peer.serve(workerRegister, (request) => this.#led((leader) => leader.register(request)))
    peer.serve(workerReport, (request) => this.#led((leader) => leader.report(request)))
    peer.serve(workerExtend, (request) => this.#led((leader) => leader.extend(request)))
    peer.serve(jobAssign, (request) => this.#led((leader) => leader.assign(request)))
    peer.serve(jobCancel, (request) => this.#led((leader) => leader.cancel(request)))
    peer.serve(jobForget, ({ jobIds }) => this.#led((leader) => leader.forget(jobIds)))
    peer.serve(managerStatus, (request) => this.#led((leader) => leader.status(request, this.#cluster?.size ?? 1)))
    this.#answerProbes()
    if (clusterSize === 1) {
      this.#lead(1)
      return
    }
    this.#state = new DatacenterState()
    new ManagerPeers(this.#life, this.#state, () => this.#leader !== undefined).serve(peer)
    this.#cluster = new ManagerCluster({
      life: this.#life,
      cluster,
      datacenter,
      peers,
      size: clusterSize,
      disk,
      onAcquired: ({ term }) => this.#lead(term),
      onLost: () => this.#abdicate(),
      onElected: (leaderId, term) => {
        this.events.emit('leaderChanged', { leaderId, term })
        this.#life.changed.notify()
      },
    })
    await this.#cluster.start()
  }

  /** Of gates: how the datacenter is, and who leads it (channel 1 of the datagrams). */
  #answerProbes(): void {
    new FederatedResponder({
      ...this.#life.runtime,
      transport: this.#life.datagrams.channel(PROBE_CHANNEL),
      datacenter: this.#options.datacenter,
      node: this.id,
      report: () => this.#report(),
    })
  }

  #report(): ResponderReport {
    const { generation: incarnation } = this.#life
    const leader = this.#leader
    if (leader !== undefined) return { incarnation, leader: true, term: leader.term, facts: leader.facts() }
    const known = this.#cluster?.leader?.ref
    const term = Math.max(this.#cluster?.term ?? 0, this.#state?.leader?.term ?? 0)
    const facts = { ...(this.#state?.facts ?? NOTHING), ...this.#managers }
    const isOther = known !== undefined && known.id !== this.#life.nodeId
    return { incarnation, leader: false, term, facts, ...(isOther && { leaderAddress: known.address }) }
  }

  /** What the leader answers; a refusal if this one is none. */
  #led<A>(answer: (leader: DatacenterLeader) => A): A | Refusal {
    const leader = this.#leader
    if (leader !== undefined) return answer(leader)
    const known = this.#cluster?.leader?.ref
    return refuse(
      'NOT_LEADER',
      `${this.id} does not lead ${this.#options.datacenter}`,
      known === undefined || known.id === this.#life.nodeId ? {} : { leader: known },
    )
  }

  #lead(term: number): void {
    const { datacenter, scheduler, limits, retain } = this.#options
    this.#leading?.close()
    this.#leading = new DatacenterLeader({
      life: this.#life,
      datacenter,
      term,
      scheduler: defined(scheduler),
      limits,
      retain,
      counters: this.#counters,
      state: this.#state,
      peers: () => this.#cluster?.peers ?? [],
      leads: () => !this.#life.over && this.#cluster?.leads !== false,
      onTerm: (risen) => this.events.emit('leaderChanged', { leaderId: this.id, term: risen }),
      onWorkerRegistered: (workerId) => this.events.emit('workerRegistered', workerId),
      onWorkerLost: (workerId, why) => {
        this.#counters.workersLost++
        this.events.emit('workerLost', workerId, why)
      },
      managers: () => this.#managers,
      onAlert: (alert) => this.events.emit('alert', alert),
      onJobFinished: (result) => this.events.emit('jobFinished', result),
    })
    this.events.emit('leaderChanged', { leaderId: this.id, term })
    this.#life.changed.notify()
  }

  /** In one step: from now on every answer is that this one does not lead. */
  #abdicate(): void {
    const leader = this.#leading
    if (leader === undefined) return
    this.#leading = undefined
    leader.close()
    this.events.emit('leaderChanged', { leaderId: null, term: leader.term })
  }
}

/** Absent where it is undefined, as exact optional types want it. */
function defined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}
