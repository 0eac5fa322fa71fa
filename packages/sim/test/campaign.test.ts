import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SeededRandom } from '@hs/core/testing'
import type { HsError } from '@hs/core'
import {
  drawFaults,
  simulate,
  type Simulation,
  type CampaignOptions,
  type CampaignProgress,
  type CampaignReport,
  type Fault,
  type Scenario,
  type SimFailure,
} from '@hs/sim'
import { collectGarbage } from './collect-garbage.js'

const nodes = ['a', 'b', 'c']

/** Three idle nodes for ten seconds, and what a test adds. */
function scenario(add: (sim: Simulation) => void | Promise<void> = () => {}, more: Partial<Scenario> = {}): Scenario {
  return {
    name: 'idle',
    durationMs: 10_000,
    settleMs: 1_000,
    setup(sim) {
      for (const name of nodes) sim.node(name, () => ({}))
      return add(sim)
    },
    ...more,
  }
}

/** Holds as long as nobody is paused. */
const noPause = (more: Partial<Scenario> = {}) =>
  scenario(
    (sim) => sim.always('nobody sleeps', () => [...sim.nodes.values()].every((node) => node.state !== 'paused')),
    {
      durationMs: 60_000,
      ...more,
    },
  )

const quiet = (options: CampaignOptions = {}): CampaignOptions => ({ throwOnFailure: false, ...options })

function firstFailure(report: CampaignReport): SimFailure {
  const [failure] = report.failures
  if (failure === undefined) throw new Error('the campaign was to fail')
  return failure
}

async function rejection(promise: Promise<unknown>): Promise<HsError> {
  return promise.then(
    () => Promise.reject(new Error('it was to reject')),
    (error: unknown) => error as HsError,
  )
}

beforeEach(() => {
  vi.stubEnv('HS_SIM_SEED', '')
  vi.stubEnv('HS_SIM_SEEDS', '')
})

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

