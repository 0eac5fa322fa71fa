/**
 * In which order gates should own a job: by weight of the pair (rendezvous hashing), so that the order of those that
 * stay does not change when another one comes or goes, and all who see the same gates agree.
 * Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998.
 */
import { sha256 } from '@noble/hashes/sha2.js'

const WEIGHT_BYTES = 6

/** The names, the first owner first. */
export function gateOrder(jobId: string, names: readonly string[]): string[] {
  const weighed = names.map((name) => ({ name, weight: weightOf(jobId, name) }))
  weighed.sort((a, b) => b.weight - a.weight || (a.name < b.name ? -1 : 1))
  return weighed.map(({ name }) => name)
}

function weightOf(jobId: string, name: string): number {
  let weight = 0
  for (const byte of sha256(new TextEncoder().encode(`${jobId}\0${name}`)).subarray(0, WEIGHT_BYTES))
    weight = weight * 256 + byte
  return weight
}
