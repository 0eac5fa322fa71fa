/**
 * Makes a plan of faults smaller as long as it still fails: delta debugging over the list until no single fault can be
 * left out, then each duration is halved as often as the failure stands it.
 * Source: A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002.
 */

import type { Fault } from './fault.js'

export interface Shrunk {
  /** Fails too, and is no larger. */
  readonly faults: Fault[]
  /** How often `fails` was asked. */
  readonly runs: number
}

/**
 * @param faults a plan that fails
 * @param fails whether another plan fails in the same way
 * @param maxRuns how often `fails` may be asked
 */
export async function shrink(
  faults: readonly Fault[],
  fails: (candidate: readonly Fault[]) => Promise<boolean>,
  maxRuns: number,
): Promise<Shrunk> {
  const budget = new Budget(fails, maxRuns)
  const few = await removeFaults(faults, budget)
  return { faults: await halveDurations(few, budget), runs: budget.runs }
}

/** Asks as often as allowed and no plan twice; afterwards nothing fails, so whoever searches keeps what it has. */
class Budget {
  runs = 0
  readonly #fails: (candidate: readonly Fault[]) => Promise<boolean>
  readonly #maxRuns: number
  readonly #known = new Map<string, boolean>()

  constructor(fails: (candidate: readonly Fault[]) => Promise<boolean>, maxRuns: number) {
    this.#fails = fails
    this.#maxRuns = maxRuns
  }

  async fails(candidate: readonly Fault[]): Promise<boolean> {
    const key = JSON.stringify(candidate)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    if (this.runs >= this.#maxRuns) return false
    this.runs++
    const outcome = await this.#fails(candidate)
    this.#known.set(key, outcome)
    return outcome
  }
}

/** ddmin, with the empty plan first: a failure without any fault is the most telling one. */
async function removeFaults(faults: readonly Fault[], budget: Budget): Promise<Fault[]> {
  let rest = [...faults]
  if (rest.length === 0 || (await budget.fails([]))) return []
  for (let parts = 2; rest.length >= 2;) {
    const chunks = split(rest, parts)
    const chunk = await firstFailing(chunks, budget)
    if (chunk !== undefined) {
      rest = chunk
      parts = 2
      continue
    }
    const complements = parts === 2 ? [] : chunks.map((_, index) => chunks.filter((_, other) => other !== index).flat())
    const complement = await firstFailing(complements, budget)
    if (complement !== undefined) {
      rest = complement
      parts = Math.max(parts - 1, 2)
      continue
    }
    if (parts >= rest.length) return rest
    parts = Math.min(parts * 2, rest.length)
  }
  return rest
}

async function firstFailing(candidates: readonly Fault[][], budget: Budget): Promise<Fault[] | undefined> {
  for (const candidate of candidates) if (await budget.fails(candidate)) return candidate
  return undefined
}

function split(faults: readonly Fault[], parts: number): Fault[][] {
  return Array.from({ length: parts }, (_, index) =>
    faults.slice(Math.floor((index * faults.length) / parts), Math.floor(((index + 1) * faults.length) / parts)),
  )
}

async function halveDurations(faults: readonly Fault[], budget: Budget): Promise<Fault[]> {
  let best = [...faults]
  for (let index = 0; index < best.length; index++) {
    for (let shorter = withHalf(best, index); shorter !== undefined; shorter = withHalf(best, index)) {
      if (!(await budget.fails(shorter))) break
      best = shorter
    }
  }
  return best
}

/** The plan with one duration halved; undefined when that is down to a millisecond. */
function withHalf(faults: readonly Fault[], index: number): Fault[] | undefined {
  const fault = faults[index]
  if (fault === undefined || fault.forMs < 2) return undefined
  return faults.with(index, { ...fault, forMs: Math.floor(fault.forMs / 2) })
}