describe('simulate runs seeds (SIM-22)', () => {
  it('runs a hundred by default, from 1, and tells what they were', async () => {
    const seeds: string[] = []
    const report = await simulate(
      scenario((sim) => void seeds.push(sim.seed)),
      { checkDeterminism: false },
    )
    expect(seeds).toEqual(Array.from({ length: 100 }, (_, index) => new SeededRandom(index + 1).seed))
    expect(report).toMatchObject({ scenario: 'idle', runs: 100, failures: [], missing: [], virtualMs: 1_100_000 })
  })

  it('runs as many as told from the first one told, or those it is given', async () => {
    const seeds: string[] = []
    const run = (options: CampaignOptions) =>
      simulate(
        scenario((sim) => void seeds.push(sim.seed)),
        { ...options, checkDeterminism: false },
      )
    await run({ seeds: 2, firstSeed: 40 })
    await run({ seeds: new Set([7, -1]) })
    expect(seeds).toEqual([40, 41, 7, -1].map((seed) => new SeededRandom(seed).seed))
  })

  it('takes no more seeds than it needs', async () => {
    function* forever() {
      for (let seed = 1; ; seed++) yield seed
    }
    const report = await simulate(noPause(), quiet({ seeds: forever() }))
    expect(report.failures).toHaveLength(1)
  })

  it('sets up, draws, runs, heals and settles', async () => {
    const seen: [number, string][] = []
    await simulate(
      scenario((sim) => {
        sim.every(1_000, () => void seen.push([sim.now, sim.nodes.get('a')?.state ?? '']))
        sim.eventually('a is up', () => sim.nodes.get('a')?.state === 'up')
      }),
      { seeds: 1, checkDeterminism: false, faults: [{ atMs: 9_500, forMs: 60_000, kind: 'crash', node: 'a' }] },
    )
    expect(seen.at(0)).toEqual([1_000, 'up'])
    expect(seen.at(-2)).toEqual([10_000, 'down'])
    expect(seen.at(-1)).toEqual([11_000, 'up'])
  })

  it('waits for a setup that is asynchronous', async () => {
    const report = await simulate(
      scenario(async (sim) => {
        await sim.runFor(5_000)
        sim.sometimes('set up')
      }),
      { seeds: 1, faults: [] },
    )
    expect(report).toMatchObject({ virtualMs: 16_000, coverage: { 'set up': 1 } })
  })

  it('draws the plan of a seed from its stream `faults`, for the nodes that setup made', async () => {
    const report = await simulate(scenario(), { seeds: 5 })
    const plans = [1, 2, 3, 4, 5].flatMap((seed) =>
      drawFaults(new SeededRandom(seed).fork('faults'), { nodes, durationMs: 10_000 }),
    )
    for (const [kind, count] of Object.entries(report.faults))
      expect(plans.filter((fault) => fault.kind === kind)).toHaveLength(count)
    expect(plans.length).toBeGreaterThan(5)
  })

  it('draws as the nemesis says, and nothing where there is none', async () => {
    const crashes = await simulate(
      scenario(() => {}, { nemesis: { kinds: ['crash'], meanGapMs: 1_000, swarm: false } }),
      { seeds: 3 },
    )
    expect(crashes.faults.crash).toBeGreaterThan(5)
    expect(crashes.faults.pause).toBe(0)
    const none = await simulate(
      scenario(() => {}, { nemesis: false }),
      { seeds: 3 },
    )
    expect(Object.values(none.faults)).toEqual([0, 0, 0, 0, 0, 0, 0])
  })

  it('adds up events, coverage and faults of all seeds', async () => {
    const report = await simulate(
      scenario((sim) => sim.every(1_000, () => sim.sometimes('tick')), { nemesis: false }),
      { seeds: 4 },
    )
    expect(report.coverage).toEqual({ tick: 44 })
    expect(report.events).toBe(44)
  })

  it('tells its progress after every seed, whatever the listener does', async () => {
    const complaints = vi.spyOn(console, 'error').mockImplementation(() => {})
    const told: CampaignProgress[] = []
    await simulate(
      scenario((sim) => sim.every(1_000, () => {})),
      {
        seeds: 3,
        faults: [],
        onProgress: (progress) => {
          told.push(progress)
          throw new Error('no room for it')
        },
      },
    )
    expect(told.map(({ runs, failures, virtualMs }) => [runs, failures, virtualMs])).toEqual([
      [1, 0, 11_000],
      [2, 0, 22_000],
      [3, 0, 33_000],
    ])
    expect(told[2]?.events).toBe(33)
    expect(complaints).toHaveBeenCalled()
  })

  it('gives a report that is frozen and plain JSON', async () => {
    const report = await simulate(noPause(), quiet())
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
    expect(Object.isFrozen(report) && Object.isFrozen(firstFailure(report).minimalFaults)).toBe(true)
  })

  it('forgets a seed before the next', async () => {
    const worlds: WeakRef<Simulation>[] = []
    const alive: number[] = []
    await simulate(
      scenario(async (sim) => {
        worlds.push(new WeakRef(sim))
        sim.every(10, () => {})
        await collectGarbage()
        alive.push(worlds.filter((world) => world.deref() !== undefined).length)
      }),
      { seeds: 20, checkDeterminism: false },
    )
    // This one and a few that the engine still has at hand: no more for more seeds.
    expect(Math.max(...alive)).toBeLessThanOrEqual(5)
  })
})

describe('simulate forgets (SIM-24)', () => {
  it('allocates nothing for a seed that outlives it', async () => {
    const heapAfter = async (seeds: number) => {
      await simulate(scenario(), { seeds })
      await collectGarbage()
      return process.memoryUsage().heapUsed
    }
    await heapAfter(100)
    const before = await heapAfter(100)
    // A thousand seeds that kept two kilobytes each would show.
    expect((await heapAfter(1_000)) - before).toBeLessThan(2_000_000)
  })
})

