/** Where probes of a datacenter go, and by whose word. */
import { HsError } from '@hs/core'

export interface LeaderHint {
  /** The transport judges it. */
  readonly address: string
  readonly nodeId?: string
  /** Of its election: a hint of a higher term takes the place of this one. @default 0 */
  readonly term?: number
}

/** A hint whose term is known. */
export type KnownLeader = LeaderHint & { readonly term: number }

/** @throws HsError `'INVALID_ARGUMENT'` */
export function knownLeader({ address, nodeId, term = 0 }: LeaderHint): KnownLeader {
  if (typeof address !== 'string' || address === '')
    throw new HsError('INVALID_ARGUMENT', `The address of a leader is text, found ${JSON.stringify(address)}`)
  if (!Number.isSafeInteger(term) || term < 0)
    throw new HsError('INVALID_ARGUMENT', `The term of a leader is an integer of at least 0, found ${String(term)}`)
  return Object.freeze(nodeId === undefined ? { address, term } : { address, nodeId, term })
}
