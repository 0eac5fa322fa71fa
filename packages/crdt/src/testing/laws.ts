/**
 * The laws of a join, as plain assertions for single states: call them within a property of any library, on states that
 * were reached by mutations and merges. A type that keeps them converges, whatever the network does.
 * Source: Shapiro et al., INRIA RR-7506, 2011, proposition 2.1.
 */
import type { JoinSubject } from './join-subject.js'
import { LawViolation, type Law } from './law-violation.js'

/** @throws LawViolation `'commutative'` unless a ∨ b equals b ∨ a */
export function assertCommutative<S>(subject: JoinSubject<S>, a: S, b: S): void {
  const ab = subject.join(a, b)
  const ba = subject.join(b, a)
  assertEqual(subject, 'commutative', ab, ba, 'join(a, b)', 'join(b, a)', { a, b })
}

/** @throws LawViolation `'associative'` unless (a ∨ b) ∨ c equals a ∨ (b ∨ c) */
export function assertAssociative<S>(subject: JoinSubject<S>, a: S, b: S, c: S): void {
  const left = subject.join(subject.join(a, b), c)
  const right = subject.join(a, subject.join(b, c))
  assertEqual(subject, 'associative', left, right, 'join(join(a, b), c)', 'join(a, join(b, c))', { a, b, c })
}

/** @throws LawViolation `'idempotent'` unless a ∨ a equals a */
export function assertIdempotent<S>(subject: JoinSubject<S>, a: S): void {
  assertEqual(subject, 'idempotent', subject.join(a, a), a, 'join(a, a)', 'a', { a })
}

/**
 * That a change moved the state up, never down or aside.
 * @throws LawViolation `'monotone'` unless before ∨ after equals after
 */
export function assertMonotone<S>(subject: JoinSubject<S>, before: S, after: S): void {
  const joined = subject.join(before, after)
  assertEqual(subject, 'monotone', joined, after, 'join(before, after)', 'after', { before, after })
}

/**
 * All of the laws, for every pair of the three states in every order.
 * @throws LawViolation
 */
export function assertJoinLaws<S>(subject: JoinSubject<S>, a: S, b: S, c: S): void {
  const states = [a, b, c]
  for (const x of states) assertIdempotent(subject, x)
  for (const x of states) for (const y of states) assertCommutative(subject, x, y)
  for (const [i, x] of states.entries()) {
    for (const [j, y] of states.entries()) {
      for (const [k, z] of states.entries()) if (i !== j && j !== k && i !== k) assertAssociative(subject, x, y, z)
    }
  }
  for (const x of states) for (const y of states) assertMonotone(subject, x, subject.join(x, y))
}

function assertEqual<S>(
  subject: JoinSubject<S>,
  law: Law,
  left: S,
  right: S,
  leftName: string,
  rightName: string,
  given: Readonly<Record<string, S>>,
): void {
  if (subject.equals(left, right)) return
  const of = Object.entries(given).map(([name, state]) => `${name} = ${show(subject, state)}`)
  throw new LawViolation(
    law,
    `${leftName} is ${show(subject, left)}, but ${rightName} is ${show(subject, right)}; ${of.join(', ')}`,
  )
}

export function show<S>(subject: JoinSubject<S>, state: S): string {
  const shown: unknown = subject.show === undefined ? state : subject.show(state)
  if (typeof shown === 'string') return shown
  try {
    return JSON.stringify(shown) ?? String(shown)
  } catch (cause) {
    // A bigint, or a cycle: the states matter more than how they look.
    return `${String(shown)} (no JSON: ${String(cause)})`
  }
}
