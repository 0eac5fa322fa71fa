/**
 * A network that loses, repeats and reorders, for any type with deltas: whatever it does to them, replicas that then
 * exchange full states are equal. Everything is drawn from the seed, so a violation can be seen again.
 */
import type { Random } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import type { Crdt } from '../crdt.js'
import { crdtSubject } from './join-subject.js'
import { LawViolation } from './law-violation.js'
import { show } from './laws.js'

export interface AssertConvergesOptions<S extends Crdt<S>> {
  /** A new replica, empty. */
  create(replica: number): S
  /** One change of its own, drawn from `random` alone. */
  mutate(state: S, random: Random, replica: number): void
  /** What arrives at a replica: JSON of another's `toWire()`. */
  decode(wire: unknown, replica: number): S
  /** From 2. @default 3 */
  replicas?: number
  /** @default 200 */
  steps?: number
  /** @default 1 */
  seed?: number
  /** How likely a delta does not reach a replica, 0 to 1. @default 0.3 */
  loss?: number
  /** How likely it reaches it twice, 0 to 1. @default 0.2 */
  duplicate?: number
}

/**
 * At each step one replica mutates, and half the time it offers its delta to every other; what was sent arrives at any
 * later step, in any order, or never. Afterwards all exchange full states twice.
 * @returns how many deltas were taken
 * @throws LawViolation `'convergence'`, naming the seed
 */
export function assertConverges<S extends Crdt<S>>(
  options: AssertConvergesOptions<S>,
): { deltas: number; seed: number } {
  const { replicas: size = 3, steps = 200, seed = 1 } = options
  const random = new SeededRandom(seed)
  const replicas = Array.from({ length: size }, (_, replica) => options.create(replica))
  const network = new LossyNetwork(options, random)
  let deltas = 0
  for (let step = 0; step < steps; step++) {
    network.deliver(replicas)
    const from = random.int(size)
    const state = replicas[from] as S
    options.mutate(state, random, from)
    const delta = random.next() < 0.5 ? state.takeDelta() : null
    if (delta === null) continue
    deltas++
    network.offer(delta, from, size)
  }
  for (let round = 0; round < 2; round++) exchangeAll(replicas, options)
  assertAllEqual(replicas, seed)
  return { deltas, seed }
}

/** What is under way, each for one replica. */
class LossyNetwork<S extends Crdt<S>> {
  readonly #underway: { readonly to: number; readonly text: string }[] = []
  readonly #options: AssertConvergesOptions<S>
  readonly #random: Random

  constructor(options: AssertConvergesOptions<S>, random: Random) {
    this.#options = options
    this.#random = random
  }

  offer(delta: S, from: number, size: number): void {
    const { loss = 0.3, duplicate = 0.2 } = this.#options
    const text = JSON.stringify(delta.toWire())
    for (let to = 0; to < size; to++) {
      if (to === from || this.#random.next() < loss) continue
      this.#underway.push({ to, text })
      if (this.#random.next() < duplicate) this.#underway.push({ to, text })
    }
  }

  /** Any number of what is under way, in any order; what stays may come later, or never. */
  deliver(replicas: readonly S[]): void {
    for (let left = this.#random.int(this.#underway.length + 1); left > 0; left--) {
      const index = this.#random.int(this.#underway.length)
      const [message] = this.#underway.splice(index, 1)
      if (message === undefined) return
      replicas[message.to]?.merge(this.#options.decode(JSON.parse(message.text), message.to))
    }
  }
}

function exchangeAll<S extends Crdt<S>>(replicas: readonly S[], options: AssertConvergesOptions<S>): void {
  for (const [from, sender] of replicas.entries()) {
    const text = JSON.stringify(sender.toWire())
    for (const [to, receiver] of replicas.entries()) {
      if (to !== from) receiver.merge(options.decode(JSON.parse(text), to))
    }
  }
}

function assertAllEqual<S extends Crdt<S>>(replicas: readonly S[], seed: number): void {
  const subject = crdtSubject<S>()
  const [first] = replicas
  for (const [index, replica] of replicas.entries()) {
    if (first === undefined || subject.equals(first, replica)) continue
    throw new LawViolation(
      'convergence',
      `with seed ${seed} replica 0 ends as ${show(subject, first)}, but replica ${index} as ${show(subject, replica)}`,
    )
  }
}
