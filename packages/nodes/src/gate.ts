/**
 * A gate is where clients submit jobs and watch them. Of several gates one owns a job (`GateJobs`); the others pass
 * submissions on to it, and tell whoever asks where it is. What a gate knows lives in its memory.
 */
import { deepFreeze, HsError, parseOptions, TypedEmitter, type RpcCall } from '@hs/core'
import { parseJobSpec } from '@hs/jobs'
import { RateLimiter } from '@hs/overload'
import * as z from 'zod'
import type { DatacenterSnapshot } from './datacenter-link.js'
import { DatacenterLinks } from './datacenter-links.js'
import { GateCluster } from './gate-cluster.js'
import type { GateJob } from './gate-job.js'
import { GateJobs } from './gate-jobs.js'
import { JobClaims } from './job-claims.js'
import { fingerprintOf, jobIdOf } from './job-id.js'
import { JobPlacement } from './job-placement.js'
import { resultFromWire } from './job-result.js'
import type { JobResult } from './job-types.js'
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
import { MAX_TIER } from './tier-cluster.js'
import { Watchers } from './watchers.js'
import { gateStatus, jobCancel, jobSubmit, jobWatch, submissionCodec, type Submission } from './wire/client-gate.js'
import { refuse, type JobOwner, type Refusal } from './wire/fields.js'
import { gateSync, jobLeader } from './wire/gate-gate.js'
import { jobReport } from './wire/gate-manager.js'
import type { Answer, RequestOf } from './wire/method.js'

export interface GateLimits {
  /** Submissions of one client. @default { limit: 100, perMs: 1_000, burst: 1_000 } */
  submit?: { limit: number; perMs: number; burst: number }
  /** Jobs remembered, those that are over included. @default 10_000 */
  maxJobs?: number
  /** Of one submission, below one frame of the transport. @default 4_000_000 */
  maxJobBytes?: number
  /** Held `job.watch` requests. @default 10_000 */
  maxWatchers?: number
}

export interface GateOptions extends NodeOptions {
  /** Addresses of other gates; some are enough, they tell each other of the rest. @default [] */
  peers?: readonly string[]
  /** How many gates there are to be; the same at all of them. @default peers.length + 1 */
  clusterSize?: number
  /** By name, the addresses of some of its managers. */
  datacenters: Readonly<Record<string, readonly string[]>>
  limits?: GateLimits
  retain?: RetainOptions
}

export interface GateEvents {
  jobAccepted: [jobId: string]
  jobFinished: [JobResult]
  datacenter: [name: string, status: string]
}

export interface GateSnapshot {
  readonly id: string
  readonly address: string
  readonly http: string | null
  readonly gates: number
  readonly quorum: boolean
  readonly datacenters: Readonly<Record<string, DatacenterSnapshot>>
  readonly jobs: { readonly owned: number; readonly copies: number; readonly running: number }
  readonly overload: string
  readonly counters: Readonly<Record<string, number>>
}

const MAX_WAIT_MS = 10_000
/** The first owner of a job. */
const FIRST_FENCE = 1

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      ...nodeShape(),
      peers: z.array(peerAddress()).max(MAX_TIER).default([]),
      clusterSize: z.int().min(1).max(MAX_TIER).optional(),
      datacenters: z
        .record(datacenterName(), z.array(peerAddress()).min(1))
        .refine((o) => Object.keys(o).length > 0, 'expected at least one datacenter'),
      limits: z
        .strictObject({
          submit: z
            .strictObject({ limit: z.number().positive(), perMs: z.number().positive(), burst: z.number().min(1) })
            .default({ limit: 100, perMs: 1_000, burst: 1_000 }),
          maxJobs: z.int().min(1).default(10_000),
          maxJobBytes: z.int().min(1).max(4_000_000).default(4_000_000),
          maxWatchers: z.int().min(1).default(10_000),
        })
        .prefault({}),
      retain: retainOption(),
    })
    .refine(oneNetwork.test, oneNetwork.params))()

/** What a gate has of the others; null at a single one. */
interface Company {
  readonly cluster: GateCluster
  readonly claims: JobClaims
  readonly placement: JobPlacement
}

export class Gate implements Node {
  readonly id: string
  readonly events: TypedEmitter<GateEvents>
  readonly #options: z.output<typeof schema>
  readonly #life: NodeLife
  readonly #watchers: Watchers
  readonly #counters = { accepted: 0, repeated: 0, conflicts: 0 }
  #jobs: GateJobs | undefined
  #links: DatacenterLinks | undefined
  #company: Company | null = null
  #synced = false

