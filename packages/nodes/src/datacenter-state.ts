/**
 * What a datacenter knows, whoever leads it: its workers, and its jobs with what gates have taken over of them. The
 * leader writes it and tells its peers, so that another one can lead in its place; it outlives every leadership.
 *
 * A job's record is numbered: changes apply only to the version that they follow, and whoever has missed one asks for
 * the whole record. Of two records of a worker the higher incarnation stands.
 */
import type { DatacenterFacts } from '@hs/health'
import type { DcJobSnapshot } from '@hs/jobs'
import { KnownJob } from './known-job.js'
import type { JobOwner, LeaderRef } from './wire/fields.js'
import type { Assignment } from './wire/gate-manager.js'
import type { JobEntry, StateMessage, WorkerEntry } from './wire/manager-manager.js'
import type { ShardResultWire } from './wire/shard-result.js'

type Verdict = 'stale' | { readonly missing: readonly string[] }

export class DatacenterState {
  readonly #workers = new Map<string, WorkerEntry>()
  readonly #jobs = new Map<string, KnownJob>()
  /** Of these peers were not told yet. */
  readonly #news = { workers: new Set<string>(), lost: new Set<string>(), jobs: new Set<string>() }
  readonly #forgotten = new Set<string>()
  #leader: LeaderRef | null = null
  /** Of the leader, when it spoke last. */
  #told: DatacenterFacts | null = null
  /** Of this manager, while it leads. */
  #own: (() => DatacenterFacts) | null = null
  #onNews: (() => void) | null = null

  /** By name. */
  get workers(): ReadonlyMap<string, WorkerEntry> {
    return this.#workers
  }

  /** By id. */
  get jobs(): ReadonlyMap<string, KnownJob> {
    return this.#jobs
  }

  /** Of the highest term that was heard of. */
  get leader(): LeaderRef | null {
    return this.#leader
  }

  /** How the datacenter is, by its leader's word; null where none has spoken. */
  get facts(): DatacenterFacts | null {
    return this.#own?.() ?? this.#told
  }

  /** The same by the word of the leader before, while this manager leads. */
  get factsBefore(): DatacenterFacts | null {
    return this.#told
  }

  // ---- the leader writes

  /** This manager leads: `onNews` is called whenever there is something to tell, `facts` whenever it is told. */
  lead(leader: LeaderRef, onNews: () => void, facts: () => DatacenterFacts): void {
    this.#own = facts
    this.#leader = leader
    this.#onNews = onNews
    this.#toldAll()
  }

  /** It leads no more; what it knows stays. */
  follow(): void {
    this.#told = this.facts
    this.#own = null
    this.#onNews = null
    this.#toldAll()
  }

  /** Under a higher term. */
  rise(leader: LeaderRef): void {
    this.#leader = leader
  }

  workerRegistered(entry: WorkerEntry): void {
    const known = this.#workers.get(entry.workerId)
    if (known?.incarnation === entry.incarnation && known.address === entry.address) return
    this.#workers.set(entry.workerId, entry)
    this.#news.lost.delete(entry.workerId)
    this.#note(this.#news.workers, entry.workerId)
  }

