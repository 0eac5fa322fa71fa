/** Addresses through which to join. A seed is no member: it is never suspected, counted or gossiped. */
import { LimitError, type WheelTimer } from '@hs/core'
import type { ClusterState } from './cluster-state.js'

export interface Seed {
  readonly address: string
  /** It has answered. */
  confirmed: boolean
  attempts: number
  /** Who answered there last. */
  member: string | undefined
  /** Since when it has not answered, if it does not. */
  silentSinceMs: number | undefined
  watch: WheelTimer | undefined
}

const UNREACHABLE_MS = 60_000
const MAX_SEEDS = 1_024

export class Seeds implements Iterable<Seed> {
  readonly #state: ClusterState
  readonly #byAddress = new Map<string, Seed>()

  constructor(state: ClusterState) {
    this.#state = state
    for (const address of state.settings.seeds) this.add(address)
  }

  /** @throws LimitError */
  add(address: string): Seed {
    const known = this.#byAddress.get(address)
    if (known !== undefined) return known
    if (this.#byAddress.size >= MAX_SEEDS) throw new LimitError('Seeds of a cluster', MAX_SEEDS, MAX_SEEDS + 1)
    const seed: Seed = {
      address,
      confirmed: false,
      attempts: 0,
      member: undefined,
      silentSinceMs: undefined,
      watch: undefined,
    }
    this.#byAddress.set(address, seed)
    return seed
  }

  /** Seeds that may be somebody else. */
  others(): Seed[] {
    const { rpcAddress } = this.#state.self
    return [...this].filter((seed) => seed.address !== rpcAddress)
  }

  /** It turned out to be this node itself. */
  drop(seed: Seed): void {
    this.answered(seed)
    this.#byAddress.delete(seed.address)
  }

  attempted(seed: Seed): void {
    seed.attempts++
    if (seed.silentSinceMs !== undefined) return
    seed.silentSinceMs = this.#state.clock.now()
    seed.watch = this.#state.schedule(UNREACHABLE_MS, () => this.#report(seed))
  }

  answered(seed: Seed): void {
    seed.confirmed = true
    seed.silentSinceMs = undefined
    seed.watch?.cancel()
  }

  [Symbol.iterator](): Iterator<Seed> {
    return this.#byAddress.values()
  }

  #report({ address, attempts, silentSinceMs }: Seed): void {
    const { clock, events, settings } = this.#state
    if (silentSinceMs === undefined) return
    const sinceMs = clock.now() - silentSinceMs
    settings.logger.warn('Cluster: a seed does not answer', { address, sinceMs, attempts })
    events.emit('seedUnreachable', { address, sinceMs, attempts })
  }
}
