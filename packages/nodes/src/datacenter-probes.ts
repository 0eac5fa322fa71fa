/**
 * The datacenters of a gate by probes that their leaders answer: how they are, whether they can be reached, and whether
 * several fail at once, in which case the fault is more likely here (AD-33).
 */
import type { DatacenterHealth } from '@hs/core'
import { CorrelationDetector, FederatedHealth, type LeaderHint, type Reachability } from '@hs/health'
import type { NodeLife } from './node-life.js'
import { PROBE_CHANNEL } from './tier-cluster.js'
import type { LeaderRef } from './wire/fields.js'

export interface DatacenterProbesOptions {
  readonly life: NodeLife
  onHealth(datacenter: string, health: DatacenterHealth): void
  onReachability(datacenter: string, reachability: Reachability): void
  /** Somebody there says who leads; may be known already. */
  onLeader(datacenter: string, leader: LeaderHint): void
}

export class DatacenterProbes {
  readonly #life: NodeLife
  readonly #health: FederatedHealth
  readonly #correlation: CorrelationDetector

  constructor({ life, onHealth, onReachability, onLeader }: DatacenterProbesOptions) {
    const { runtime, timing } = life
    this.#life = life
    this.#health = new FederatedHealth({
      ...runtime,
      transport: life.datagrams.channel(PROBE_CHANNEL),
      self: life.id,
      probeIntervalMs: timing.heartbeatMs,
      probeTimeoutMs: timing.rpcTimeoutMs,
      // With five misses before, a little less than `staleNodeMs` in all.
      suspicionMs: timing.staleNodeMs / 2,
    })
    this.#correlation = new CorrelationDetector({
      ...runtime,
      confirmMs: timing.staleNodeMs / 6,
      recoverMs: timing.staleNodeMs,
    })
    const { events } = this.#health
    events.on('health', onHealth)
    events.on('leader', onLeader)
    events.on('rtt', (datacenter, ms) => this.#correlation.recordLatency(datacenter, ms))
    events.on('reachability', (datacenter, now) => {
      this.#correlation.report(datacenter, now === 'reachable')
      onReachability(datacenter, now)
    })
  }

  /** Begins with any manager there: it names the leader. */
  add(datacenter: string, address: string): void {
    this.#correlation.add(datacenter)
    this.#health.add(datacenter, { address })
  }

  start(): void {
    this.#life.scope.spawn('probes', () => this.#health.start())
  }

  /** The leader is known otherwise. */
  follow(datacenter: string, { id: nodeId, address, term }: LeaderRef): void {
    this.#health.updateLeader(datacenter, { nodeId, address, term })
  }

  get counters(): Readonly<Record<string, number>> {
    const { probes, acks, stale } = this.#health.snapshot()
    const { partitions, healed } = this.#correlation.snapshot()
    return { probes, probeAnswers: acks, staleProbeAnswers: stale, partitions, partitionsHealed: healed }
  }

  stop(): Promise<void> {
    this.#correlation.stop()
    return this.#health.stop()
  }
}
