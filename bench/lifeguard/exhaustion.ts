/**
 * Members that get no processor: for five minutes they stand still for 0.5 to 32 s and run for 4 ms to 1 s, in turn and
 * each in its own time. *Paused*: their event loop stands still, so their timers fire late and what is sent to them
 * waits, as it is with a real process. *Held*: only their messages wait, and their timers accuse in time.
 * Source: Dadgar, Phillips, Currey, "Lifeguard" (arXiv 1707.00788), figure 1, where a load generator took the processor.
 */
import type { Clock } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import { Simulation, type SimNode } from '@hs/sim'
import { Cluster, type ClusterOptions } from '@hs/swim'
import type { Configuration } from './configurations.js'
import { Group, numberOf, seedAddresses } from './group.js'

const QUIET_MS = 15_000

export interface Distress {
  readonly members: number
  /** How many are in distress. */
  readonly distressed: number
  readonly distressMs: number
  readonly seed: number
  readonly manner: 'paused' | 'held'
}

/** Deaths reported of members that were never in distress. */
export interface Accusations {
  readonly byDistressed: number
  readonly byHealthy: number
}

/** What can be made to stand still. */
interface Stoppable {
  stop(): void
  go(): void
}

export function exhaust(distress: Distress, { options }: Pick<Configuration, 'options'>): Promise<Accusations> {
  return distress.manner === 'held' ? hold(distress, options) : pause(distress, options)
}

async function hold(
  { members, distressed, distressMs, seed }: Distress,
  options: Partial<ClusterOptions>,
): Promise<Accusations> {
  const group = new Group(members, seed, options)
  await group.start(QUIET_MS)
  const drawn = group.draw(distressed)
  const counts = new Counts(drawn)
  for (const member of group.members) counts.watch(member)
  for (const i of drawn) {
    const gate = group.gates[i]
    if (gate !== undefined)
      alternate(group.clock, group.dice.fork(`distress ${i}`), distressMs, {
        stop: () => gate.hold(),
        go: () => gate.release(),
      })
  }
  await group.clock.advanceAsync(distressMs + QUIET_MS)
  await group.stop()
  return counts
}

/** Stalls are what `stallToleranceMs` is for: it has its default. */
async function pause(
  { members, distressed, distressMs, seed }: Distress,
  { stallToleranceMs: _, ...options }: Partial<ClusterOptions>,
): Promise<Accusations> {
  const sim = new Simulation({ seed, link: { latency: 1 }, maxEvents: Number.MAX_SAFE_INTEGER })
  const nodes: SimNode<Cluster>[] = Array.from({ length: members }, (_, i) =>
    sim.node(`n${i}`, async ({ name, clock, random, logger, datagram, rpc }) => {
      const seeds = seedAddresses
      const cluster = new Cluster({ ...options, name, clock, random, logger, datagram, rpc, seeds, historySize: 0 })
      await cluster.start()
      return cluster
    }),
  )
  await sim.runFor(QUIET_MS)
  const dice = new SeededRandom(seed)
  const drawn = dice.shuffle([...nodes.keys()]).slice(0, distressed)
  const counts = new Counts(drawn)
  for (const { app } of nodes) if (app !== undefined) counts.watch(app)
  for (const i of drawn) {
    const node = nodes[i]
    if (node !== undefined)
      alternate(sim.clock, dice.fork(`distress ${i}`), distressMs, {
        stop: () => node.pause(),
        go: () => node.resume(),
      })
  }
  await sim.runFor(distressMs + QUIET_MS)
  return counts
}

class Counts implements Accusations {
  byDistressed = 0
  byHealthy = 0
  readonly #distressed: ReadonlySet<number>

  constructor(distressed: readonly number[]) {
    this.#distressed = new Set(distressed)
  }

  watch(member: Cluster): void {
    const isDistressed = this.#distressed.has(numberOf(member.local.name))
    member.events.on('memberDead', ({ name }) => {
      if (this.#distressed.has(numberOf(name))) return
      if (isDistressed) this.byDistressed++
      else this.byHealthy++
    })
  }
}

/** Stops it and lets it go in turn until the time is over. */
function alternate(clock: Clock, dice: SeededRandom, forMs: number, it: Stoppable): void {
  const end = clock.now() + forMs
  const stop = () => {
    if (clock.now() >= end) return
    it.stop()
    clock.setTimer(between(dice, 500, 32_000), () => {
      it.go()
      clock.setTimer(between(dice, 4, 1_000), stop)
    })
  }
  clock.setTimer(between(dice, 4, 1_000), stop)
}

/** Each power of two as often as the next. */
const between = (dice: SeededRandom, min: number, max: number) => min * (max / min) ** dice.next()
