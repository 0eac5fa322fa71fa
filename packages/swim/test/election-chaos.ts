/** A minute of trouble for an election, drawn from a seed, and the quiet after it, in which somebody must lead. */
import { HsError } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import { ElectionLab, type LabNode, type LabOptions } from './election-lab.js'

export interface ChaosOptions extends Omit<LabOptions, 'seed'> {
  /** Nodes whose clocks run fast or slow by up to this. @default 9_000, so that two differ by less than 2 % */
  driftPpm?: number
  steps?: number
  /** Whether voters come and go. @default false */
  changes?: boolean
  /** @default true */
  restarts?: boolean
}

export interface ChaosResult {
  readonly lab: ElectionLab
  readonly leaderships: number
  readonly losses: Readonly<Record<string, number>>
  readonly failedSaves: number
}

/** Throws with the seed at the first breach. */
export async function chaos(
  seed: number,
  options: ChaosOptions = {},
  prepare?: (lab: ElectionLab) => void,
): Promise<ChaosResult> {
  const { driftPpm = 9_000, steps = 40, changes = false, restarts = true, ...labOptions } = options
  const dice = new SeededRandom(`chaos ${seed}`)
  const names = labOptions.names ?? ['a', 'b', 'c', 'd', 'e', 'f', 'g'].slice(0, 3 + dice.int(5))
  const lab = new ElectionLab({
    repeat: 0.05,
    saveMs: [0, 20],
    ...labOptions,
    names: [],
    electorate: labOptions.electorate ?? { size: names.length },
    seed,
  })
  for (const name of names) lab.add(name, { driftPpm: Math.round((dice.next() * 2 - 1) * driftPpm) })
  prepare?.(lab)
  try {
    await lab.start()
    // Sampled too, for a lease ends without an event.
    const sample = () => {
      lab.check()
      lab.clock.setTimer(211, sample)
    }
    sample()
    for (let step = 0; step < steps; step++) {
      await trouble(lab, dice, { changes, restarts })
      await lab.advance(dice.int(4) === 0 ? dice.int(8_000) : dice.int(1_500))
      if (lab.breach !== undefined) throw new Error(lab.breach)
    }
    await recover(lab)
    await lab.clock.runUntil(() => lab.leaders().length === 1 || lab.breach !== undefined, { limitMs: 300_000 })
    if (lab.breach !== undefined) throw new Error(lab.breach)
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
  }
  const events = [...lab.nodes.values()].flatMap((node) => node.events)
  const losses: Record<string, number> = {}
  for (const event of events) {
    const reason = /^lost \d+ (.*)/.exec(event)?.[1]
    if (reason !== undefined) losses[reason] = (losses[reason] ?? 0) + 1
  }
  return {
    lab,
    leaderships: lab.acquisitions.length,
    losses,
    failedSaves: events.filter((event) => event === 'error ELECTION_SAVE_FAILED').length,
  }
}

async function trouble(
  lab: ElectionLab,
  dice: SeededRandom,
  { changes, restarts }: { changes: boolean; restarts: boolean },
): Promise<void> {
  const leader = lab.leaders()[0]
  // Half of the trouble is aimed: nothing is at stake without a leader.
  const name = leader !== undefined && dice.int(2) === 0 ? leader : dice.pick([...lab.nodes.keys()])
  const node = lab.node(name)
  switch (dice.int(14)) {
    case 0:
    case 1:
      lab.heal()
      return lab.part(dice.int(2) === 0 ? [name] : someOf(lab, dice), dice.pick(['both', 'both', 'in', 'out'] as const))
    case 2:
      return lab.heal()
    case 3:
      lab.loss = dice.next() * 0.3
      return
    case 4:
      lab.latencyMs = dice.pick([
        [1, 5],
        [1, 100],
        [50, 900],
      ] as const)
      return
    case 5:
      return node.up ? node.pause() : undefined
    case 6:
      return node.resume()
    case 7:
      if (node.up && restarts) node.crash()
      return
    case 8:
      return node.up ? undefined : node.restart()
    case 9:
      node.store.failureRate = dice.pick([0, 0, 0.3])
      return
    case 10:
      node.health = dice.pick([0, 0, 3, 8])
      return
    case 11:
      if (lab.slow.size > 0) lab.slow.clear()
      else lab.slow.set(name, [500, 2_500])
      return
    case 12:
      if (restarts) await powerCut(lab, dice)
      return
    default: {
      if (leader === undefined) return
      if (changes) changeVoters(lab, lab.node(leader), dice)
      else lab.node(leader).election.resign()
    }
  }
}

/** Several at once, and back at once. */
async function powerCut(lab: ElectionLab, dice: SeededRandom): Promise<void> {
  const names = someOf(lab, dice)
  for (const name of names) if (lab.node(name).up) lab.node(name).crash()
  await lab.advance(dice.int(100))
  for (const name of names) if (!lab.node(name).up) await lab.node(name).restart()
}

function changeVoters(lab: ElectionLab, leader: LabNode, dice: SeededRandom): void {
  const name = dice.pick([...lab.nodes.keys()])
  const change = leader.election.voters?.includes(name) === true ? { remove: name } : { add: name }
  void leader.election.changeVoters(change).then(
    () => lab.note(`${leader.name} changed ${JSON.stringify(change)}`),
    (error: unknown) => {
      const expected = ['CHANGE_IN_PROGRESS', 'INVALID_ARGUMENT', 'LEADERSHIP_LOST', 'NOT_LEADER']
      if (!expected.some((code) => HsError.is(error, code))) throw error
      lab.note(`${leader.name} ${(error as HsError).code} ${JSON.stringify(change)}`)
    },
  )
}

function someOf(lab: ElectionLab, dice: SeededRandom): string[] {
  const names = dice.shuffle([...lab.nodes.keys()])
  return names.slice(0, 1 + dice.int(Math.max(1, names.length - 1)))
}

/** All faults end; processes that are down start again. */
async function recover(lab: ElectionLab): Promise<void> {
  lab.heal()
  lab.loss = 0
  lab.slow.clear()
  lab.latencyMs = [1, 5]
  for (const node of lab.nodes.values()) {
    node.health = 0
    node.store.failureRate = 0
    if (!node.up) await node.restart()
    node.resume()
  }
}
