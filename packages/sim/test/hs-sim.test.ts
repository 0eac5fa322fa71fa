import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { VirtualClock } from '@hs/core/testing'
import { simulate, type CampaignReport } from '@hs/sim'
import { Progress } from '../src/cli/progress.js'
import { main } from '../src/cli/main.js'
import { HsSim } from './hs-sim-process.js'
import deafLease from './scenarios/deaf-lease.js'

const deafLeaseFile = fileURLToPath(new URL('./scenarios/deaf-lease.ts', import.meta.url))

/** A node that counts its seconds; `then` is put at the end of `setup`. */
const counter = (then: string, more = '') => `
  export default {
    name: 'counter', durationMs: 20_000, settleMs: 1_000, ${more}
    setup(sim) {
      sim.node('a', (env) => {
        const app = { count: 0 }
        const tick = () => { app.count++; env.clock.setTimer(1_000, tick) }
        tick()
        return app
      })
      sim.node('b', () => ({ count: 0 }))
      sim.node('c', () => ({ count: 0 }))
      ${then}
    },
  }`

let hsSim: HsSim
/** A campaign that fails, for all who look at one. */
let failed: CampaignReport

beforeAll(async () => {
  hsSim = await HsSim.build()
  failed = await reportOf([deafLeaseFile, '--seeds', '50'])
})

afterAll(() => hsSim.remove())

async function reportOf(args: readonly string[], env?: Record<string, string>): Promise<CampaignReport> {
  const { stdout, stderr } = await hsSim.run([...args, '--json'], env)
  expect(stderr).toBe('')
  return JSON.parse(stdout) as CampaignReport
}

describe('hs-sim exits 0 where all seeds hold', () => {
  it('tells how many, of what, and what they reached', async () => {
    const file = await hsSim.file(
      'holds.mjs',
      counter(`sim.every(500, () => sim.sometimes('ten', sim.apps()[0]?.count >= 10))`),
    )
    const { code, stdout } = await hsSim.run([file, '--seeds', '5'])
    expect(stdout).toContain('counter: 5 seeds hold')
    expect(stdout).toMatch(/reached: ten [1-9]/)
    expect(code).toBe(0)
  })

  it('prints the report as JSON, and nothing else', async () => {
    const file = await hsSim.file('holds.mjs', counter(''))
    const report = await reportOf([file, '--seeds', '3', '--first', '10'])
    expect(report).toMatchObject({ scenario: 'counter', runs: 3, failures: [], missing: [] })
    expect(report.virtualMs).toBe(63_000)
  })

  it('shows its help', async () => {
    const { code, stdout } = await hsSim.run(['--help'])
    expect(stdout).toContain('Usage: hs-sim [options] <file>')
    expect(code).toBe(0)
  })
})

