/**
 * Whose votes count, and how many make a quorum: a majority of a fixed number of names, or of a list that is replicated
 * state. Never of the members that seem alive: a minority that has declared the rest dead would elect itself.
 */
import { HsError } from '@hs/core'
import { compareLists, hasQuorum, quorumOf, type VoterList } from './election-voters.js'

export class VoterRoll {
  readonly #size: number
  readonly #members: () => readonly string[]
  #list: VoterList | undefined
  #exceeded = false

  /** @param members names of this election's role that may hold a vote, for an electorate of fixed size */
  constructor(
    of: { readonly size: number } | { readonly voters: readonly string[] },
    members: () => readonly string[],
  ) {
    this.#members = members
    this.#size = 'size' in of ? of.size : of.voters.length
    if ('voters' in of) this.#list = frozen({ voters: of.voters, term: 0, version: 0 })
  }

  /** Undefined: its size is fixed. */
  get list(): VoterList | undefined {
    return this.#list
  }

  /** How many names it has. */
  get size(): number {
    return this.#list?.voters.length ?? this.#size
  }

  get quorum(): number {
    return quorumOf(this.size)
  }

  get names(): readonly string[] {
    return this.#list?.voters ?? this.#members()
  }

  has(name: string): boolean {
    return this.names.includes(name)
  }

  /** Whether these voters are a majority. */
  isQuorum(voters: ReadonlySet<string>): boolean {
    return this.#list === undefined ? voters.size >= this.quorum : hasQuorum(this.#list, voters)
  }

  /** Whether this is a newer list than the one held. */
  isBehind(list: VoterList | undefined): list is VoterList {
    return list !== undefined && this.#list !== undefined && compareLists(list, this.#list) > 0
  }

  /** Whether whoever shows this list knows all that this node knows. */
  isCurrent(theirs: VoterList | undefined): boolean {
    return this.#list === undefined || (theirs !== undefined && compareLists(theirs, this.#list) >= 0)
  }

  /** True if names come or go by it. Nothing for an electorate of fixed size. */
  replace(list: VoterList): boolean {
    if (this.#list === undefined) return false
    const changed = list.voters.join() !== this.#list.voters.join()
    this.#list = frozen(list)
    return changed
  }

  /**
   * Whether more names are known than there are: two quorums need not meet any more, so nobody may elect.
   * @param onExceeded told when it begins
   */
  isExceeded(onExceeded: (error: HsError) => void): boolean {
    if (this.#list !== undefined) return false
    const names = this.#members()
    const before = this.#exceeded
    this.#exceeded = names.length > this.#size
    if (this.#exceeded && !before) {
      onExceeded(
        new HsError(
          'ELECTORATE_EXCEEDED',
          `The electorate has ${this.#size} members but ${names.length} are known: no votes until some are forgotten`,
          { details: { size: this.#size, names: [...names] } },
        ),
      )
    }
    return this.#exceeded
  }
}

/** It is handed out by getters, and who reads it must not change who votes. */
function frozen({ voters, term, version }: VoterList): VoterList {
  return Object.freeze({ voters: Object.freeze([...voters]), term, version })
}
