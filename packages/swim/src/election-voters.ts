/**
 * Who elects, where the electorate may change: a list of names that is replicated state itself, versioned by the term
 * of the leader who issued it and a counter. Lists that differ by one name have majorities that meet, so one change at
 * a time keeps every two quorums in contact.
 * Source: Schultz, Dardik, Tripakis, "Design and Analysis of a Logless Dynamic Reconfiguration Protocol" (OPODIS 2021).
 */
import { HsError } from '@hs/core'

export interface VoterList {
  readonly voters: readonly string[]
  /** Of the leader that issued it; 0: nobody, it is the option. */
  readonly term: number
  readonly version: number
}

export type VoterChange = { readonly add: string } | { readonly remove: string }

/** What a member may be called. */
export const memberName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

export const MAX_VOTERS = 31
/** The list travels in one datagram with the rest of a message. */
const MAX_LIST_BYTES = 900

export function quorumOf(n: number): number {
  return Math.floor(n / 2) + 1
}

/** Positive: `a` is newer than `b`. */
export function compareLists(a: VoterList, b: VoterList): number {
  return a.term - b.term || a.version - b.version
}

export function sameList(a: VoterList, b: VoterList): boolean {
  return compareLists(a, b) === 0
}

/** Whether a majority of the list is among `names`. */
export function hasQuorum(list: VoterList, names: ReadonlySet<string>): boolean {
  let found = 0
  for (const voter of list.voters) if (names.has(voter)) found++
  return found >= quorumOf(list.voters.length)
}

/** Why these names cannot be a list, if they cannot. */
export function faultOfVoters(voters: readonly string[]): string | undefined {
  if (voters.length === 0) return 'expected at least one voter'
  if (voters.length > MAX_VOTERS) return `expected at most ${MAX_VOTERS} voters`
  if (new Set(voters).size !== voters.length) return 'expected each voter once'
  if (voters.some((name) => typeof name !== 'string' || !memberName.test(name))) return 'expected names of members'
  const bytes = voters.reduce((sum, name) => sum + name.length + 2, 0)
  return bytes > MAX_LIST_BYTES ? `expected names of at most ${MAX_LIST_BYTES} bytes together` : undefined
}

/**
 * The voters after a change.
 * @throws HsError `'INVALID_ARGUMENT'` if it is none, and for the removal of `self`, who would go on leading a list
 * that it is not on.
 */
export function votersAfter(voters: readonly string[], change: VoterChange, self: string): string[] {
  const after = applyChange(voters, change, self)
  const fault = typeof after === 'string' ? after : faultOfVoters(after)
  if (typeof after === 'string' || fault !== undefined) {
    throw new HsError('INVALID_ARGUMENT', `changeVoters: ${fault}`, { details: { voters, change } })
  }
  return after
}

function applyChange(voters: readonly string[], change: VoterChange, self: string): string[] | string {
  if (typeof change !== 'object' || change === null || 'add' in change === 'remove' in change)
    return 'expected either { add } or { remove }'
  if ('add' in change) return voters.includes(change.add) ? `${change.add} votes already` : [...voters, change.add]
  if (!voters.includes(change.remove)) return `${String(change.remove)} does not vote`
  if (change.remove === self) return 'the leader cannot remove itself: resign first, then let its successor do it'
  return voters.filter((name) => name !== change.remove)
}
