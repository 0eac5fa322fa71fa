/** One probe of one member: direct, then through others and over RPC, then failed. */
import type { WheelTimer } from '@hs/core'
import type { ClusterState } from './cluster-state.js'
import type { MemberRecord } from './member-record.js'
import type { Outstanding } from './outstanding.js'
import { isActive } from './record.js'

/** How long a late ack is still a sample of the round trip. */
const LATE_MS = 10_000

export interface ProbeOwner {
  /** No direct answer came in time. Returns the proxies that were asked. */
  askOthers(probe: Probe, leftMs: number): MemberRecord[]
  /** Nobody reached it. */
  failed(probe: Probe, penalty: number): void
  /** It is over. */
  forget(probe: Probe): void
}

export class Probe implements Outstanding {
  sequence = 0
  readonly target: string
  readonly member: MemberRecord
  /** What was probed: a later process, or a later word of it, is not accused. */
  readonly generation: number
  readonly incarnation: number
  readonly sentMs: number
  readonly #owner: ProbeOwner
  readonly #state: ClusterState
  #stage: 'direct' | 'indirect' | 'late' = 'direct'
  #timer: WheelTimer | undefined = undefined
  #isOver = false
  #hasFailed = false
  #dueMs = 0
  /** Between the first timeout and the end. */
  #indirectMs = 0
  #asked = 0
  /** Proxies that have not said anything. */
  #silent: MemberRecord[] | undefined = undefined

  constructor(owner: ProbeOwner, state: ClusterState, member: MemberRecord) {
    this.#owner = owner
    this.#state = state
    this.member = member
    this.target = member.name
    this.generation = member.generation
    this.incarnation = member.incarnation
    this.sentMs = state.clock.now()
  }

  begin(timeoutMs: number, wholeMs: number): void {
    this.#indirectMs = wholeMs - timeoutMs
    this.#dueMs = this.sentMs + timeoutMs
    this.#timer = this.#state.schedule(timeoutMs, () => this.#fire())
  }

  answered(generation: number): void {
    if (generation !== this.generation) return
    const isLate = this.#stage === 'late'
    this.#end()
    if (!isLate) this.#state.judge(-1)
    else if (this.#hasFailed) this.#state.counters.lateAcks++
  }

  /** Reached, if not by the direct way. The direct answer is still a sample: without one the member would stay too far. */
  relayed(): void {
    if (this.#stage === 'late' || this.#isOver) return
    this.#stage = 'late'
    this.#wait(LATE_MS)
    this.#state.judge(-1)
  }

  nacked(proxy: MemberRecord): void {
    const silent = this.#silent
    const at = silent?.indexOf(proxy) ?? -1
    if (at >= 0) silent?.splice(at, 1)
  }

  #fire(): void {
    const { clock, stalls, settings } = this.#state
    if (this.#stage === 'late') return this.#end()
    const lateMs = stalls.lateness(this.#dueMs, clock.now())
    if (lateMs > 0) return this.#wait(Math.min(lateMs, settings.probeTimeoutMs))
    const { member } = this
    if (!isActive(member.status) || member.generation !== this.generation) return this.#end()
    if (this.#stage === 'direct') {
      this.#stage = 'indirect'
      this.#wait(this.#indirectMs)
      this.#silent = this.#owner.askOthers(this, this.#indirectMs)
      this.#asked = this.#silent.length
      return
    }
    this.#stage = 'late'
    this.#hasFailed = true
    this.#wait(LATE_MS)
    this.#owner.failed(this, this.#asked === 0 ? 1 : (this.#silent?.length ?? 0))
  }

  #wait(delayMs: number): void {
    this.#dueMs = this.#state.clock.now() + delayMs
    this.#state.reschedule(this.#timer, delayMs)
  }

  #end(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#owner.forget(this)
  }
}
