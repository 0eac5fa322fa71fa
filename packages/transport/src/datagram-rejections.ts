/**
 * Datagrams that were refused, by reason: every one is counted, and the log gets one line per reason and 10 s with the
 * number since the line before, so that neither a flood fills the log nor a wrong key stays silent.
 */
import type { Clock } from '@hs/core'
import type { HarmlessLogger } from './harmless-logger.js'

/** Why a sealed datagram was not opened. */
export type SealRejection = 'malformed' | 'unknownKey' | 'auth' | 'replay' | 'stale' | 'sendersFull'

/** Why a datagram did not reach the handler; the last two concern plain ones. */
export type DatagramRejection = SealRejection | 'plaintext' | 'wrongLabel'

const LOG_INTERVAL_MS = 10_000

const meaning: Readonly<Record<DatagramRejection, string>> = {
  malformed: 'they are no datagrams of this protocol',
  unknownKey: 'they are sealed with a key that this node does not have',
  auth: 'they do not authenticate: another key, another label, or altered on the way',
  replay: 'they were received before',
  stale: 'their time differs too much from the clock of this node',
  sendersFull: 'there are too many senders',
  plaintext: 'they are not sealed, and this node requires it',
  wrongLabel: 'they carry the label of another cluster',
}

interface ReasonRecord {
  count: number
  logged: number
  nextLineAtMs: number
  lastFrom: string
}

export class DatagramRejections {
  readonly #clock: Clock
  readonly #logger: HarmlessLogger
  readonly #owner: string
  readonly #reasons = Object.fromEntries(
    Object.keys(meaning).map((reason) => [reason, { count: 0, logged: 0, nextLineAtMs: -Infinity, lastFrom: '' }]),
  ) as Record<DatagramRejection, ReasonRecord>

  constructor(owner: string, clock: Clock, logger: HarmlessLogger) {
    this.#owner = owner
    this.#clock = clock
    this.#logger = logger
  }

  /** Counts one from `from`, and logs if this reason's last line is long enough ago. */
  add(reason: DatagramRejection, from: string): void {
    const record = this.#reasons[reason]
    record.count++
    record.lastFrom = from
    const now = this.#clock.now()
    if (now < record.nextLineAtMs) return
    record.nextLineAtMs = now + LOG_INTERVAL_MS
    this.#log(reason, record)
  }

  /** Logs what no line has told yet. */
  flush(): void {
    for (const [reason, record] of Object.entries(this.#reasons)) {
      if (record.count > record.logged) this.#log(reason as DatagramRejection, record)
    }
  }

  counts(): Readonly<Record<DatagramRejection, number>> {
    const entries = Object.entries(this.#reasons).map(([reason, { count }]) => [reason, count])
    return Object.freeze(Object.fromEntries(entries)) as Record<DatagramRejection, number>
  }

  #log(reason: DatagramRejection, record: ReasonRecord): void {
    const count = record.count - record.logged
    record.logged = record.count
    this.#logger.warn(`${this.#owner}: datagrams rejected, ${meaning[reason]}`, {
      reason,
      count,
      from: record.lastFrom,
    })
  }
}
