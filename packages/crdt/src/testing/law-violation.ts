/** What the checkers throw: which law does not hold, and the states that show it. */

export type Law = 'commutative' | 'associative' | 'idempotent' | 'monotone' | 'convergence'

/** A law that does not hold. */
export class LawViolation extends Error {
  readonly law: Law

  constructor(law: Law, message: string, options?: ErrorOptions) {
    super(`broken law "${law}": ${message}`, options)
    this.name = 'LawViolation'
    this.law = law
  }
}
