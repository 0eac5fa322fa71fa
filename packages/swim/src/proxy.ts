/**
 * Probes on behalf of others: pings the target, passes its ack on, or says after a while that there is none. Never
 * answers from memory: what this node believes of the target is not asked.
 */
import type { ClusterState } from './cluster-state.js'
import type { Outbox } from './outbox.js'
import type { OutstandingPings } from './outstanding.js'
import type { PacketReader } from './packet-reader.js'

/** A nack is sent after this share of the time that the asker waits. */
const NACK_SHARE = 0.8
/** Requests that are worked on; more are dropped, as a lost packet would be. */
const MAX_RELAYS = 1_024

export class Proxy {
  readonly #state: ClusterState
  readonly #outbox: Outbox
  readonly #pings: OutstandingPings
  #relays = 0

  constructor(state: ClusterState, outbox: Outbox, pings: OutstandingPings) {
    this.#state = state
    this.#outbox = outbox
    this.#pings = pings
  }

  /** Serves the ping-req in the reader. */
  serve(from: string, reader: PacketReader): void {
    const { clock, table } = this.#state
    if (this.#relays >= MAX_RELAYS) return
    const { sequence: asked, nackAfterMs } = reader
    const target = reader.target()
    const address = reader.text()
    const end = () => {
      if (!this.#pings.delete(sequence)) return
      this.#relays--
      timer?.cancel()
    }
    let hasNacked = false
    const sequence = this.#pings.add({
      target,
      sentMs: clock.now(),
      answered: () => {
        end()
        this.#outbox.relayed(from, asked, target)
      },
    })
    this.#relays++
    const timer = this.#state.schedule(nackAfterMs, () => {
      if (hasNacked) return end()
      hasNacked = true
      this.#outbox.nack(from, asked)
      // The asker still waits a little.
      this.#state.reschedule(timer, nackAfterMs * (1 / NACK_SHARE - 1))
    })
    this.#outbox.ping(address, sequence, target, table.get(target))
  }
}