  workerLost(workerId: string): void {
    if (!this.#workers.delete(workerId)) return
    this.#news.workers.delete(workerId)
    this.#note(this.#news.lost, workerId)
  }

  jobAssigned(assignment: Assignment, owner: JobOwner, nowMs: number): void {
    const { jobId } = assignment.spec
    const known = this.#jobs.get(jobId)
    if (known === undefined) this.#jobs.set(jobId, new KnownJob(assignment, owner, nowMs))
    else {
      known.own(owner)
      known.prolong(assignment.spec, nowMs)
      known.plan(assignment.plans)
      for (const result of assignment.settled) known.settle(result)
    }
    this.#forgotten.delete(jobId)
    this.#note(this.#news.jobs, jobId)
  }

  jobOwned(jobId: string, owner: JobOwner): void {
    if (this.#jobs.get(jobId)?.own(owner) === true) this.#note(this.#news.jobs, jobId)
  }

  /** Its gate has this result. */
  jobSettled(jobId: string, result: ShardResultWire): void {
    if (this.#jobs.get(jobId)?.settle(result) === true) this.#note(this.#news.jobs, jobId)
  }

  jobProgressed(snapshot: DcJobSnapshot): void {
    const job = this.#jobs.get(snapshot.jobId)
    if (job === undefined) return
    job.progress(snapshot)
    this.#note(this.#news.jobs, snapshot.jobId)
  }

  /** Nobody needs it any more: its gate has all of it, or wants nothing of it. */
  jobForgotten(jobId: string): void {
    if (!this.#jobs.delete(jobId)) return
    this.#news.jobs.delete(jobId)
    this.#note(this.#forgotten, jobId)
  }

  // ---- messages

  /** What peers were not told yet, which they are told by this. Null if there is nothing. */
  news(nowMs: number): StateMessage | null {
    const { workers, lost, jobs } = this.#news
    const message = {
      leader: this.#leader,
      whole: false,
      workers: [...workers].flatMap((id) => this.#workers.get(id) ?? []),
      lost: [...lost],
      jobs: [...jobs].flatMap((id) => this.#jobs.get(id)?.news(nowMs) ?? []),
      forgotten: [...this.#forgotten],
    }
    for (const told of [workers, lost, jobs, this.#forgotten]) told.clear()
    const { workers: found, lost: gone, jobs: changed, forgotten } = message
    return [found, gone, changed, forgotten].every((list) => list.length === 0) ? null : message
  }

  /** All workers, and of each job its version: who has missed something asks for it. */
  index(): StateMessage {
    const jobs = Array.from(this.#jobs.values(), (job) => job.mention())
    return this.#message({ whole: true, workers: [...this.#workers.values()], jobs })
  }

  /** Everything. */
  all(nowMs: number): StateMessage {
    const jobs = Array.from(this.#jobs.values(), (job) => job.whole(nowMs))
    return this.#message({ whole: true, workers: [...this.#workers.values()], jobs })
  }

  /** These jobs, whole. */
  records(jobIds: readonly string[], nowMs: number): StateMessage {
    const jobs = jobIds.flatMap((id) => this.#jobs.get(id)?.whole(nowMs) ?? [])
    return this.#message({ whole: false, workers: [], jobs })
  }

  /** What a leader tells. One of a lower term than was heard of is none any more. */
  apply({ whole, facts, workers, lost, jobs, forgotten }: StateMessage, leader: LeaderRef, nowMs: number): Verdict {
    const known = this.#leader
    if (known !== null && leader.term < known.term) return 'stale'
    if (known === null || leader.term > known.term || leader.id !== known.id) {
      this.#leader = leader
      for (const job of this.#jobs.values()) job.forgetVersion()
    }
    if (facts !== undefined) this.#told = facts
    if (whole) {
      const listed = new Set(workers.map(({ workerId }) => workerId))
      for (const workerId of this.#workers.keys()) if (!listed.has(workerId)) this.#workers.delete(workerId)
      const wanted = new Set(jobs.map(({ jobId }) => jobId))
      for (const jobId of this.#jobs.keys()) if (!wanted.has(jobId)) this.#jobs.delete(jobId)
    }
    for (const worker of workers) this.#addWorker(worker)
    for (const workerId of lost) this.#workers.delete(workerId)
    for (const jobId of forgotten) this.#jobs.delete(jobId)
    return { missing: jobs.filter((entry) => !this.#applyJob(entry, nowMs)).map(({ jobId }) => jobId) }
  }

  /** What a peer answers to a new leader: it may know more, or of an earlier leader. */
  join({ leader, workers, jobs }: StateMessage, nowMs: number): void {
    if (leader !== null && leader.term > (this.#leader?.term ?? -1)) this.#leader = leader
    for (const worker of workers) this.#addWorker(worker)
    for (const entry of jobs) {
      const known = this.#jobs.get(entry.jobId)
      if (known !== undefined) known.join(entry)
      else this.#create(entry, nowMs)
    }
  }

  #applyJob(entry: JobEntry, nowMs: number): boolean {
    const known = this.#jobs.get(entry.jobId)
    return known === undefined ? this.#create(entry, nowMs) : known.merge(entry)
  }

  #create(entry: JobEntry, nowMs: number): boolean {
    const { jobId, owner, spec, settled, plans } = entry
    if (spec === undefined) return false
    const job = new KnownJob({ spec, settled, plans }, owner, nowMs)
    this.#jobs.set(jobId, job)
    return job.merge(entry)
  }

  /** A lower incarnation is refused. */
  #addWorker(entry: WorkerEntry): void {
    if (entry.incarnation >= (this.#workers.get(entry.workerId)?.incarnation ?? 0))
      this.#workers.set(entry.workerId, entry)
  }

  #message(told: Pick<StateMessage, 'whole' | 'workers' | 'jobs'>): StateMessage {
    const { facts } = this
    return { leader: this.#leader, lost: [], forgotten: [], ...(facts !== null && { facts }), ...told }
  }

  #note(news: Set<string>, id: string): void {
    if (this.#onNews === null) return
    news.add(id)
    this.#onNews()
  }

  #toldAll(): void {
    for (const told of [this.#news.workers, this.#news.lost, this.#news.jobs, this.#forgotten]) told.clear()
    for (const job of this.#jobs.values()) job.tell()
  }
}
