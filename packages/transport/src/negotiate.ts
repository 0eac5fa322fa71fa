/**
 * What two ends that speak the same major version agree on. Symmetric and idempotent, and never more than both offer.
 * A feature is a word that both ends list, so no table of versions is needed.
 */
import { TransportError } from '@hs/core'

/** What an end speaks. */
export interface ProtocolOffer {
  /** Ends of different majors do not talk. A non-negative integer. */
  readonly major: number
  /** A non-negative integer; a higher one only adds. */
  readonly minor: number
  /** Words for what it can do, in any order. */
  readonly features: readonly string[]
}

/**
 * The same major, the lower minor, the sorted intersection of the features.
 * @throws TransportError `'PEER_REJECTED'` (`details.reason` is `'version'`) if the majors differ or an offer is malformed.
 */
export function negotiate(a: ProtocolOffer, b: ProtocolOffer): ProtocolOffer {
  if (!isOffer(a) || !isOffer(b)) throw rejected('A protocol offer is malformed')
  if (a.major !== b.major) throw rejected(`Protocol version ${a.major} cannot talk to version ${b.major}`)
  const offered = new Set(b.features)
  const features = [...new Set(a.features)].filter((feature) => offered.has(feature)).sort()
  return Object.freeze({ major: a.major, minor: Math.min(a.minor, b.minor), features: Object.freeze(features) })
}

function isOffer(offer: unknown): offer is ProtocolOffer {
  if (typeof offer !== 'object' || offer === null) return false
  const { major, minor, features } = offer as { major?: unknown; minor?: unknown; features?: unknown }
  return isVersion(major) && isVersion(minor) && Array.isArray(features) && features.every((f) => typeof f === 'string')
}

function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function rejected(message: string): TransportError {
  return new TransportError('PEER_REJECTED', message, { notExecuted: true, details: { reason: 'version' } })
}
