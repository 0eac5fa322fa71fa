/** A small protocol with one known flaw, and its mended twin. */

import type { Fault, Scenario } from '@hs/sim'

export interface Planted {
  /** What is wrong, in a few words. */
  readonly flaw: string
  /** Kinds of the faults that it takes, in order of their beginnings: what a campaign must shrink its plan to. */
  readonly minimal: readonly Fault['kind'][]
  readonly flawed: Scenario
  readonly mended: Scenario
}

/** Both twins of a scenario that takes the mend as a parameter. */
export function planted(
  flaw: string,
  minimal: readonly Fault['kind'][],
  scenario: (mended: boolean) => Omit<Scenario, 'name'>,
): Planted {
  return {
    flaw,
    minimal,
    flawed: { name: flaw, ...scenario(false) },
    mended: { name: `${flaw}, mended`, ...scenario(true) },
  }
}

export function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

export function decode<T>(bytes: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(bytes)) as T
}