  /** @throws ConfigError */
  constructor(options: GateOptions) {
    const parsed = parseOptions(schema, options, 'Gate')
    this.#options = parsed
    this.id = parsed.id
    const { clock, random, logger } = parsed
    const rates = { [jobSubmit.name]: parsed.limits.submit }
    this.#life = new NodeLife('Gate', parsed, { limiter: new RateLimiter({ clock, random, logger, rates }) })
    this.events = new TypedEmitter(`Gate ${this.id}`, this.#life.reporter)
    this.#watchers = new Watchers(this.#life.runtime.clock, parsed.limits.maxWatchers)
  }

  get address(): string {
    return this.#life.address
  }

  start(): Promise<void> {
    return this.#life.open((peer) => this.#begin(peer))
  }

  /**
   * It has learned from its peers who owns what, sees a majority of the gates, and the leader of every datacenter has
   * answered; after `staleNodeMs` that of one is enough.
   */
  ready(options?: ReadyOptions): Promise<void> {
    return this.#life.ready(options, () => this.#synced && this.#hasQuorum && this.#links?.ready === true)
  }

  stop(): Promise<void> {
    return this.#life.close(async () => {
      await this.#halt()
      await this.#company?.cluster.leave()
    })
  }

  kill(): Promise<void> {
    return this.#life.close(async () => {
      await this.#halt()
      await this.#company?.cluster.crash()
    })
  }

  snapshot(): GateSnapshot {
    return deepFreeze({
      id: this.id,
      address: this.address,
      http: null,
      gates: this.#company?.cluster.size ?? 1,
      quorum: this.#hasQuorum,
      datacenters: this.#links?.facts() ?? {},
      jobs: { owned: this.#jobs?.size ?? 0, copies: 0, running: this.#jobs?.running ?? 0 },
      overload: this.#life.load.state,
      counters: {
        ...this.#counters,
        duplicates: 0,
        forgotten: 0,
        ...this.#jobs?.counters,
        ...this.#links?.counters,
        forwarded: this.#company?.placement.forwarded ?? 0,
        watchers: this.#watchers.count,
        malformed: this.#life.started ? this.#life.peer.malformed : 0,
      },
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  get #hasQuorum(): boolean {
    return !this.#life.over && this.#company?.cluster.hasQuorum !== false
  }

  async #begin(peer: RpcPeer): Promise<void> {
    const { datacenters, limits, retain } = this.#options
    const links = new DatacenterLinks({
      life: this.#life,
      datacenters,
      onLeader: (name) => this.#jobs?.reconsider(name),
      onStatus: (name, status) => this.events.emit('datacenter', name, status),
    })
    const jobs = new GateJobs({
      life: this.#life,
      links,
      watchers: this.#watchers,
      maxJobs: limits.maxJobs,
      retain,
      onFinished: (result) => {
        if (this.events.listenerCount('jobFinished') > 0) this.events.emit('jobFinished', resultFromWire(result))
      },
      onForgotten: (jobId) => this.#company?.claims.release(jobId),
    })
    this.#links = links
    this.#jobs = jobs
    peer.serve(jobSubmit, (request) => this.#submit(request, jobs, links), {
      // What another gate passes on was charged there.
      clientOf: ({ hops }, { nodeId, address }) => (hops > 0 ? undefined : nodeId || address),
    })
    peer.serve(jobWatch, (request, call) => this.#watch(request, call))
    peer.serve(jobCancel, (request) => this.#cancel(request, jobs))
    peer.serve(jobReport, (request) => jobs.report(request) ?? this.#elsewhere(request.jobId))
    peer.serve(gateStatus, () => ({
      ok: true,
      datacenters: Array.from(links.values(), (link) => {
        const { status, freeCores, totalCores } = link.facts()
        return { name: link.name, status, freeCores, totalCores }
      }),
    }))
    await this.#join(peer, jobs)
  }

  async #join(peer: RpcPeer, jobs: GateJobs): Promise<void> {
    const { cluster, peers, clusterSize = peers.length + 1, limits } = this.#options
    const { scope } = this.#life
    if (clusterSize === 1) {
      this.#synced = true
      return
    }
    const gates: GateCluster = new GateCluster({
      life: this.#life,
      cluster,
      peers,
      size: clusterSize,
      onJoined: (name) => claims.joined(name),
      onGone: (name, restarted) => {
        claims.left(name)
        if (restarted) claims.forget(name)
      },
    })
    const claims = new JobClaims({
      life: this.#life,
      maxClaims: 2 * clusterSize * limits.maxJobs, // those of gates that are gone included
      others: () => gates.others,
      onBeaten: (jobId, by) => jobs.handOver(jobId, by),
    })
    this.#company = { cluster: gates, claims, placement: new JobPlacement(this.#life, gates, claims) }
    peer.serve(jobLeader, (request) => claims.heard(request))
    peer.serve(gateSync, (request) => claims.page(request))
    await gates.start()
    scope.spawn('sync', async (signal) => {
      const others = peers.filter((address) => address !== this.address)
      await Promise.all(others.map((address) => claims.pull(address, signal)))
      this.#synced = true
      this.#life.changed.notify()
    })
  }

  // ---- submission

  #submit(request: RequestOf<typeof jobSubmit>, jobs: GateJobs, links: DatacenterLinks) {
    const { maxJobBytes } = this.#options.limits
    const { key, submission } = request
    if (submission.length > maxJobBytes)
      return refuse('MESSAGE_TOO_LARGE', `a job may take ${maxJobBytes} bytes, this one takes ${submission.length}`)
    const jobId = jobIdOf(this.#options.cluster, key)
    if (this.#company === null || jobs.get(jobId) !== undefined) return this.#take(jobId, request, jobs, links)
    return this.#company.placement
      .place(jobId, request)
      .then((placed) => (placed === 'here' ? this.#take(jobId, request, jobs, links) : placed))
  }

  /** This gate owns the job, or is to own it. */
  #take(
    jobId: string,
    { submission: bytes, reader }: RequestOf<typeof jobSubmit>,
    jobs: GateJobs,
    links: DatacenterLinks,
  ): Answer<{ jobId: string; owner: JobOwner }> {
    const fingerprint = fingerprintOf(bytes)
    const known = jobs.get(jobId)
    if (known !== undefined) return this.#repeated(known, fingerprint, reader)
    const submission = submissionCodec.decode(bytes)
    const invalid = invalidity(jobId, submission)
    if (invalid !== null) return refuse('INVALID_JOB', invalid)
    if (this.#life.over) return refuse('NODE_STOPPED', `${this.id} is stopped`)
    if (!jobs.makeRoom())
      return refuse('OVERLOADED', `${this.id} has all the jobs that it takes`, {
        retryAfterMs: this.#life.timing.heartbeatMs,
      })
    const chosen = links.choose(submission.datacenters)
    if ('ok' in chosen) return chosen

    const owner: JobOwner = { gateId: this.id, address: this.address, fence: FIRST_FENCE }
    const job = jobs.create(jobId, fingerprint, submission, chosen, owner)
    this.#company?.claims.claim(jobId, owner)
    job.ring.seen(reader, 0, job.createdAtMs)
    this.#counters.accepted++
    this.events.emit('jobAccepted', jobId)
    return { ok: true, jobId, owner }
  }

  /** The same job again, or another one under its key. */
  #repeated(job: GateJob, fingerprint: string, reader: string) {
    if (job.fingerprint !== fingerprint) {
      this.#counters.conflicts++
      return refuse('IDEMPOTENCY_CONFLICT', `${job.jobId} was submitted under this key with other content`)
    }
    this.#counters.repeated++
    job.ring.seen(reader, 0, this.#life.runtime.clock.now())
    return { ok: true as const, jobId: job.jobId, owner: job.owner }
  }

  /** Not here; and who has it, if that is known. */
  #elsewhere(jobId: string): Refusal {
    const owner = this.#company?.claims.ownerOf(jobId)
    if (owner === undefined || owner.gateId === this.id)
      return refuse('JOB_NOT_FOUND', `${this.id} does not know ${jobId}`)
    return refuse('JOB_NOT_FOUND', `${owner.gateId} owns ${jobId}`, { owner })
  }

  // ---- watching

  async #watch({ jobId, reader, cursor, waitMs }: RequestOf<typeof jobWatch>, call: RpcCall) {
    const { clock } = this.#life.runtime
    const job = this.#jobs?.get(jobId)
    if (job === undefined) return this.#elsewhere(jobId)
    job.ring.seen(reader, cursor, clock.now())
    if (!job.ring.hasAfter(cursor)) {
      if (this.#watchers.full)
        return refuse('OVERLOADED', `${this.id} holds all the watches that it can`, {
          retryAfterMs: this.#life.timing.heartbeatMs,
        })
      await this.#watchers.wait(jobId, Math.min(waitMs, MAX_WAIT_MS), call.signal)
      if (this.#life.over) return refuse('NODE_STOPPED', `${this.id} is stopped`)
      if (this.#jobs?.get(jobId) !== job) return this.#elsewhere(jobId)
    }
    const page = job.ring.read(cursor)
    job.ring.seen(reader, page.cursor, clock.now())
    return { ok: true as const, ...page, owner: job.owner }
  }

  #cancel({ jobId, workflowId, reason }: RequestOf<typeof jobCancel>, jobs: GateJobs) {
    const job = jobs.get(jobId)
    if (job === undefined) return this.#elsewhere(jobId)
    const why = reason === undefined ? {} : { reason }
    if (workflowId !== undefined) {
      if (!job.submission.workflows.some(({ id }) => id === workflowId))
        return refuse('INVALID_JOB', `${jobId} has no step ${workflowId}`)
      if (job.over) return { ok: true as const, status: 'already-finished' as const }
      for (const target of job.targets.values()) target.assignment.cancel({ workflowId, ...why })
      return { ok: true as const, status: 'cancelling' as const }
    }
    const { status, notify } = job.global.cancel(reason)
    for (const datacenter of notify) job.targets.get(datacenter)?.assignment.cancel(why)
    jobs.check(job)
    return { ok: true as const, status }
  }

  async #halt(): Promise<void> {
    this.#company?.claims.stop()
    this.#jobs?.stop()
    this.#watchers.wakeAll()
    await this.#links?.stop()
  }
}

/** What is wrong with the job as a whole, or null. */
function invalidity(jobId: string, { workflows, tenant, timeoutMs, stuckMs }: Submission): string | null {
  try {
    parseJobSpec({ jobId, workflows, timeoutMs, ...(tenant && { tenant }), ...(stuckMs !== undefined && { stuckMs }) })
    return null
  } catch (error) {
    if (HsError.is(error)) return error.message
    throw error
  }
}
