/** How far away a member is: as measured, else as the coordinates say, else a guess. A poor estimate excludes nobody. */
import type { ClusterState } from './cluster-state.js'
import { coordinateOf, keepCoordinate, measure, measured, measuredBound, newContact } from './contact.js'
import { coordinateQuality, distanceMs, rttUpperBoundMs, type Coordinate } from './coordinate.js'
import type { MemberRecord } from './member-record.js'
import type { PacketReader } from './packet-reader.js'

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
  /** The coordinate at hand: one object for all acks, as nobody keeps it. */
  readonly #theirs: { vec: number[]; heightMs: number; adjustmentMs: number; error: number }

  constructor(state: ClusterState) {
    this.#state = state
    const { vec } = state.vivaldi.coordinate
    this.#theirs = { vec: vec.map(() => 0), heightMs: 0, adjustmentMs: 0, error: 0 }
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
    const { vivaldi } = this.#state
    const { coordinate, coordinateCount } = reader
    const contact = (record.contact ??= newContact())
    // Of a space with other dimensions nothing can be learnt.
    if (coordinateCount - 4 !== vivaldi.coordinate.vec.length) return
    record.contact = keepCoordinate(contact, nowMs, coordinate, coordinateCount)
    if (rttMs > MAX_SAMPLE_MS) return
    const theirs = this.#theirs
    theirs.heightMs = coordinate[0] as number
    theirs.adjustmentMs = coordinate[1] as number
    theirs.error = coordinate[2] as number
    for (let i = 4; i < coordinateCount; i++) theirs.vec[i - 4] = coordinate[i] as number
    vivaldi.observe(record.name, theirs, Math.max(MIN_SAMPLE_MS, rttMs))
  }

  #byCoordinates(theirs: Coordinate, ageMs: number): RttEstimate {
    const { vivaldi } = this.#state
    const ours = vivaldi.coordinate
    const quality = Math.min(
      coordinateQuality({ samples: vivaldi.samples, error: ours.error, ageMs: 0 }),
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