describe('hs-sim exits 1 where a seed fails or a state is never reached', () => {
  it('names the seed, the minimal faults and the replay line', async () => {
    const { code, stdout } = await hsSim.run([deafLeaseFile, '--seeds', '50'])
    expect(stdout).toContain('SIMULATION_FAILED: deaf lease: seed ')
    expect(stdout).toContain('"at most two hold it" does not hold')
    expect(stdout).toMatch(/minimal faults: \[\{.*"kind":"partition"/)
    expect(stdout).toMatch(/replay: HS_SIM_SEED=\d+/)
    expect(code).toBe(1)
  })

  it('replays a failure in a fresh process to the same hash, and so does a test', async () => {
    const [failure] = failed.failures
    const seed = failure?.seed ?? NaN
    const replayed = await reportOf([deafLeaseFile, '--seed', String(seed)])
    const byEnvironment = await reportOf([deafLeaseFile, '--seeds', '50'], { HS_SIM_SEED: String(seed) })
    const here = await simulate(deafLease, { seeds: [seed], throwOnFailure: false })
    expect(replayed.failures).toEqual([failure])
    expect(byEnvironment.failures).toEqual([failure])
    expect(here.failures).toEqual([failure])
  })

  it('fails again under the minimal faults given as a file', async () => {
    const [failure] = failed.failures
    const faults = await hsSim.file('faults.json', JSON.stringify(failure?.minimalFaults))
    const report = await reportOf([deafLeaseFile, '--seed', String(failure?.seed), '--faults', faults])
    expect(report.failures[0]).toMatchObject({ invariant: failure?.invariant, faults: failure?.minimalFaults })
  })

  it('says what was never reached', async () => {
    const file = await hsSim.file('never.mjs', counter('', `mustReach: ['the moon'],`))
    const { code, stdout } = await hsSim.run([file, '--seeds', '2'])
    expect(stdout).toContain('NEVER_REACHED: counter: 2 runs never reached "the moon"')
    expect(code).toBe(1)
  })
})

describe('hs-sim exits 2 at misuse, with a sentence', () => {
  const misuse: [string, () => Promise<string[]>, RegExp][] = [
    ['no file', async () => [], /missing required argument/],
    ['a file that is not there', async () => ['nowhere.mjs'], /There is no scenario file .*nowhere\.mjs/],
    ['an unknown option', async () => ['x.mjs', '--sedes', '3'], /unknown option '--sedes'/],
    ['a number that is none', async () => ['x.mjs', '--seeds', 'many'], /'many' is invalid.*It must be an integer/],
    ['no seed at all', async () => ['x.mjs', '--seeds', '0'], /It must be at least 1/],
    ['one seed and many', async () => ['x.mjs', '--seed', '1', '--seeds', '2'], /goes with neither/],
    ['no default export', async () => [await hsSim.file('none.mjs', 'export const x = 1')], /no default export/],
    [
      'a default export that is no scenario',
      async () => [await hsSim.file('bad.mjs', 'export default { name: 1 }')],
      /Scenario.*durationMs/s,
    ],
    [
      'a file that throws',
      async () => [await hsSim.file('throws.mjs', 'throw new Error("not today")')],
      /cannot be loaded: not today/,
    ],
    [
      'a plan that is no JSON',
      async () => [await hsSim.file('ok.mjs', counter('')), '--faults', await hsSim.file('no.json', '{')],
      /holds no plan of faults/,
    ],
    [
      'a plan of unknown faults',
      async () => [
        await hsSim.file('ok.mjs', counter('')),
        '--faults',
        await hsSim.file('odd.json', '[{"atMs":1,"forMs":1,"kind":"meteor"}]'),
      ],
      /faults\.0\.kind/,
    ],
  ]
  for (const [what, args, expected] of misuse)
    it(what, async () => {
      let out = ''
      let err = ''
      const terminal = { out: (text: string) => (out += text), err: (text: string) => (err += text) }
      const code = await main(await args(), terminal, new URL(import.meta.url))
      expect(err).toMatch(expected)
      expect(err).not.toContain('    at ')
      expect(out).toBe('')
      expect(code).toBe(2)
    })

  it('as a process', async () => {
    const { code, stdout, stderr } = await hsSim.run(['nowhere.mjs'])
    expect(stderr).toMatch(/^hs-sim: There is no scenario file .*nowhere\.mjs\n$/)
    expect(stdout).toBe('')
    expect(code).toBe(2)
  })

  it('on a worker thread', async () => {
    const file = await hsSim.file('ok.mjs', counter(''))
    const faults = await hsSim.file('z.json', '[{"atMs":1,"forMs":1,"kind":"pause","node":"z"}]')
    const { code, stderr } = await hsSim.run([file, '--workers', '2', '--faults', faults])
    expect(stderr).toMatch(/^hs-sim: .*name of a node/m)
    expect(stderr).not.toContain('    at ')
    expect(code).toBe(2)
  })

  it('a seed in the environment that is none', async () => {
    const file = await hsSim.file('ok.mjs', counter(''))
    const { code, stderr } = await hsSim.run([file], { HS_SIM_SEED: 'first' })
    expect(stderr).toContain('HS_SIM_SEED')
    expect(code).toBe(2)
  })
})

describe('hs-sim takes a scenario in TypeScript', () => {
  const typed = counter('').replace('(env)', '(env: { readonly clock: any })')

  it.each([
    ['where nothing says that it is a module', 'plain', '{}'],
    ['where the package is of modules', 'modules', '{ "type": "module" }'],
  ])('%s', async (_where, folder, packageJson) => {
    await hsSim.file(`${folder}/package.json`, packageJson)
    const { code, stdout, stderr } = await hsSim.run([await hsSim.file(`${folder}/typed.ts`, typed), '--seeds', '2'])
    expect(stderr).toBe('')
    expect(stdout).toContain('counter: 2 seeds hold')
    expect(code).toBe(0)
  })

  it('by the tsx beside the command, where there is none beside the file or in the working directory', async () => {
    const other = await HsSim.build()
    try {
      await other.install('tsx')
      const file = await hsSim.file('alone/typed.ts', typed)
      const { code, stdout, stderr } = await other.run([file, '--seeds', '2'], {}, hsSim.folder)
      expect(stderr).toBe('')
      expect(stdout).toContain('counter: 2 seeds hold')
      expect(code).toBe(0)
    } finally {
      await other.remove()
    }
  })
})

describe('hs-sim takes seeds from the environment', () => {
  it('HS_SIM_SEEDS is the default count', async () => {
    const file = await hsSim.file('ok.mjs', counter(''))
    expect((await reportOf([file], { HS_SIM_SEEDS: '7' })).runs).toBe(7)
    expect((await reportOf([file, '--seeds', '2'], { HS_SIM_SEEDS: '7' })).runs).toBe(2)
  })
})

describe('hs-sim --workers gives the report that one thread gives', () => {
  it('where all seeds hold', async () => {
    const file = await hsSim.file(
      'reach.mjs',
      counter(`sim.every(500, () => sim.sometimes('ten', sim.apps()[0]?.count >= 10))`),
    )
    const one = await reportOf([file, '--seeds', '25'])
    const three = await reportOf([file, '--seeds', '25', '--workers', '3'])
    expect(three).toEqual(one)
    expect(one.runs).toBe(25)
  })

  it('where one fails: the first in seed order, with the same minimal faults', async () => {
    expect(await reportOf([deafLeaseFile, '--seeds', '50', '--workers', '2'])).toEqual(failed)
    expect(failed.failures).toHaveLength(1)
  })
})

describe('hs-sim shows progress', () => {
  it('each second, with the latest figures, until it is stopped', () => {
    const clock = new VirtualClock()
    const lines: string[] = []
    const progress = new Progress((text) => lines.push(text), clock)
    clock.advance(1_500)
    progress.update({ runs: 7, failures: 1, events: 900, virtualMs: 1_800_000 })
    clock.advance(1_000)
    progress.stop()
    clock.advance(10_000)
    expect(lines).toEqual([
      '0 seeds, 0 failures, 0 events, 0.00 h of virtual time\n',
      '7 seeds, 1 failures, 900 events, 0.50 h of virtual time\n',
    ])
    expect(clock.pendingTimers).toBe(0)
  })

  it('on stderr, and not with --json', async () => {
    // The only thing here that takes real time, so that a second passes on every machine.
    const wait = 'await new Promise((resolve) => setTimeout(resolve, 1_100))'
    const file = await hsSim.file('slow.mjs', counter(wait).replace('setup(sim)', 'async setup(sim)'))
    const [shown, quiet] = await Promise.all([
      hsSim.run([file, '--seeds', '1']),
      hsSim.run([file, '--seeds', '1', '--json']),
    ])
    expect(shown.stderr).toMatch(/^\d+ seeds, 0 failures, \d+ events, [\d.]+ h of virtual time$/m)
    expect(quiet.stderr).toBe('')
  })
})
