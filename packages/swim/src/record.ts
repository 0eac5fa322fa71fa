/**
 * What overrides what: the order of everything that can be said about a member. Higher generation, then higher
 * incarnation, then higher rank of the status. The order is total, so views are a join semilattice: whatever the order,
 * the losses and the repetitions of the same news, all end in the same view.
 * Source: Das, Gupta, Motivala, "SWIM" (DSN 2002), section 4.2; generations are core's `NodeId`.
 */
import type { MemberStatus } from './member.js'

/** The statuses that are told to others. */
export type ToldStatus = Exclude<MemberStatus, 'unconfirmed'>

export interface RecordVersion {
  readonly generation: number
  readonly incarnation: number
  readonly status: ToldStatus
}

/** Statuses as ranks, as they stand on records and on the wire. */
export const ALIVE = 0
export const SUSPECT = 1
export const DEAD = 2
export const LEFT = 3
/** Known by hearsay only: below all that is told. */
export const UNCONFIRMED = -1

export type ToldRank = typeof ALIVE | typeof SUSPECT | typeof DEAD | typeof LEFT
export type Rank = ToldRank | typeof UNCONFIRMED

const ranks: Readonly<Record<ToldStatus, ToldRank>> = { alive: ALIVE, suspect: SUSPECT, dead: DEAD, left: LEFT }
const statuses: readonly ToldStatus[] = ['alive', 'suspect', 'dead', 'left']

/** Whether `a` is news to who holds `b`. */
export function overrides(a: RecordVersion, b: RecordVersion): boolean {
  return isLater(a.generation, a.incarnation, ranks[a.status], b.generation, b.incarnation, ranks[b.status])
}

/** `overrides` on bare numbers. */
export function isLater(
  generation: number,
  incarnation: number,
  rank: Rank,
  heldGeneration: number,
  heldIncarnation: number,
  heldRank: Rank,
): boolean {
  if (generation !== heldGeneration) return generation > heldGeneration
  if (incarnation !== heldIncarnation) return incarnation > heldIncarnation
  return rank > heldRank
}

export function statusOf(rank: Rank): MemberStatus {
  return rank === UNCONFIRMED ? 'unconfirmed' : (statuses[rank] as ToldStatus)
}

/** Whether it counts as a member: probed, gossiped to, in `size`. */
export function isActive(rank: Rank): boolean {
  return rank === ALIVE || rank === SUSPECT
}

/** What a step from one status to the next means to the application; nothing where it is not told. */
export type Transition = 'joined' | 'suspected' | 'recovered' | 'dead' | 'left' | 'silent'

/**
 * The steps within one generation. From `dead` and `left` to `alive`: a refutation that came late.
 * A restart is a step to another generation: `dead` for the old process if it was active, then `joined` for the new.
 */
export const transitions: Readonly<Record<MemberStatus, Readonly<Record<ToldStatus, Transition>>>> = {
  unconfirmed: { alive: 'joined', suspect: 'silent', dead: 'silent', left: 'silent' },
  alive: { alive: 'silent', suspect: 'suspected', dead: 'dead', left: 'left' },
  suspect: { alive: 'recovered', suspect: 'suspected', dead: 'dead', left: 'left' },
  dead: { alive: 'joined', suspect: 'silent', dead: 'silent', left: 'silent' },
  left: { alive: 'joined', suspect: 'silent', dead: 'silent', left: 'silent' },
}
