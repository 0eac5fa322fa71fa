/**
 * A datacenter under chaos: leaders that follow one another, workers that die and return, a link that loses, repeats and
 * reorders, a keeper of settled results in the place of a gate. After every event the invariants are checked; the first
 * that does not hold throws.
 */
import { SeededRandom, VirtualClock } from '@hs/core/testing'
import {
  JobScheduler,
  fenceTerm,
  type AbortRequest,
  type DcJobResult,
  type Dispatch,
  type JobSpec,
  type Priority,
  type ShardResult,
  type WorkflowSpec,
} from '@hs/jobs'
import { ChaosWorker, type WorkerReport } from './chaos-worker.js'
import { LossyLink } from './lossy-link.js'

const REPORT_MS = 100
const DISPATCH_RETRY_MS = 150
const CHAOS_MS = 12_000
const CALM_LIMIT_MS = 400_000

/** What the gate above holds of a job: whoever leads next begins with it. */
interface KeptJob {
  readonly spec: JobSpec
  readonly results: Map<string, ShardResult>
  plans: Record<string, readonly number[]>
  cancelled: boolean
  readonly cancelledWorkflows: Set<string>
  final: DcJobResult | null
}

interface Leader {
  readonly term: number
  readonly scheduler: JobScheduler
  readonly sequences: Map<string, number>
  readonly finished: Set<string>
  /** Jobs and workflows that it was told to cancel. */
  readonly cancelled: Set<string>
}

export interface ChaosSummary {
  readonly jobs: number
  readonly statuses: Readonly<Record<string, number>>
  readonly executions: number
  readonly requeued: number
  readonly leaders: number
  readonly kills: number
  readonly adopted: number
}

export class ChaosWorld {
  readonly clock = new VirtualClock()
  readonly random: SeededRandom
  readonly #link: LossyLink
  readonly #workers: ChaosWorker[]
  readonly #jobs = new Map<string, KeptJob>()
  readonly #trace: string[] = []
  /** Executions under way on live workers, by shard. */
  readonly #executing = new Map<string, Set<string>>()
  /** Executions that the scheduler has given up, and why: another may run beside them. */
  readonly #givenUp = new Map<string, string>()
  readonly #completed = new Map<string, number>()
  readonly #fences = new Map<string, number>()
  readonly #payloads = new Map<string, Uint8Array>()
  /** By worker, the highest fence that was issued when it was given up last: such a one may still be on its way. */
  readonly #lostUpTo = new Map<string, number>()
  #highestFence = 0
  readonly #cutOff = new Set<ChaosWorker>()
  #leader: Leader | null = null
  #term = 0
  #kills = 0
  #adopted = 0
  #failure: unknown = null
  #chaosIsOver = false

