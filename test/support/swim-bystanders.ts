/**
 * A third of the members, or fewer, stall, crash, are cut off in one direction or in both, and have clocks that go
 * wrong; all packets are lost now and then, up to three in ten. The others can reach each other all the time, so none of
 * them takes another for dead, whatever those in trouble say.
 */
import { drawFaults, type Fault, type Scenario, type Simulation } from '@hs/sim'
import {
  addMember,
  drawSize,
  expectOneView,
  expectTrueRestarts,
  FAULTS_MS,
  namesOf,
  SETTLE_MS,
  type Death,
  type Seen,
} from './swim-members.js'

const MAX_LOSS = 0.3

/** Faults of the troubled alone; what parts some of them from the rest parts them from the well, too. */
function drawTrouble(sim: Simulation, troubled: readonly string[], well: readonly string[]): Fault[] {
  const faults = drawFaults(sim.random.fork('trouble'), {
    nodes: troubled,
    durationMs: FAULTS_MS,
    kinds: troubled.length > 1 ? ['crash', 'pause', 'partition', 'clog', 'clock'] : ['crash', 'pause', 'clock'],
    maxDown: troubled.length,
  })
  return faults.map((fault) => {
    if (fault.kind !== 'partition' && fault.kind !== 'clog') return fault
    const dice = sim.random.fork(`side/${fault.atMs}`)
    // Which of the two cannot be heard.
    return dice.int(2) === 0 ? { ...fault, to: [...fault.to, ...well] } : { ...fault, from: [...fault.from, ...well] }
  })
}

const scenario: Scenario = {
  name: 'members that can reach each other all the time',
  durationMs: FAULTS_MS,
  settleMs: SETTLE_MS,
  nemesis: false,
  options: { maxEvents: 50_000_000 },
  mustReach: ['a death', 'a refutation', 'a suspect that recovered', 'trouble by the partition of one direction'],
  setup: (sim) => {
    const seen: Seen = { deaths: [] }
    const dice = sim.random.fork('troubled')
    const names = namesOf(drawSize(sim, 5, 200))
    const troubled = dice.shuffle([...names]).slice(0, 1 + dice.int(Math.floor(names.length / 3)))
    const well = names.filter((name) => !troubled.includes(name))
    const lossOfAll = (loss: number) => sim.network.link(names, names, { loss })
    for (const name of names) addMember(sim, seen, name, ['m0:1', 'm1:1', 'm2:1'])
    lossOfAll(dice.next() * MAX_LOSS)
    sim.at(FAULTS_MS, () => lossOfAll(0))
    const faults = drawTrouble(sim, troubled, well)
    sim.sometimes(
      'trouble by the partition of one direction',
      faults.some((fault) => fault.kind === 'partition' && fault.oneWay === true),
    )
    sim.schedule(faults)
    const isWell = new Set(well)
    let checked = 0
    sim.always('nobody is taken for dead by one who could reach it all the time', () => {
      for (; checked < seen.deaths.length; checked++) {
        const { of, by, cause, atMs } = seen.deaths[checked] as Death
        // Whoever was cut off tells of its own verdicts when it is back, and is believed until they are refuted.
        if (cause === 'timeout' && isWell.has(of) && isWell.has(by)) return `${by} took ${of} for dead at ${atMs} ms`
      }
      return true
    })
    expectTrueRestarts(sim, seen)
    expectOneView(sim, names)
  },
}

export default scenario
