/**
 * The paper's interval experiment: after 15 s of quiet, C members are held for D, released for I, and so on for 120 s.
 * A false positive is a death that any member reports of one that was never held; a healthy one is reported by a member
 * that was never held itself.
 * Source: Dadgar, Phillips, Currey, "Lifeguard" (arXiv 1707.00788), section V.
 */
import type { Configuration } from './configurations.js'
import { Group, numberOf } from './group.js'

const QUIET_MS = 15_000
const ANOMALIES_MS = 120_000

export interface Cell {
  readonly members: number
  /** C: how many are held at a time. */
  readonly held: number
  /** D: for how long. */
  readonly heldMs: number
  /** I: and then not for how long. */
  readonly releasedMs: number
  readonly seed: number
}

export interface Outcome {
  readonly falsePositives: number
  readonly healthyFalsePositives: number
  readonly messages: number
  readonly bytes: number
}

const grid = {
  held: [1, 4, 8, 12, 16, 20, 24, 28, 32],
  heldMs: [128, 512, 2_048, 8_192, 16_384, 32_768],
  releasedMs: [4, 64, 1_024, 16_384],
} as const

export function cellsOf(members: number, seed: number): Cell[] {
  const { held, heldMs, releasedMs } = grid
  return held.flatMap((c) =>
    heldMs.flatMap((d) => releasedMs.map((i) => ({ members, held: c, heldMs: d, releasedMs: i, seed }))),
  )
}

export async function runCell(cell: Cell, { options }: Pick<Configuration, 'options'>): Promise<Outcome> {
  const group = new Group(cell.members, cell.seed, options)
  const { clock, traffic } = group
  await group.start(QUIET_MS)

  const drawn = group.draw(cell.held)
  const wasHeld = new Set(drawn)
  const before = { ...traffic }
  let falsePositives = 0
  let healthyFalsePositives = 0
  for (const [i, member] of group.members.entries()) {
    member.events.on('memberDead', (dead) => {
      if (wasHeld.has(numberOf(dead.name))) return
      falsePositives++
      if (!wasHeld.has(i)) healthyFalsePositives++
    })
  }
  const gates = drawn.map((i) => group.gates[i]).filter((gate) => gate !== undefined)
  for (const end = clock.now() + ANOMALIES_MS; clock.now() < end;) {
    for (const gate of gates) gate.hold()
    await clock.advanceAsync(cell.heldMs)
    for (const gate of gates) gate.release()
    await clock.advanceAsync(cell.releasedMs)
  }
  const outcome = {
    falsePositives,
    healthyFalsePositives,
    messages: traffic.messages - before.messages,
    bytes: traffic.bytes - before.bytes,
  }
  await group.stop()
  return outcome
}