  constructor(seed: bigint | number) {
    this.random = new SeededRandom(seed)
    this.#link = new LossyLink(this.clock, this.random, { loss: 0.08, duplication: 0.08, maxDelayMs: 60 })
    const hooks = {
      started: (workerId: string, key: string, fence: number) => this.#started(workerId, key, fence),
      ended: (_workerId: string, key: string, fence: number) => this.#executing.get(key)?.delete(`${key}#${fence}`),
      progress: (workerId: string, frame: Parameters<JobScheduler['progress']>[0]) => {
        this.#toLeader(this.#workerOf(workerId), (leader) => leader.scheduler.progress(frame))
      },
    }
    const count = 2 + this.random.int(4)
    this.#workers = Array.from({ length: count }, (_, index) => {
      const workerId = `w${index}`
      const cores = 1 + this.random.int(6)
      const some = index > 0 && this.random.next() < 0.2 ? { workflows: ['works', 'fails'] } : {}
      return new ChaosWorker({ workerId, cores, ...some, clock: this.clock, random: this.random, hooks })
    })
  }

  run(): ChaosSummary {
    this.#elect()
    for (const worker of this.#workers) this.#boot(worker)
    this.#every(REPORT_MS, () => this.#reportAll())
    this.#planChaos()
    this.#advance(CHAOS_MS)
    this.#calmDown()
    const until = this.clock.now() + CALM_LIMIT_MS
    while (this.clock.now() < until && !this.#isSettled()) this.#advance(REPORT_MS)
    this.#checkEnd()
    return this.#summary()
  }

  /** The last events, for whoever looks for the reason of a failure. */
  get trace(): readonly string[] {
    return this.#trace
  }

  get failure(): unknown {
    return this.#failure
  }

  // ---- what happens

  #planChaos(): void {
    const jobs = 3 + this.random.int(8)
    for (let index = 0; index < jobs; index++) {
      this.#at(this.random.next() * CHAOS_MS * 0.7, () => this.#submit(`j${index}`))
    }
    for (let index = this.random.int(5); index > 0; index--) {
      this.#at(this.random.next() * CHAOS_MS, () => this.#kill(this.random.pick(this.#workers)))
    }
    for (let index = this.random.int(4); index > 0; index--) {
      this.#at(this.random.next() * CHAOS_MS, () => this.#suspectWrongly(this.random.pick(this.#workers)))
    }
    for (let index = this.random.int(4); index > 0; index--) {
      this.#at(this.random.next() * CHAOS_MS, () => this.#changeLeader())
    }
    for (let index = this.random.int(5); index > 0; index--) {
      this.#at(this.random.next() * CHAOS_MS, () => this.#cancelSomething())
    }
    for (let index = this.random.int(3); index > 0; index--) {
      this.#at(this.random.next() * CHAOS_MS, () => this.#cut(this.random.pick(this.#workers)))
    }
    for (let index = this.random.int(4); index > 0; index--) {
      this.#at(this.random.next() * CHAOS_MS, () => {
        const bucket = this.random.pick(['healthy', 'busy', 'degraded', 'unhealthy'] as const)
        this.#leader?.scheduler.pool.setHealth(this.random.pick(this.#workers).workerId, bucket)
      })
    }
  }

  #calmDown(): void {
    this.#chaosIsOver = true
    this.#link.isCalm = true
    this.#cutOff.clear()
    for (const worker of this.#workers) {
      if (!worker.isAlive) this.#boot(worker)
      this.#leader?.scheduler.pool.setHealth(worker.workerId, 'healthy')
    }
    if (this.#leader === null) this.#elect()
  }

  #submit(jobId: string): void {
    const kept: KeptJob = {
      spec: this.#newSpec(jobId),
      results: new Map(),
      plans: {},
      cancelled: false,
      cancelledWorkflows: new Set(),
      final: null,
    }
    this.#jobs.set(jobId, kept)
    this.#note(`submit ${jobId}`)
    this.#leader?.scheduler.submit(kept.spec)
  }

  #newSpec(jobId: string): JobSpec {
    const { random } = this
    const count = 1 + random.int(6)
    const workflows = Array.from({ length: count }, (_, index): WorkflowSpec => {
      const workflow = random.pick(['works', 'works', 'works', 'fails', 'hangs'])
      return {
        id: `f${index}`,
        workflow,
        input: new Uint8Array([index]),
        dependsOn: Array.from({ length: index }, (_, before) => `f${before}`).filter(() => random.next() < 0.3),
        onDependencyFailure: random.pick(['skip', 'run'] as const),
        priority: random.pick<Priority>(['high', 'normal', 'low', 'auto', 'auto', 'exclusive']),
        vus: 1 + random.int(8),
        cores: random.next() < 0.3 ? 1 + random.int(3) : 'auto',
        attempts: 1 + random.int(3),
        timeoutMs: 4_000,
        ...(workflow === 'hangs' ? { stuckMs: 700 } : {}),
      }
    })
    random.shuffle(workflows)
    const stuck = random.next() < 0.1 ? { stuckMs: 5_000 } : {}
    return {
      jobId,
      workflows,
      tenant: random.pick(['a', 'b', 'c']),
      timeoutMs: random.pick([3_000, 60_000, 60_000]),
      ...stuck,
    }
  }

  #boot(worker: ChaosWorker): void {
    worker.boot()
    this.#note(`boot ${worker.workerId} ${worker.incarnation}`)
    this.#register(worker)
  }

  #register(worker: ChaosWorker): void {
    const { workerId, incarnation, cores, workflows } = worker
    const running = worker.running()
    this.#toLeader(worker, (leader) => {
      if (!worker.isAlive || worker.incarnation !== incarnation) return
      const { outcome, abort } = leader.scheduler.register(
        { workerId, incarnation, address: workerId, cores, ...(workflows === undefined ? {} : { workflows }) },
        running,
      )
      this.#note(
        `register ${workerId} ${incarnation} [${running.map((r) => `${r.key}#${r.fence}`).join(' ')}]: ${outcome}`,
      )
      // A dispatch to the life before may have reached this one: with that life it counts as lost.
      if (outcome === 'restarted') this.#giveUpAll(worker, 'worker restarted')
      this.#toWorker(worker, () => {
        if (outcome === 'stale') return
        worker.isRegistered = true
        worker.table.leaderFound()
        for (const { key, fence } of abort) this.#abortOn(worker, key, fence)
      })
    })
  }

  #reportAll(): void {
    for (const worker of this.#workers) {
      if (!worker.isAlive) continue
      if (!worker.isRegistered) this.#register(worker)
      else this.#report(worker, worker.report())
    }
  }

  #report(worker: ChaosWorker, report: WorkerReport): void {
    this.#toLeader(worker, (leader) => {
      const { scheduler } = leader
      for (const result of report.results) this.#deliver(leader, worker, result)
      const { outcome, abort } = scheduler.heartbeat(report.beat)
      this.#toWorker(worker, () => {
        if (outcome === 'unknown-worker') worker.isRegistered = false
        for (const { key, fence } of abort) this.#abortOn(worker, key, fence)
      })
    })
  }

  #deliver(leader: Leader, worker: ChaosWorker, result: ShardResult): void {
    const { key, fence, status } = result
    const verdict = leader.scheduler.result(result)
    this.#note(`result ${key}#${fence} ${status} of ${worker.workerId}: ${verdict}`)
    const isOver = this.#jobs.get(key.split('/')[0] ?? '')?.final !== null
    if (verdict === 'unknown' && !isOver) return
    this.#toWorker(worker, () => worker.table.acknowledge(key, fence))
    if (verdict === 'accepted' && status === 'completed') {
      const completed = (this.#completed.get(key) ?? 0) + 1
      this.#completed.set(key, completed)
      this.#expect(completed <= 1, `${key} completed twice`)
    }
  }

  /** What a gate would copy before it acknowledges. */
  #settled(result: ShardResult): void {
    const { key } = result
    const kept = this.#jobs.get(key.split('/')[0] ?? '')
    this.#note(`settled ${key}: ${result.status}`)
    const before = kept?.results.get(key)
    this.#expect(before === undefined || before.fence === result.fence, `${key} was decided twice`)
    kept?.results.set(key, result)
  }

  #dispatch(leader: Leader, dispatch: Dispatch): void {
    const { key, fence, workerId, jobId, workflowId, payload } = dispatch
    this.#note(`dispatch ${key}#${fence} to ${workerId} (${dispatch.cores} cores, attempt ${dispatch.attempt})`)
    const kept = this.#jobs.get(jobId)
    this.#expect(!leader.cancelled.has(jobId), `${key} dispatched after its job was cancelled`)
    this.#expect(!leader.cancelled.has(`${jobId}/${workflowId}`), `${key} dispatched after it was cancelled`)
    this.#expect(kept?.results.has(key) === false, `${key} dispatched after it was decided`)
    this.#expect(fence > (this.#fences.get(key) ?? 0), `fence of ${key} did not grow`)
    this.#fences.set(key, fence)
    this.#highestFence = Math.max(this.#highestFence, fence)
    const payloadName = `${leader.term} ${key}`
    const before = this.#payloads.get(payloadName)
    this.#expect(before === undefined || Buffer.compare(before, payload) === 0, `payload of ${key} changed`)
    this.#payloads.set(payloadName, payload)
    this.#send(leader, dispatch, 2)
  }

  /** Sent again with the same fence while there is no answer, then given up. */
  #send(leader: Leader, dispatch: Dispatch, repeats: number): void {
    const { key, fence, workerId } = dispatch
    const worker = this.#workerOf(workerId)
    let isAnswered = false
    if (worker !== undefined) {
      this.#toWorker(worker, () => {
        const outcome = worker.admit(dispatch)
        this.#note(`admit ${key}#${fence} on ${workerId}: ${outcome.kind}`)
        this.#toLeader(worker, (current) => {
          if (current !== leader) return
          isAnswered = true
          if (outcome.kind === 'run' || outcome.kind === 'duplicate') leader.scheduler.dispatchAccepted(key, fence)
          else this.#dispatchFailed(leader, key, fence, outcome.kind !== 'stale')
        })
      })
    }
    this.#at(DISPATCH_RETRY_MS, () => {
      if (isAnswered || this.#leader !== leader) return
      if (repeats > 0) this.#send(leader, dispatch, repeats - 1)
      else this.#dispatchFailed(leader, key, fence, false)
    })
  }

  #dispatchFailed(leader: Leader, key: string, fence: number, rejected: boolean): void {
    if (!rejected) this.#giveUp(key, fence, 'dispatch failed')
    const mattered = leader.scheduler.dispatchFailed(key, fence, rejected ? { rejected } : { code: 'NO_ANSWER' })
    this.#note(`dispatch failed ${key}#${fence} ${rejected ? '(rejected)' : ''}: ${mattered}`)
  }

  #abort(leader: Leader, abort: AbortRequest): void {
    const { key, fence, workerId, reason } = abort
    this.#note(`abort ${key}#${fence} on ${workerId}: ${reason}`)
    this.#giveUp(key, fence, reason)
    const worker = this.#workerOf(workerId)
    if (worker === undefined) return
    this.#toWorker(worker, () => {
      const state = this.#abortOn(worker, key, fence)
      if (state === 'aborting') return
      this.#toLeader(worker, (current) => {
        if (current === leader) leader.scheduler.aborted(key, fence)
      })
    })
  }

  #abortOn(worker: ChaosWorker, key: string, fence: number): string {
    this.#giveUp(key, fence, 'aborted')
    return worker.abort(key, fence)
  }

  #kill(worker: ChaosWorker): void {
    if (!worker.isAlive || this.#chaosIsOver) return
    this.#kills++
    const { incarnation, workerId } = worker
    this.#note(`kill ${workerId} ${incarnation}`)
    worker.kill()
    this.#at(this.random.next() * 800, () => {
      const known = this.#leader?.scheduler.pool.get(workerId)
      if (known?.incarnation === incarnation) this.#lose(workerId)
    })
    this.#at(this.random.next() * 2_000, () => {
      if (!worker.isAlive) this.#boot(worker)
    })
  }

  #suspectWrongly(worker: ChaosWorker): void {
    if (this.#chaosIsOver) return
    this.#note(`suspect ${worker.workerId} wrongly`)
    this.#lose(worker.workerId)
  }

  #lose(workerId: string): void {
    for (const worker of this.#workers) if (worker.workerId === workerId) this.#giveUpAll(worker, 'worker lost')
    this.#leader?.scheduler.workerLost(workerId)
    this.#note(`lost ${workerId}`)
  }

  #giveUpAll(worker: ChaosWorker, why: string): void {
    for (const { key, fence } of worker.running()) this.#giveUp(key, fence, why)
    this.#lostUpTo.set(worker.workerId, this.#highestFence)
  }

  #changeLeader(): void {
    if (this.#leader === null || this.#chaosIsOver) return
    this.#note(`leader ${this.#leader.term} falls`)
    this.#adopted += this.#leader.scheduler.snapshot().counters.adopted
    this.#leader.scheduler.stop()
    this.#leader = null
    for (const worker of this.#workers) {
      worker.isRegistered = false
      if (worker.isAlive) worker.table.leaderLost()
    }
    this.#at(this.random.next() * 500, () => {
      if (this.#leader === null) this.#elect()
    })
  }

  #elect(): void {
    this.#term++
    const term = this.#term
    this.#note(`leader ${term}`)
    const scheduler: JobScheduler = new JobScheduler({
      datacenter: 'dc',
      clock: this.clock,
      random: this.random,
      term: () => term,
      recoveryMs: 1_000,
      cancelTimeoutMs: 300,
      backoff: { baseMs: 50, maxMs: 400 },
      agingMs: 2_000,
      stalledMs: 400,
      unknownWorkflowGraceMs: 3_000,
      maxAttempts: 6,
      port: {
        dispatch: (dispatch) => this.#guarded(() => this.#dispatch(leader, dispatch)),
        abort: (abort) => this.#guarded(() => this.#abort(leader, abort)),
        jobChanged: (snapshot) => {
          this.#guarded(() => {
            const before = leader.sequences.get(snapshot.jobId) ?? 0
            this.#expect(snapshot.sequence > before, `sequence of ${snapshot.jobId} did not grow`)
            leader.sequences.set(snapshot.jobId, snapshot.sequence)
            const kept = this.#jobs.get(snapshot.jobId)
            if (kept !== undefined) kept.plans = { ...snapshot.plans }
          })
        },
        shardSettled: (result) => this.#guarded(() => this.#settled(result)),
        jobFinished: (result) => this.#guarded(() => this.#finished(leader, result)),
      },
    })
    const leader: Leader = { term, scheduler, sequences: new Map(), finished: new Set(), cancelled: new Set() }
    this.#leader = leader
    if (term === 1) return
    // What nobody lists during the hold may be started again beside it.
    for (const worker of this.#workers) this.#giveUpAll(worker, `leader ${term}`)
    scheduler.hold()
    for (const kept of this.#jobs.values()) {
      // Some are assigned late: until then their work is that of an unknown job.
      if (this.random.next() < 0.7) this.#assign(leader, kept)
      else this.#at(this.random.next() * 1_500, () => this.#assign(leader, kept))
    }
    this.#at(this.random.next() * 600, () => {
      if (this.#leader === leader) scheduler.resume()
    })
  }

  #assign(leader: Leader, kept: KeptJob): void {
    const { scheduler } = leader
    const { jobId } = kept.spec
    if (this.#leader !== leader || kept.final !== null) return
    this.#note(`assign ${jobId}`)
    scheduler.submit(kept.spec, { results: [...kept.results.values()], plans: kept.plans })
    if (kept.cancelled) this.#cancel(leader, jobId)
    for (const workflowId of kept.cancelledWorkflows) this.#cancel(leader, jobId, workflowId)
  }

  #cancel({ scheduler, cancelled }: Leader, jobId: string, workflowId?: string): void {
    const options = workflowId === undefined ? {} : { workflowId }
    if (scheduler.job(jobId) === undefined) return
    cancelled.add(workflowId === undefined ? jobId : `${jobId}/${workflowId}`)
    const first = scheduler.cancel(jobId, options)
    const again = scheduler.cancel(jobId, options)
    this.#expect(JSON.stringify(first) === JSON.stringify(again), `cancelling ${jobId} again answers otherwise`)
  }

  /** For a while nothing gets through to the worker or from it. */
  #cut(worker: ChaosWorker): void {
    if (this.#chaosIsOver) return
    this.#note(`cut ${worker.workerId}`)
    this.#cutOff.add(worker)
    this.#at(this.random.next() * 2_000, () => {
      this.#note(`join ${worker.workerId}`)
      this.#cutOff.delete(worker)
    })
    // Seen from the scheduler it may be dead.
    this.#at(this.random.next() * 3_000, () => {
      if (this.#cutOff.has(worker)) this.#lose(worker.workerId)
    })
  }

  #cancelSomething(): void {
    const open = [...this.#jobs.values()].filter(({ final }) => final === null)
    if (open.length === 0) return
    const kept = this.random.pick(open)
    const { jobId, workflows } = kept.spec
    if (this.random.next() < 0.5) {
      kept.cancelled = true
      this.#note(`cancel ${jobId}`)
      if (this.#leader !== null) this.#cancel(this.#leader, jobId)
      return
    }
    const workflowId = this.random.pick(workflows).id
    kept.cancelledWorkflows.add(workflowId)
    this.#note(`cancel ${jobId} ${workflowId}`)
    if (this.#leader !== null) this.#cancel(this.#leader, jobId, workflowId)
  }

  // ---- what must hold

  #started(workerId: string, key: string, fence: number): void {
    const executing = this.#executing.get(key) ?? new Set<string>()
    // One that arrives after a later fence was issued is fenced itself: whatever it does counts for nothing.
    if (this.#isFenced(key, fence)) this.#giveUp(key, fence, 'fenced')
    else
      for (const other of executing) {
        this.#expect(
          this.#givenUp.has(other),
          `${key}#${fence} began on ${workerId} beside ${other}, which nobody gave up`,
        )
      }
    executing.add(`${key}#${fence}`)
    this.#executing.set(key, executing)
    const isOfLeader = this.#leader !== null && fenceTerm(fence) === this.#leader.term
    if (fence <= (this.#lostUpTo.get(workerId) ?? 0) || !isOfLeader) this.#giveUp(key, fence, 'late arrival')
  }

  #isFenced(key: string, fence: number): boolean {
    return fence < (this.#fences.get(key) ?? 0)
  }

  #giveUp(key: string, fence: number, why: string): void {
    this.#givenUp.set(`${key}#${fence}`, why)
  }

  #finished(leader: Leader, result: DcJobResult): void {
    const { jobId, accounting, workflows, status } = result
    this.#note(`finished ${jobId}: ${status}`)
    this.#expect(!leader.finished.has(jobId), `${jobId} finished twice`)
    leader.finished.add(jobId)
    const kept = this.#jobs.get(jobId)
    if (kept === undefined) return
    this.#expect(kept.final === null, `${jobId} finished under two leaders`)
    kept.final = result
    const { completed, failed, timedOut, cancelled, skipped } = accounting
    const outcomes = completed + failed + timedOut + cancelled + skipped
    this.#expect(outcomes === kept.spec.workflows.length, `${jobId}: ${outcomes} outcomes`)
    let executions = 0
    let dispatched = 0
    for (const { shards, workflowId, status: outcome } of workflows) {
      const { vus = 1 } = kept.spec.workflows.find(({ id }) => id === workflowId) ?? {}
      const planned = shards.reduce((sum, shard) => sum + shard.vus, 0)
      const wasAsked = kept.cancelled || kept.cancelledWorkflows.has(workflowId)
      this.#expect(outcome !== 'cancelled' || wasAsked, `${jobId}/${workflowId} was cancelled by nobody`)
      this.#expect(shards.length === 0 || planned === vus, `${jobId}/${workflowId}: ${planned} of ${vus} users`)
      for (const shard of shards) {
        executions += shard.attempts
        if (shard.attempts > 0) dispatched++
        const counted = kept.results.get(`${jobId}/${workflowId}/${shard.shard}`)
        if (outcome === 'completed') {
          this.#expect(
            counted?.value === shard.value,
            `${jobId}/${workflowId}/${shard.shard}: another value was counted`,
          )
        }
      }
    }
    this.#expect(accounting.executions === executions, `${jobId}: executions do not add up`)
    this.#expect(accounting.requeued === executions - dispatched, `${jobId}: requeued does not add up`)
    if (kept.cancelled) this.#expect(status === 'cancelled', `${jobId} was cancelled and is ${status}`)
  }

  #checkNow(): void {
    if (this.#failure !== null) throw this.#failure
    const pool = this.#leader?.scheduler.pool
    if (pool === undefined) return
    for (const { workerId } of this.#workers) {
      const view = pool.get(workerId)
      if (view === undefined) continue
      this.#expect(
        view.reserved <= view.totalCores,
        `${workerId}: ${view.reserved} of ${view.totalCores} cores reserved`,
      )
      this.#expect(view.reserved >= 0, `${workerId}: ${view.reserved} cores reserved`)
    }
    if (this.#failure !== null) throw this.#failure
  }

  #isSettled(): boolean {
    const isOver = [...this.#jobs.values()].every(({ final }) => final !== null)
    if (!isOver) return false
    return this.#workers.every((worker) => {
      const view = this.#leader?.scheduler.pool.get(worker.workerId)
      return worker.executing === 0 && view?.reserved === 0 && worker.table.size === 0
    })
  }

  #checkEnd(): void {
    for (const [jobId, { final }] of this.#jobs) {
      this.#expect(
        final !== null,
        `${jobId} never ended: ${JSON.stringify(this.#leader?.scheduler.job(jobId))} ${JSON.stringify(this.#leader?.scheduler.explain(jobId))}`,
      )
    }
    for (const worker of this.#workers) {
      const view = this.#leader?.scheduler.pool.get(worker.workerId)
      this.#expect(view?.reserved === 0, `${worker.workerId}: ${view?.reserved} cores are still reserved`)
      this.#expect(worker.executing === 0, `${worker.workerId} still runs something`)
      this.#expect(worker.table.size === 0, `${worker.workerId} still holds ${worker.table.size} shards`)
    }
    const scheduler = this.#leader?.scheduler
    for (const jobId of this.#jobs.keys()) scheduler?.forget(jobId)
    const left = scheduler?.snapshot()
    this.#expect(left?.jobs === 0 && left.shards === 0, `records are left: ${JSON.stringify(left)}`)
    scheduler?.stop()
    if (this.#failure !== null) throw this.#failure
  }

  #summary(): ChaosSummary {
    const statuses: Record<string, number> = {}
    let executions = 0
    let requeued = 0
    for (const { final } of this.#jobs.values()) {
      if (final === null) continue
      statuses[final.status] = (statuses[final.status] ?? 0) + 1
      executions += final.accounting.executions
      requeued += final.accounting.requeued
    }
    const adopted = this.#adopted + (this.#leader?.scheduler.snapshot().counters.adopted ?? 0)
    return { jobs: this.#jobs.size, statuses, executions, requeued, leaders: this.#term, kills: this.#kills, adopted }
  }

  // ---- plumbing

  #workerOf(workerId: string): ChaosWorker | undefined {
    return this.#workers.find((worker) => worker.workerId === workerId)
  }

  #toLeader(worker: ChaosWorker | undefined, deliver: (leader: Leader) => void): void {
    const { term } = this.#leader ?? { term: 0 }
    this.#link.send(() => {
      if (worker !== undefined && this.#cutOff.has(worker)) return
      if (this.#leader !== null && this.#leader.term === term) deliver(this.#leader)
      this.#checkNow()
    })
  }

  #toWorker(worker: ChaosWorker, deliver: () => void): void {
    const { incarnation } = worker
    this.#link.send(() => {
      if (this.#cutOff.has(worker)) return
      if (worker.isAlive && worker.incarnation === incarnation) deliver()
      this.#checkNow()
    })
  }

  #at(delayMs: number, fn: () => void): void {
    this.clock.setTimer(delayMs, () => {
      fn()
      this.#checkNow()
    })
  }

  #every(intervalMs: number, fn: () => void): void {
    this.#at(intervalMs, () => {
      fn()
      this.#every(intervalMs, fn)
    })
  }

  /** In small steps, so that nothing runs on for long after the first invariant that does not hold. */
  #advance(ms: number): void {
    for (const until = this.clock.now() + ms; this.clock.now() < until;) {
      try {
        this.clock.advance(10)
      } catch (error) {
        throw this.#failure ?? error
      }
      if (this.#failure !== null) throw this.#failure
    }
  }

  /** What a port method throws goes to the log of the scheduler: keep it. */
  #guarded(fn: () => void): void {
    try {
      fn()
    } catch (error) {
      this.#failure ??= error
    }
  }

  #expect(holds: boolean | undefined, what: string): void {
    if (holds === true || this.#failure !== null) return
    this.#failure = new Error(`at ${Math.round(this.clock.now())} ms: ${what}`)
    throw this.#failure
  }

  #note(event: string): void {
    this.#trace.push(`${this.clock.now().toFixed(1)} ${event}`)
    if (this.#trace.length > 2_000) this.#trace.shift()
  }
}
