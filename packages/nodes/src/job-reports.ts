/**
 * What a leader tells the gate that owns a job, one report at a time: settled results as soon as there are any, windows
 * and progress every `reportMs`, and the final result when all that was settled has been taken over. Everything is kept
 * and sent again, with backoff, until the gate has it; only then is a worker's copy let go.
 */
import type { Clock, Random, Timer } from '@hs/core'
import type { DcJobSnapshot } from '@hs/jobs'
import type { BackpressureSignal } from '@hs/overload'
import { fullJitterMs } from './backoff.js'
import { inLaterTurn } from './later-turn.js'
import { isLinkFailure } from './link-failure.js'
import type { RpcPeer } from './rpc-peer.js'
import type { NodeTiming } from './timing.js'
import type { ExecutionRef, JobOwner, LeaderRef, Refusal } from './wire/fields.js'
import { jobReport, type GrantedTime } from './wire/gate-manager.js'
import type { Part } from './wire/parts.js'
import { sizeOf, type ShardResultWire } from './wire/shard-result.js'

export interface JobReportsOptions {
  readonly jobId: string
  readonly datacenter: string
  readonly peer: RpcPeer
  readonly clock: Clock
  readonly random: Random
  readonly timing: Readonly<NodeTiming>
  readonly signal: AbortSignal
  leader(): LeaderRef
  owner(): JobOwner
  /** Addresses of gates that may know the owner, if the one that is known is silent. */
  gates(): readonly string[]
  /** What the gate that was asked wants less of, if anything. */
  onBackpressure(gate: string, signal: BackpressureSignal): void
  onAcknowledged(ref: ExecutionRef): void
  /** The gate has this result. */
  onTaken(result: ShardResultWire): void
  onRefused(refusal: Refusal): void
  /** The gate has all of the final result. */
  onDelivered(): void
  /** The job is not this datacenter's any more. */
  onAbandoned(): void
  onError(error: unknown): void
}

export interface NumberedWindow {
  readonly seq: number
  readonly window: Uint8Array
}

const REPORT_BYTES = 1_048_576
const MAX_BACKOFF_MS = 5_000

type ProgressWire = NonNullable<Parameters<typeof jobReport.request.encode>[0]['progress']>

interface Report {
  readonly progress: DcJobSnapshot | null
  readonly settled: ShardResultWire[]
  readonly windows: NumberedWindow[]
  readonly final: Part | null
}

export class JobReports {
  readonly #options: JobReportsOptions
  /** Settled and not taken over, by shard key. */
  readonly #settled = new Map<string, ShardResultWire>()
  #windows: NumberedWindow[] = []
  #progress: DcJobSnapshot | null = null
  /** Plans that the owner has: they are fixed one after the other, and each travels once. */
  #plansTold = 0
  #toldTo: string | null = null
  #granted: GrantedTime | null = null
  /** What of it the owner has. */
  #grantedTold: GrantedTime | null = null
  /** What is left of the final result. */
  #final: Part[] | null = null
  #delivered = false
  #inFlight = false
  #woken = false
  #closed = false
  #failures = 0
  #sentAt = -Infinity
  #progressSentAt = -Infinity
  #timer: Timer | undefined

  constructor(options: JobReportsOptions) {
    this.#options = options
  }

  /** Results that the gate does not have yet. */
  get pending(): number {
    return this.#settled.size
  }

  settle(result: ShardResultWire): void {
    this.#settled.set(result.key, result)
    this.#wake()
  }

  progress(snapshot: DcJobSnapshot): void {
    this.#progress = snapshot
    this.#schedule()
  }

  windows(windows: readonly NumberedWindow[]): void {
    this.#windows.push(...windows)
    if (windows.length > 0) this.#schedule()
  }

  /** All the time that was granted so far. */
  granted(time: GrantedTime): void {
    this.#granted = time
    this.#schedule()
  }

  finish(parts: readonly Part[]): void {
    this.#final = [...parts]
    this.#wake()
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #wake(): void {
    if (this.#woken || this.#inFlight || this.#closed || this.#failures > 0) return
    this.#woken = true
    inLaterTurn(this.#options.clock, () => {
      this.#woken = false
      this.#flush()
    })
  }