describe('simulate checks that a seed gives one run (SIM-22)', () => {
  it('runs the first seed twice and counts it once', async () => {
    let setups = 0
    const report = await simulate(
      scenario(() => void setups++),
      { seeds: 3 },
    )
    expect(setups).toBe(4)
    expect(report.runs).toBe(3)
    expect(report.virtualMs).toBe(33_000)
  })

  it('finds state that outlives a run, and names the first trace entry that differs', async () => {
    let runs = 0
    const remembering = scenario((sim) => {
      const run = ++runs
      sim.node('d', (env) => {
        env.clock.setTimer(2_000, () => env.trace('before', 'the same'))
        env.clock.setTimer(3_000, () => env.trace('run', String(run)))
      })
    })
    const error = await rejection(simulate(remembering, { faults: [] }))
    const failure = error.details['failure'] as SimFailure
    expect(failure).toMatchObject({ seed: 1, code: 'NONDETERMINISM', atMs: 3_000, minimalFaults: [], shrinkRuns: 0 })
    expect(failure.message).toMatch(/first at trace entry \d+: "d run 3" at 3000 ms and "d run 4" at 3000 ms/)
    expect(failure.traceTail.at(-1)).toMatchObject({ node: 'd', kind: 'run', detail: '3' })
    expect(failure.otherTraceTail?.at(-1)).toMatchObject({ node: 'd', kind: 'run', detail: '4' })
    expect(failure.traceTail.slice(0, -1)).toEqual(failure.otherTraceTail?.slice(0, -1))
    expect(error.message).toContain('idle: seed 1: two runs of the seed differ')
  })

  it('finds a difference far before the end of a long trace', async () => {
    let runs = 0
    const remembering = scenario((sim) => {
      const run = ++runs
      sim.node('d', (env) => {
        env.trace('early', String(run))
        const tick = () => void env.clock.setTimer(1, tick)
        tick()
      })
    })
    const failure = firstFailure(await simulate(remembering, quiet({ faults: [] })))
    expect(failure.message).toMatch(/"d early 3" at 0 ms and "d early 4" at 0 ms/)
  })

  it('finds one run that is longer than the other', async () => {
    let runs = 0
    const remembering = scenario((sim) => {
      const more = ++runs % 2 === 0
      sim.node('d', (env) => void env.clock.setTimer(9_000, () => (more ? env.trace('more') : undefined)))
    })
    const failure = firstFailure(await simulate(remembering, quiet({ faults: [] })))
    expect(failure.message).toMatch(/the end and "d more" at 9000 ms/)
  })

  it('finds it where the runs fail', async () => {
    let runs = 0
    const flaky = scenario((sim) => {
      if (++runs % 2 === 0)
        sim.at(5_000, () => {
          throw new Error('every other time')
        })
    })
    expect(firstFailure(await simulate(flaky, quiet({ faults: [] }))).code).toBe('NONDETERMINISM')
  })

  it('does not look where it is told not to', async () => {
    let runs = 0
    const remembering = scenario((sim) => {
      sim.node('d', (env) => env.trace('run', String(++runs)))
    })
    expect((await simulate(remembering, { seeds: 3, checkDeterminism: false })).failures).toEqual([])
  })
})

