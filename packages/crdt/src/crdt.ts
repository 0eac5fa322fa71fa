/**
 * What every type of this package is: a state-based CRDT, whose states form a lattice that `merge` joins, with deltas.
 * Sources: M. Shapiro, N. Preguiça, C. Baquero, M. Zawirski: "A comprehensive study of Convergent and Commutative
 * Replicated Data Types", INRIA RR-7506, 2011. P. S. Almeida, A. Shoker, C. Baquero: "Delta state replicated data
 * types", JPDC 111, 2018. V. Enes, P. S. Almeida, C. Baquero, J. Leitão: "Efficient Synchronization of State-based
 * CRDTs", ICDE 2019: only what a merge changed is passed on, so an echo ends after one round.
 */

/** What every type here is, and what the checkers of `@hs/crdt/testing` ask of yours. */
export interface Crdt<S> {
  /**
   * Joins `other` into this replica: commutative, associative, idempotent, never down. All or nothing: whatever it
   * refuses, it refuses before it changes anything. True if anything changed.
   */
  merge(other: S): boolean
  /**
   * All that changed here since the last call, merges included, as an object of the same type; null if nothing did.
   * Deltas may be lost, repeated and reordered: a lost one delays its change until the next full state.
   */
  takeDelta(): S | null
  /** The same state, with nothing in its delta. */
  clone(): S
  /** Whether the state is the same, which is more than the same value. What waits in the delta is not state. */
  equals(other: S): boolean
  /** Plain data for JSON or the codec of `@hs/core`. */
  toWire(): unknown
}
