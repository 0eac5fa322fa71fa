/** What the checkers of the laws need to know of a type: how two states join, and when they are equal. */
import type { Crdt } from '../crdt.js'

export interface JoinSubject<S> {
  /** The least state that is above both; leaves both alone. */
  join(a: S, b: S): S
  equals(a: S, b: S): boolean
  /** For messages. @default the state as JSON */
  show?(s: S): unknown
}

/** For types that implement `Crdt`. */
export function crdtSubject<S extends Crdt<S>>(): JoinSubject<S> {
  return {
    join(a, b) {
      const joined = a.clone()
      joined.merge(b)
      return joined
    },
    equals: (a, b) => a.equals(b) && b.equals(a),
    show: (s) => s.toWire(),
  }
}