describe('simulate reports failures (SIM-23, SIM-24)', () => {
  it('rejects with SIMULATION_FAILED that names all that is needed to see it again', async () => {
    const error = await rejection(simulate(noPause()))
    const failure = error.details['failure'] as SimFailure
    expect(error.code).toBe('SIMULATION_FAILED')
    expect(error.details).toMatchObject({ seed: failure.seed, atMs: failure.atMs })
    expect(failure).toMatchObject({ code: 'INVARIANT_VIOLATED', invariant: 'nobody sleeps' })
    expect(failure.replay).toBe(`HS_SIM_SEED=${failure.seed}`)
    for (const part of ['idle', `seed ${failure.seed}`, '"nobody sleeps"', `${failure.atMs} ms`])
      expect(error.message).toContain(part)
    expect(error.message).toContain(`minimal faults: ${JSON.stringify(failure.minimalFaults)}`)
    expect(error.message).toContain(`replay: ${failure.replay}`)
  })

  it('says what a check said', async () => {
    const five = scenario((sim) => {
      sim.at(1_000, () => {})
      sim.always('two plus two', () => (sim.now > 500 ? 'makes five' : true))
    })
    const error = await rejection(simulate(five))
    expect(error.message).toContain('invariant "two plus two" does not hold: makes five')
  })

  it('shrinks the plan to the faults that are needed and as short as they may be', async () => {
    const failure = firstFailure(await simulate(noPause(), quiet()))
    expect(failure.faults.length).toBeGreaterThan(1)
    expect(failure.minimalFaults).toEqual([
      { atMs: failure.atMs, forMs: 1, kind: 'pause', node: expect.any(String) as string },
    ])
    expect(failure.shrinkRuns).toBeGreaterThan(0)
  })

  it('reproduces the failure from the minimal faults, and from the seed alone', async () => {
    const found = firstFailure(await simulate(noPause(), quiet()))
    const again = firstFailure(await simulate(noPause(), quiet({ seeds: [found.seed] })))
    const { seed, code, invariant, minimalFaults } = found
    const minimal = firstFailure(await simulate(noPause(), quiet({ seeds: [seed], faults: minimalFaults })))
    expect(again).toEqual(found)
    expect(minimal).toMatchObject({ seed, code, invariant, faults: minimalFaults })
  })

  it('refuses a smaller plan that fails in another way', async () => {
    const paused = (sim: Simulation, name: string) => sim.nodes.get(name)?.state === 'paused'
    const two = scenario((sim) => {
      // A pause of b alone is another failure than that of a and b.
      sim.always('not both', () => !(paused(sim, 'a') && paused(sim, 'b')))
      sim.at(6_000, () => {
        if (paused(sim, 'b') && !paused(sim, 'a')) throw new Error('b alone')
      })
    })
    const faults: Fault[] = [
      { atMs: 1_000, forMs: 8_000, kind: 'pause', node: 'c' },
      { atMs: 2_000, forMs: 6_000, kind: 'pause', node: 'b' },
      { atMs: 3_000, forMs: 6_000, kind: 'pause', node: 'a' },
    ]
    const failure = firstFailure(await simulate(two, quiet({ seeds: 1, faults })))
    expect(failure.invariant).toBe('not both')
    expect(failure.minimalFaults.map((fault) => 'node' in fault && fault.node)).toEqual(['b', 'a'])
  })

  it('shrinks to nothing what fails without faults', async () => {
    const hopeless = scenario((sim) =>
      sim.at(5_000, () => {
        throw new Error('always')
      }),
    )
    const failure = firstFailure(
      await simulate(hopeless, quiet({ faults: [{ atMs: 1, forMs: 9, kind: 'pause', node: 'a' }] })),
    )
    expect(failure).toMatchObject({ code: 'WORKLOAD_ERROR', minimalFaults: [], shrinkRuns: 1 })
  })

  it('does not shrink where told so, and no longer than told', async () => {
    const whole = firstFailure(await simulate(noPause(), quiet({ shrink: false })))
    expect(whole).toMatchObject({ minimalFaults: whole.faults, shrinkRuns: 0 })
    for (const maxShrinkRuns of [0, 1, 3]) {
      const failure = firstFailure(await simulate(noPause(), quiet({ maxShrinkRuns })))
      expect(failure.shrinkRuns).toBeLessThanOrEqual(maxShrinkRuns)
      const { seed, minimalFaults: faults } = failure
      expect(firstFailure(await simulate(noPause(), quiet({ seeds: [seed], faults }))).invariant).toBe('nobody sleeps')
    }
  })

  it('goes on until as many seeds have failed as told', async () => {
    const error = await rejection(simulate(noPause(), { maxFailures: 3, shrink: false }))
    const report = error.details['report'] as CampaignReport
    const seeds = report.failures.map((failure) => failure.seed)
    expect(seeds).toHaveLength(3)
    expect(report.runs).toBe(seeds[2])
    expect(error.message).toContain(`failing too: seeds ${seeds[1]}, ${seeds[2]}`)
  })

  it('names an error of a node, of the workload and of setup by its code and its seed', async () => {
    const node = scenario(
      (sim) =>
        void sim.node(
          'd',
          (env) =>
            void env.clock.setTimer(10, () => {
              throw new Error('tired')
            }),
        ),
    )
    expect(firstFailure(await simulate(node, quiet()))).toMatchObject({ code: 'NODE_ERROR', seed: 1, atMs: 10 })
    const setup = scenario(() => {
      throw new Error('no world today')
    })
    const failure = firstFailure(await simulate(setup, quiet({ firstSeed: 5 })))
    expect(failure).toMatchObject({ code: 'WORKLOAD_ERROR', seed: 5, atMs: 0 })
    expect(failure.message).toContain('no world today')
  })

  it('names an error of a boot', async () => {
    const boot = scenario((sim) => {
      sim.node('d', () => {
        throw new Error('no boot today')
      })
    })
    const failure = firstFailure(await simulate(boot, quiet()))
    expect(failure).toMatchObject({ code: 'NODE_ERROR', atMs: 0 })
    expect(failure.message).toContain('no boot today')
  })

  it('names what a node takes from the machine, and puts it back', async () => {
    const { now } = Date
    const dice = scenario((sim) => void sim.node('d', (env) => void env.clock.setTimer(10, () => void Math.random())))
    const failure = firstFailure(await simulate(dice, quiet({ seeds: 2 })))
    expect(failure).toMatchObject({ code: 'NONDETERMINISM', minimalFaults: [] })
    expect(failure.message).toContain('Math.random')
    expect(Date.now).toBe(now)
  })

  it('lets a scenario that allows it use the machine', async () => {
    const dice = scenario((sim) => void sim.node('d', () => void Math.random()), { options: { forbidGlobals: false } })
    expect((await simulate(dice, { seeds: 2 })).failures).toEqual([])
  })

  it('keeps the end of the trace', async () => {
    const { traceTail, traceHash } = firstFailure(await simulate(noPause(), quiet()))
    expect(traceTail.at(-1)).toMatchObject({ kind: 'pause' })
    expect(traceHash).toMatch(/^[0-9a-f]{16}$/)
  })
})