  /** What need not go at once goes when `reportMs` has passed since the last report. */
  #schedule(): void {
    if (this.#inFlight || this.#closed || this.#timer !== undefined) return
    const { clock, timing } = this.#options
    this.#arm(Math.max(0, this.#sentAt + timing.reportMs - clock.now()))
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timer = undefined
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#inFlight || this.#closed) return
    const report = this.#compose()
    if (report === null) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#inFlight = true
    this.#sentAt = this.#options.clock.now()
    if (report.progress !== null) this.#progressSentAt = this.#sentAt
    this.#send(report).then(
      (failed) => this.#sent(failed),
      (error) => {
        this.#options.onError(error)
        this.#sent(true)
      },
    )
  }

  #sent(failed: boolean): void {
    this.#inFlight = false
    if (this.#closed) return
    if (failed) {
      this.#failures++
      const { timing, random } = this.#options
      this.#arm(fullJitterMs({ baseMs: timing.reportMs, maxMs: MAX_BACKOFF_MS }, this.#failures, random))
      return
    }
    this.#failures = 0
    if (this.#settled.size > 0 || this.#final !== null) this.#wake()
    else if (this.#windows.length > 0 || this.#progress !== null || this.#granted !== this.#grantedTold)
      this.#schedule()
  }

  #compose(): Report | null {
    const settled: ShardResultWire[] = []
    let size = 0
    for (const result of this.#settled.values()) {
      size += sizeOf(result)
      if (settled.length > 0 && size > REPORT_BYTES) break
      settled.push(result)
    }
    const windows: NumberedWindow[] = []
    for (const window of this.#windows) {
      size += window.window.length + 16
      if (size > REPORT_BYTES && (windows.length > 0 || settled.length > 0)) break
      windows.push(window)
    }
    // The final result joins what was settled, so it comes after all of it.
    const complete = settled.length === this.#settled.size && windows.length === this.#windows.length
    const last = complete && settled.length === 0 ? (this.#final?.[0] ?? null) : null
    // Not with every batch of results: a snapshot of a large job costs more than they do.
    const { clock, timing } = this.#options
    const isDue = last !== null || clock.now() - this.#progressSentAt >= timing.reportMs
    const progress = isDue ? this.#progress : null
    const isTold = progress === null && this.#granted === this.#grantedTold
    if (settled.length === 0 && windows.length === 0 && last === null && isTold) return null
    return { progress, settled, windows, final: last }
  }

  /** Whether it failed, and is to be sent again later. */
  async #send({ progress, settled, windows, final }: Report): Promise<boolean> {
    const { jobId, datacenter, peer, signal, leader, onRefused } = this.#options
    const { gateId } = this.#options.owner()
    if (gateId !== this.#toldTo) {
      this.#plansTold = 0
      this.#grantedTold = null
    }
    this.#toldTo = gateId
    const granted = this.#granted === this.#grantedTold ? null : this.#granted
    const told = progress === null ? null : withNewPlans(progress, this.#plansTold)
    const news = { ...(told && { progress: told }), ...(granted && { granted }), ...(final && { final }) }
    const request = { jobId, datacenter, leader: leader(), settled, windows, ...news }
    const gate = this.#destination()
    let answer
    try {
      answer = await peer.ask(gate, jobReport, request, { signal })
    } catch (error) {
      if (!isLinkFailure(error)) throw error
      return true
    }
    if (this.#closed) return false
    if (!answer.ok) {
      onRefused(answer)
      return true
    }
    this.#options.onBackpressure(gate, answer.backpressure)
    if (answer.abandon) {
      this.#options.onAbandoned()
      return false
    }
    if (granted !== null) this.#grantedTold = granted
    if (told !== null) this.#plansTold += Object.keys(told.plans).length
    this.#taken({ progress, settled, windows, final }, answer.acknowledged)
    return false
  }

  /** The owner; after every failure any other gate, which answers with the owner that it knows. */
  #destination(): string {
    const { owner, gates, random } = this.#options
    const { address } = owner()
    const others = this.#failures % 2 === 0 ? [] : gates().filter((gate) => gate !== address)
    return others.length === 0 ? address : random.pick(others)
  }

  #taken({ progress, windows, final }: Report, acknowledged: readonly ExecutionRef[]): void {
    if (progress !== null && this.#progress === progress) this.#progress = null
    this.#windows.splice(0, windows.length)
    for (const ref of acknowledged) {
      const result = this.#settled.get(ref.key)
      if (result?.fence === ref.fence) {
        this.#settled.delete(ref.key)
        this.#options.onTaken(result)
      }
      this.#options.onAcknowledged(ref)
    }
    if (final === null || this.#final === null) return
    this.#final.shift()
    if (this.#final.length > 0) return
    this.#final = null
    if (this.#delivered) return
    this.#delivered = true
    this.#options.onDelivered()
  }
}

/** With those plans only that the gate does not have yet. */
function withNewPlans({ plans, ...rest }: DcJobSnapshot, told: number): ProgressWire {
  const fresh = Object.entries(plans).slice(told)
  return { ...rest, plans: Object.fromEntries(fresh.map(([id, plan]) => [id, [...plan]])) }
}
