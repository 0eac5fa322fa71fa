/** Round trips that the application asks for. */
import { ClosedError, HsError } from '@hs/core'
import type { ClusterState } from './cluster-state.js'
import type { MemberRecord } from './member-record.js'
import type { Outbox } from './outbox.js'
import type { OutstandingPings } from './outstanding.js'

export class UserPings {
  readonly #state: ClusterState
  readonly #outbox: Outbox
  readonly #pings: OutstandingPings
  readonly #waiting = new Set<(error: HsError) => void>()

  constructor(state: ClusterState, outbox: Outbox, pings: OutstandingPings) {
    this.#state = state
    this.#outbox = outbox
    this.#pings = pings
  }

  ping(record: MemberRecord, timeoutMs: number): Promise<number> {
    const { clock } = this.#state
    const { name, address } = record
    return new Promise((resolve, reject) => {
      const sentMs = clock.now()
      const finish = () => {
        this.#pings.delete(sequence)
        this.#waiting.delete(fail)
        timer?.cancel()
      }
      const fail = (error: HsError) => {
        finish()
        reject(error)
      }
      const sequence = this.#pings.add({
        target: name,
        sentMs,
        answered: () => {
          finish()
          resolve(clock.now() - sentMs)
        },
      })
      this.#waiting.add(fail)
      const timer = this.#state.schedule(timeoutMs, () =>
        fail(
          new HsError('PROBE_TIMEOUT', `${name} did not answer within ${timeoutMs} ms`, {
            details: { member: name, timeoutMs },
          }),
        ),
      )
      if (timer === undefined) fail(new ClosedError('Cluster'))
      else this.#outbox.ping(address, sequence, name, record)
    })
  }

  /** Nothing will be answered any more. */
  end(): void {
    for (const fail of [...this.#waiting]) fail(new ClosedError('Cluster'))
  }
}
