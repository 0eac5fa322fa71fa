/** What must hold at all times, what must hold in the end, and what should happen in some run at all. */

import { messageOf } from './failure.js'
import type { World } from './world.js'

/** `false`, a text that says what is wrong, or a throw: violated. */
export type Check = () => boolean | string | void

interface Invariant {
  readonly name: string
  readonly check: Check
}

export class Invariants {
  readonly #world: World
  readonly #always: Invariant[] = []
  readonly #eventually: Invariant[] = []
  readonly #coverage = new Map<string, number>()

  constructor(world: World) {
    this.#world = world
  }

  always(name: string, check: Check): void {
    this.#always.push({ name, check })
  }

  eventually(name: string, check: Check): void {
    this.#eventually.push({ name, check })
  }

  /** Counts how often the condition was true. A name whose condition never was is known too, with 0. */
  sometimes(name: string, condition: boolean): void {
    this.#coverage.set(name, (this.#coverage.get(name) ?? 0) + (condition ? 1 : 0))
  }

  get coverage(): Readonly<Record<string, number>> {
    return Object.freeze(Object.fromEntries(this.#coverage))
  }

  /** Fails the world at the first that is violated. */
  checkAlways(): void {
    for (const invariant of this.#always) if (!this.#holds(invariant, 'does not hold')) return
  }

  checkEventually(): void {
    for (const invariant of this.#eventually) if (!this.#holds(invariant, 'does not hold in the end')) return
  }

  #holds({ name, check }: Invariant, complaint: string): boolean {
    const violated = (said: string, options: { cause?: unknown } = {}) => {
      const message = `invariant "${name}" ${complaint}${said === '' ? '' : `: ${said}`}`
      this.#world.fail(
        this.#world.failureOf('INVARIANT_VIOLATED', message, { ...options, details: { invariant: name } }),
      )
      return false
    }
    let result: unknown
    try {
      result = check()
    } catch (cause) {
      return violated(messageOf(cause), { cause })
    }
    if (result === false) return violated('')
    if (typeof result === 'string') return violated(result)
    if (typeof result === 'object' && result !== null && 'then' in result)
      return violated('a check must be synchronous, and returned a promise')
    return true
  }
}