describe('simulate and what must be reached (SIM-18)', () => {
  const reaching = (mustReach: string[]) =>
    scenario((sim) => sim.at(1_000, () => sim.sometimes('an odd seed', sim.random.fork('x').int(2) === 1)), {
      mustReach,
    })

  it('is content with one seed of many', async () => {
    const report = await simulate(reaching(['an odd seed']), { seeds: 20 })
    expect(report.coverage['an odd seed']).toBeGreaterThan(0)
    expect(report.coverage['an odd seed']).toBeLessThan(20)
    expect(report.missing).toEqual([])
  })

  it('rejects with NEVER_REACHED that names what no seed reached', async () => {
    const error = await rejection(simulate(reaching(['an odd seed', 'the moon']), { seeds: 20 }))
    expect(error.code).toBe('NEVER_REACHED')
    expect(error.message).toContain('20 runs never reached "the moon"')
    expect(error.details).toMatchObject({ missing: ['the moon'] })
  })

  it('reports it where it must not throw', async () => {
    expect((await simulate(reaching(['the moon']), quiet({ seeds: 2 }))).missing).toEqual(['the moon'])
  })

  it('names a failure first', async () => {
    const error = await rejection(simulate(noPause({ mustReach: ['the moon'] })))
    expect(error.code).toBe('SIMULATION_FAILED')
  })
})

describe('simulate and the environment', () => {
  const seedsRun = async (options: CampaignOptions = {}) => {
    const seeds: string[] = []
    await simulate(
      scenario((sim) => void seeds.push(sim.seed)),
      { ...options, checkDeterminism: false },
    )
    return seeds
  }

  it('runs the one seed that HS_SIM_SEED names, whatever the options say', async () => {
    vi.stubEnv('HS_SIM_SEED', '417')
    expect(await seedsRun()).toEqual([new SeededRandom(417).seed])
    expect(await seedsRun({ seeds: [1, 2] })).toEqual([new SeededRandom(417).seed])
  })

  it('runs as many seeds as HS_SIM_SEEDS says, unless the options say how many', async () => {
    vi.stubEnv('HS_SIM_SEEDS', '3')
    expect(await seedsRun()).toHaveLength(3)
    expect(await seedsRun({ seeds: 2 })).toHaveLength(2)
  })

  it('refuses numbers that are none', async () => {
    vi.stubEnv('HS_SIM_SEED', '1.5')
    await expect(seedsRun()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('HS_SIM_SEED') as string,
    })
    vi.stubEnv('HS_SIM_SEED', '')
    vi.stubEnv('HS_SIM_SEEDS', '0')
    await expect(seedsRun()).rejects.toMatchObject({ message: expect.stringContaining('HS_SIM_SEEDS') as string })
  })
})

describe('simulate refuses misuse with a ConfigError', () => {
  const wrong: [
    string,
    Partial<Record<keyof Scenario, unknown>>,
    Partial<Record<keyof CampaignOptions, unknown>>,
    RegExp,
  ][] = [
    ['no duration', { durationMs: undefined }, {}, /durationMs/],
    ['a duration that is none', { durationMs: -1 }, {}, /durationMs/],
    ['a misspelt field', { mustreach: [] } as never, {}, /mustreach.*no such option/],
    ['a seed of its own', { options: { seed: 1 } }, {}, /options/],
    ['options of the simulation', { options: { tieBreak: 'lucky' } }, {}, /tieBreak/],
    ['a nemesis', { nemesis: { kinds: [] } }, {}, /nemesis\.kinds/],
    ['a nemesis of an unknown kind', { nemesis: { kinds: ['crash', 'meteor'] } }, {}, /nemesis\.kinds\.1/],
    ['a nemesis that is true', { nemesis: true }, {}, /nemesis/],
    ['a misspelt option', {}, { seedz: 3 } as never, /seedz/],
    ['seeds', {}, { seeds: 0 }, /seeds/],
    ['seeds that are no integers', {}, { seeds: [1, 2.5] }, /seeds.*integers/],
    ['faults', {}, { faults: [{ kind: 'meteor', atMs: 0, forMs: 1 }] }, /faults\.0\.kind/],
    ['faults of unknown nodes', {}, { faults: [{ kind: 'pause', node: 'z', atMs: 0, forMs: 1 }] }, /name of a node/],
    [
      'a setup that misuses the world',
      { setup: (sim: Simulation) => sim.node('-', () => ({})) },
      {},
      /Simulation\.node/,
    ],
  ]
  for (const [what, fields, options, message] of wrong)
    it(what, async () => {
      const error = await rejection(simulate({ ...scenario(), ...fields } as never, { seeds: 3, ...options } as never))
      expect(error.code).toBe('CONFIG_INVALID')
      expect(error.message).toMatch(message)
    })
})
