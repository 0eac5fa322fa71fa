/**
 * How long a true crash takes to be found: a few members at a time fall silent for good, and a new process takes the
 * place of each once everybody knows. First detection: one survivor reports the death; full: all have. The same seed
 * crashes the same members in the same order whatever the configuration, so that two of them can be compared.
 */
import type { Configuration } from './configurations.js'
import { Group, numberOf } from './group.js'

const QUIET_MS = 15_000
/** Beyond any suspicion's longest time. */
const LIMIT_MS = 300_000
const TOGETHER = 4

export interface LatencyCase {
  readonly members: number
  readonly crashes: number
  readonly seed: number
}

/** One number a crash, in milliseconds. */
export interface Latencies {
  readonly first: number[]
  readonly full: number[]
}

interface Crash {
  readonly atMs: number
  firstMs: number
  readonly knownBy: Set<number>
}

export async function crashLatencies(
  { members, crashes, seed }: LatencyCase,
  { options }: Pick<Configuration, 'options'>,
): Promise<Latencies> {
  const group = new Group(members, seed, options)
  const { clock } = group
  const dice = group.dice.fork('crashes')
  const down = new Map<number, Crash>()
  const watch = (i: number) => {
    group.members[i]?.events.on('memberDead', (dead) => {
      const crash = down.get(numberOf(dead.name))
      if (crash === undefined || crash.knownBy.has(i)) return
      crash.firstMs = Math.min(crash.firstMs, clock.now() - crash.atMs)
      crash.knownBy.add(i)
    })
  }
  await group.start(QUIET_MS)
  for (const i of group.members.keys()) watch(i)

  const first: number[] = []
  const full: number[] = []
  while (full.length < crashes) {
    // Not all at the same phase of the probes.
    await clock.advanceAsync(1_000 * dice.next())
    const victims = dice.shuffle([...group.members.keys()]).slice(0, Math.min(TOGETHER, crashes - full.length))
    for (const i of victims) {
      group.gates[i]?.hold()
      await group.members[i]?.stop()
      down.set(i, { atMs: clock.now(), firstMs: Infinity, knownBy: new Set() })
    }
    const survivors = members - victims.length
    for (const pending = new Map(down); pending.size > 0;) {
      const isKnown = ({ knownBy }: Crash) => knownBy.size === survivors
      await clock.runUntil(() => [...pending.values()].some(isKnown), { limitMs: LIMIT_MS })
      for (const [i, crash] of pending) {
        if (!isKnown(crash)) continue
        pending.delete(i)
        first.push(crash.firstMs)
        full.push(clock.now() - crash.atMs)
      }
    }
    for (const i of victims) {
      down.delete(i)
      group.gates[i]?.discard()
      await group.boot(i)
      watch(i)
    }
    await clock.runUntil(() => group.members.every((member) => member.size === members), { limitMs: LIMIT_MS })
    await clock.advanceAsync(5_000)
  }
  await group.stop()
  return { first, full }
}
