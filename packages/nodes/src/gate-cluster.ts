/** The gates among themselves: who is there, whether that is a quorum, and in which order they should own a job. */
import type { Member } from '@hs/swim'
import { gateOrder } from './gate-order.js'
import type { NodeLife } from './node-life.js'
import { quorumOf, TierCluster } from './tier-cluster.js'

export interface GateClusterOptions {
  readonly life: NodeLife
  readonly cluster: string
  readonly peers: readonly string[]
  /** How many gates there are to be. */
  readonly size: number
  onJoined(name: string): void
  /** It is there no more; `restarted`: another life of it is. */
  onGone(name: string, restarted: boolean): void
}

/** A gate that is only heard of is asked so often, and believed in for so long (AD-35). */
const HEARSAY = Object.freeze({ unconfirmedTimeoutMs: 120_000, confirmationAttempts: 5 })

export class GateCluster {
  readonly #tier: TierCluster
  readonly #quorum: number

  constructor({ life, cluster, peers, size, onJoined, onGone }: GateClusterOptions) {
    this.#quorum = quorumOf(size)
    this.#tier = new TierCluster({ life, name: `${cluster}/gates`, role: 'gate', policy: HEARSAY, peers })
    const { events } = this.#tier.swim
    const changed = () => life.changed.notify()
    events.on('memberJoined', ({ name }) => {
      onJoined(name)
      changed()
    })
    events.on('memberDead', ({ name }, cause) => {
      onGone(name, cause === 'restarted')
      changed()
    })
    events.on('memberLeft', ({ name }) => {
      onGone(name, false)
      changed()
    })
    events.on('memberRecovered', changed)
  }

  /** Gates that are there, this one included. */
  get size(): number {
    return this.#tier.size
  }

  get others(): Member[] {
    return this.#tier.others
  }

  /** Whether more than half of those that are to be there are seen alive; a suspect is not. */
  get hasQuorum(): boolean {
    return this.#tier.swim.members({ statuses: ['alive'] }).length >= this.#quorum
  }

  /** One of those that are there. */
  find(name: string): Member | undefined {
    const member = this.#tier.swim.member(name)
    return member?.status === 'alive' || member?.status === 'suspect' ? member : undefined
  }

  isAlive(name: string): boolean {
    return this.#tier.swim.member(name)?.status === 'alive'
  }

  /** The names of those that are there, the one that should own the job first. */
  order(jobId: string): string[] {
    return gateOrder(
      jobId,
      this.#tier.swim.members().map(({ name }) => name),
    )
  }

  start(): Promise<void> {
    return this.#tier.swim.start()
  }

  leave(): Promise<void> {
    return this.#tier.swim.leave()
  }

  crash(): Promise<void> {
    return this.#tier.swim.stop()
  }
}
