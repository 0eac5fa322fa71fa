/**
 * How well coordinates fit networks that are known in full: Serf's five spaces beside the limits of Serf's own tests,
 * and an Internet of cities with access links beside the Vivaldi paper's figure for 1,740 hosts.
 * Accuracy, not speed: the figures depend on the seeds alone. `--smoke`: fewer hosts and seeds.
 */
import { parseArgs } from 'node:util'
import { SeededRandom } from '@hs/core/testing'
import { clientsOf, errorsOf, internet, medianOf, simulate, spaces } from '../packages/swim/test/network-spaces.js'

const { values: flags } = parseArgs({ options: { smoke: { type: 'boolean' } } })
const seeds = flags.smoke === true ? [1] : Array.from({ length: 9 }, (_, i) => i + 1)
const hosts = flags.smoke === true ? 100 : 1_740
const percent = (share: number) => `${(share * 100).toFixed(3)} %`

/** Mean and worst relative error as Serf's tests allow them (`coordinate/performance_test.go`). */
const serf = {
  line: { mean: 0.0031, worst: 0.013 },
  grid: { mean: 0.0016, worst: 0.023 },
  split: { mean: 0.00006, worst: 0.00048 },
  circle: { mean: 0.0028, worst: 0.064 },
  random: { mean: 0.075, worst: 0.33 },
} as const

const rows = Object.entries(serf).map(([name, limit]) => {
  const space = name as keyof typeof serf
  const runs = seeds.map((seed) => {
    const dice = new SeededRandom(seed)
    const truth = spaces[space](dice)
    const clients = clientsOf(truth.length, { random: dice, dimensions: space === 'circle' ? 2 : 8 })
    simulate(clients, truth, 1_000, dice)
    return errorsOf(clients, truth)
  })
  const mean = medianOf(runs.map((run) => run.mean))
  const worst = medianOf(runs.map((run) => run.worst))
  return {
    space,
    'mean error': percent(mean),
    "Serf's limit": percent(limit.mean),
    'worst error': percent(worst),
    "Serf's limit (worst)": percent(limit.worst),
    'within 1.5x': mean <= 1.5 * limit.mean && worst <= 1.5 * limit.worst,
  }
})
console.log(`Serf's spaces, 1,000 cycles, median of ${seeds.length} seeds`)
console.table(rows)

const internetRows = [
  { neighbours: 64, cycles: 1_000 },
  { neighbours: undefined, cycles: 1_000 },
].map(({ neighbours, cycles }) => {
  const dice = new SeededRandom(1)
  const truth = internet(hosts, dice)
  const clients = clientsOf(hosts, { random: dice, dimensions: 2 })
  simulate(clients, truth, cycles, dice, {
    ...(neighbours === undefined ? {} : { neighbours }),
    // A sample takes up to a tenth longer than the path, and one in fifty ten times as long.
    measured: (rttMs) => rttMs * (dice.next() < 0.02 ? 10 : 1 + 0.1 * dice.next()),
  })
  const { median } = errorsOf(clients, truth)
  return {
    measures: neighbours === undefined ? 'any host, seldom one twice' : `${neighbours} neighbours`,
    'samples a host': cycles,
    'median error': percent(median),
    "paper's figure": '11 %',
  }
})
console.log(`An Internet of ${hosts} hosts, plane and height`)
console.table(internetRows)
