/**
 * What a gate has taken over of a job that another gate owns by a better claim, reported to that one as the datacenter
 * would have: so nothing is lost that a worker has let go already.
 */
import type { JobTarget } from './job-target.js'
import { JobReports } from './job-reports.js'
import { finalCodec, finalReport } from './manager-job.js'
import type { NodeLife } from './node-life.js'
import type { JobOwner, LeaderRef } from './wire/fields.js'
import { cut } from './wire/parts.js'

export interface JobHandoverOptions {
  readonly life: NodeLife
  readonly jobId: string
  readonly target: JobTarget
  readonly to: JobOwner
  /** Of the datacenter, now. */
  leader(): LeaderRef
  onOver(): void
}

export class JobHandover {
  readonly #target: JobTarget
  readonly #reports: JobReports
  readonly #onOver: () => void
  #owner: JobOwner

  constructor({ life, jobId, target, leader, to, onOver }: JobHandoverOptions) {
    const { runtime, peer, timing, scope, reporter, label } = life
    this.#target = target
    this.#owner = to
    this.#onOver = onOver
    this.#reports = new JobReports({
      jobId,
      datacenter: target.datacenter,
      peer,
      clock: runtime.clock,
      random: runtime.random,
      timing,
      signal: scope.signal,
      leader,
      owner: () => this.#owner,
      gates: () => [],
      onBackpressure: () => undefined,
      onAcknowledged: () => this.#endIfDone(),
      onTaken: () => undefined,
      onRefused: ({ code, owner }) => {
        if (owner !== undefined) this.#owner = owner
        else if (code === 'JOB_NOT_FOUND') this.close()
      },
      onDelivered: () => this.close(),
      onAbandoned: () => this.close(),
      onError: (error) => reporter.report(`${label}.handover`, error, { jobId }),
    })
  }

  begin(): void {
    for (const result of this.#target.settled()) this.#reports.settle(result)
    const { final } = this.#target
    if (final !== null) this.#reports.finish(cut(finalCodec.encode(finalReport(final))))
    this.#endIfDone()
  }

  close(): void {
    this.#reports.close()
    this.#onOver()
  }

  #endIfDone(): void {
    if (this.#reports.pending === 0 && this.#target.final === null) this.close()
  }
}
