/**
 * Sends what is queued to a few random members, again and again while something is queued: news need not wait for
 * probes. Members that died lately are among them, so that who is falsely dead hears of it.
 */
import type { ClusterState } from './cluster-state.js'
import type { MemberRecord } from './member-record.js'
import type { Outbox } from './outbox.js'
import { DEAD } from './record.js'

/** Intervals vary by this much, so that members do not gossip in step. */
const JITTER = 0.2

export class Gossiper {
  readonly #state: ClusterState
  readonly #outbox: Outbox
  readonly #targets: MemberRecord[] = []
  #isArmed = false

  constructor(state: ClusterState, outbox: Outbox) {
    this.#state = state
    this.#outbox = outbox
  }

  /** Something is queued. */
  arm(): void {
    if (this.#isArmed) return
    const { random, settings } = this.#state
    const delayMs = settings.gossipIntervalMs * (1 - JITTER + 2 * JITTER * random.next())
    this.#isArmed = this.#state.schedule(delayMs, () => this.#round()) !== undefined
  }

  #round(): void {
    const { queue } = this.#state
    this.#isArmed = false
    for (const target of this.#choose()) {
      if (queue.size === 0) break
      this.#outbox.gossip(target)
    }
    this.#targets.length = 0
    if (queue.size > 0) this.arm()
  }

  #choose(): readonly MemberRecord[] {
    const { table, random, settings } = this.#state
    const { ring } = table
    const targets = this.#targets
    const dead = this.#lateDead()
    const candidates = ring.size + dead.length
    const wanted = Math.min(settings.gossipFanout, candidates)
    if (wanted === candidates) {
      targets.push(...ring, ...dead)
      return targets
    }
    while (targets.length < wanted) {
      const i = random.int(candidates)
      const target = i < ring.size ? ring.at(i) : dead[i - ring.size]
      if (target !== undefined && !targets.includes(target)) targets.push(target)
    }
    return targets
  }

  /** Those that died lately, and whose address is known. */
  #lateDead(): readonly MemberRecord[] {
    const { table, clock, settings } = this.#state
    if (table.tombstones.size === 0) return none
    const since = clock.now() - settings.gossipToDeadMs
    const late: MemberRecord[] = []
    for (const record of table.tombstones) {
      if (record.status === DEAD && record.address !== '' && (record.passing?.sinceMs ?? -Infinity) > since)
        late.push(record)
    }
    return late
  }
}

const none: readonly MemberRecord[] = []
