/** How far away a member is: as measured, else as the coordinates say, else a guess. A poor estimate excludes nobody. */
import type { ClusterState } from './cluster-state.js'
import { coordinateOf, filter, keepCoordinate, measure, measured, measuredBound, newContact } from './contact.js'
import { coordinateQuality, distanceMs, rttUpperBoundMs, type Coordinate } from './coordinate.js'
import type { MemberRecord } from './member-record.js'
import type { PacketReader } from './packet-reader.js'
import { VECTOR } from './position.js'

export interface RttEstimate {
  readonly rttMs: number
  /** What nearly all round trips stay below. */
  readonly upperBoundMs: number
  /** 0 (a guess) to 1 (measured). */
  readonly quality: number
  readonly source: 'measured' | 'coordinates' | 'default'
}

/** How long a measurement is better than coordinates. */
const FRESH_MS = 300_000
const MAX_SAMPLE_MS = 10_000
/** A clock that is coarse, or virtual, may see none at all. */
const MIN_SAMPLE_MS = 0.01

const unknown: RttEstimate = Object.freeze({ rttMs: 100, upperBoundMs: 200, quality: 0, source: 'default' })
const itself: RttEstimate = Object.freeze({ rttMs: 0, upperBoundMs: 0, quality: 1, source: 'measured' })

export class RoundTrips {
  readonly #state: ClusterState

  constructor(state: ClusterState) {
    this.#state = state
  }

  estimate(name: string): RttEstimate {
    if (name === this.#state.self.name) return itself
    const record = this.#state.table.get(name)
    return record === undefined ? unknown : this.estimateOf(record)
  }

  estimateOf(record: MemberRecord): RttEstimate {
    const { contact } = record
    if (contact === undefined) return unknown
    const now = this.#state.clock.now()
    const sample = measured(contact)
    if (sample !== undefined && now - sample.atMs <= FRESH_MS) {
      const { rttMs, upperBoundMs } = sample
      return Object.freeze({ rttMs, upperBoundMs, quality: 1, source: 'measured' })
    }
    const theirs = coordinateOf(contact)
    return theirs === undefined ? unknown : this.#byCoordinates(theirs.coordinate, now - theirs.atMs)
  }

  /** An upper bound of the round trip for timeouts; 0 if nothing is known. No estimate is built. */
  boundOf(record: MemberRecord): number {
    if (record.contact === undefined) return 0
    const boundMs = measuredBound(record.contact, this.#state.clock.now() - FRESH_MS)
    if (!Number.isNaN(boundMs)) return boundMs
    const { source, upperBoundMs } = this.estimateOf(record)
    return source === 'default' ? 0 : upperBoundMs
  }

  /** A round trip that was measured. */
  sample(record: MemberRecord, nowMs: number, rttMs: number): void {
    if (rttMs > MAX_SAMPLE_MS) return
    measure((record.contact ??= newContact()), nowMs, Math.max(0, rttMs))
  }

  /** The coordinate on an ack, and the round trip that it came with. */
  learn(record: MemberRecord, reader: PacketReader, nowMs: number, rttMs: number): void {
    const { position } = this.#state
    const { coordinate, coordinateCount } = reader
    const contact = (record.contact ??= newContact())
    // Of a space with other dimensions nothing can be learnt.
    if (coordinateCount !== VECTOR + position.vec.length) return
    record.contact = keepCoordinate(contact, nowMs, coordinate, coordinateCount)
    if (rttMs > MAX_SAMPLE_MS) return
    position.observe(coordinate, filter(record.contact, Math.max(MIN_SAMPLE_MS, rttMs)))
  }

  #byCoordinates(theirs: Coordinate, ageMs: number): RttEstimate {
    const { position } = this.#state
    const ours = position.coordinate
    const quality = Math.min(
      coordinateQuality({ samples: position.samples, error: ours.error, ageMs: 0 }),
      coordinateQuality({ samples: theirs.samples ?? 0, error: theirs.error, ageMs }),
    )
    return Object.freeze({
      rttMs: distanceMs(ours, theirs),
      upperBoundMs: rttUpperBoundMs(ours, theirs),
      quality,
      source: 'coordinates',
    })
  }
}
