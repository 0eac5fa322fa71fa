import { describe, expect, it } from 'vitest'
import { SeededRandom } from '@hs/core/testing'
import { Simulation, type NodeEnv, type NodeOptions, type SimulationOptions } from '../src/index.js'

const failing = (sim: Simulation, ms = 1_000) =>
  sim.runFor(ms).then(
    () => undefined,
    (error: unknown) => error as Error & { code: string; details: Record<string, unknown> },
  )

/** Something that happens every 10 ms and counts. */
function counter(options: SimulationOptions = {}) {
  const sim = new Simulation({ seed: 417, ...options })
  const node = sim.node('a', ({ clock }) => {
    const app = { count: 0 }
    const tick = () => {
      app.count++
      clock.setTimer(10, tick)
    }
    clock.setTimer(10, tick)
    return app
  })
  return { sim, count: () => node.app?.count ?? -1 }
}

describe('Invariants (SIM-18)', () => {
  it.each<[string, (bad: boolean) => boolean | string | void, string]>([
    ['false', (bad) => !bad, 'invariant "fewer than 5" does not hold (seed 417, at 50 ms)'],
    [
      'a text',
      (bad) => (bad ? 'five of them' : true),
      'invariant "fewer than 5" does not hold: five of them (seed 417',
    ],
    ['nothing but a throw', (bad) => (bad ? raise() : undefined), 'does not hold: out of order (seed 417, at 50 ms)'],
  ])('always: %s from a check stops the run at its time', async (_what, judge, message) => {
    const { sim, count } = counter()
    let checks = 0
    sim.always('fewer than 5', () => {
      checks++
      return judge(count() >= 5)
    })
    const error = await failing(sim)
    expect(error).toMatchObject({
      code: 'INVARIANT_VIOLATED',
      details: { invariant: 'fewer than 5', seed: sim.seed, atMs: 50 },
    })
    expect(error?.message).toContain(message)
    expect([sim.now, count(), sim.failure]).toEqual([50, 5, error])
    expect(error?.cause === undefined).toBe(!message.includes('out of order'))
    const before = checks
    await expect(sim.runFor(1)).rejects.toBe(error)
    expect(checks).toBe(before)
  })

  it('always is checked after the last event of an instant, not in its midst', async () => {
    const sim = new Simulation()
    let balance = 0
    for (const name of 'abcdefgh') {
      sim.node(name, ({ clock }) => {
        clock.setTimer(10, () => balance++)
        clock.setTimer(10, () => balance--)
        clock.setTimer(20, () => balance++)
      })
    }
    const seen: string[] = []
    sim.always('balanced until 20 ms', () => {
      seen.push(`${balance} at ${sim.now}`)
      return sim.now >= 20 || balance === 0
    })
    await sim.runFor(30)
    expect(seen).toEqual(['0 at 0', '0 at 10', '8 at 20', '8 at 30'])
  })

  it('always sees what promises of the last event did', async () => {
    const sim = new Simulation()
    let bad = false
    sim.at(10, async () => {
      await Promise.resolve()
      await Promise.resolve()
      bad = true
    })
    sim.at(20, () => {
      bad = false
    })
    sim.always('good', () => !bad)
    expect(await failing(sim)).toMatchObject({ details: { atMs: 10 } })
  })

  it('always is checked at the end of every run, and for what happened between runs', async () => {
    const { sim } = counter()
    let good = true
    sim.always('good', () => good)
    await sim.runFor(25)
    good = false
    expect(await failing(sim, 0)).toMatchObject({ code: 'INVARIANT_VIOLATED', details: { atMs: 25 } })
    const other = counter()
    other.sim.always('short', () => other.sim.now < 35)
    expect(await failing(other.sim, 35)).toMatchObject({ details: { atMs: 35 } })
    const third = counter()
    third.sim.always('few', () => third.count() < 3)
    await expect(third.sim.runUntil(() => third.count() === 3)).rejects.toMatchObject({ code: 'INVARIANT_VIOLATED' })
  })

  it('a check that returns a promise is violated: nobody would wait for it', async () => {
    const { sim } = counter()
    sim.always('asynchronous', (async () => true) as unknown as () => boolean)
    expect((await failing(sim))?.message).toContain('must be synchronous')
  })

  it('eventually is checked by finish, when all is healed and settled', async () => {
    const { sim, count } = counter()
    let asked = 0
    sim.eventually('many', () => {
      asked++
      return count() >= 300 ? true : `only ${count()}`
    })
    await sim.runFor(500)
    expect(asked).toBe(0)
    await sim.finish({ settleMs: 2_500 })
    expect([asked, sim.now]).toEqual([1, 3_000])
    const late = counter()
    late.sim.eventually('many', () => (late.count() >= 301 ? true : `only ${late.count()}`))
    const finished = late.sim.finish({ settleMs: 3_000 })
    await expect(finished).rejects.toMatchObject({ code: 'INVARIANT_VIOLATED', details: { invariant: 'many' } })
    await expect(finished).rejects.toThrow('invariant "many" does not hold in the end: only 300 (seed 417, at 3000 ms)')
    await expect(late.sim.runFor(1)).rejects.toBe(late.sim.failure)
  })

  it('finish heals everything, restarts what crashed but not what was stopped, and settles for 30,000 ms', async () => {
    const sim = new Simulation()
    for (const name of ['crashed', 'stopped', 'paused', 'idle', 'faulty'])
      sim.node(name, () => undefined, { start: name !== 'idle' })
    sim.schedule([
      { kind: 'pause', node: 'faulty', atMs: 10, forMs: 1e6 },
      { kind: 'crash', node: 'faulty', atMs: 5_000, forMs: 1e6 },
    ])
    sim.nodes.get('crashed')?.crash()
    sim.nodes.get('paused')?.pause()
    sim.network.partition('paused', 'crashed')
    sim.network.clog('paused', 'idle')
    await sim.run(sim.nodes.get('stopped')?.stop() ?? Promise.resolve())
    await sim.runFor(20)
    expect(sim.nodes.get('faulty')?.state).toBe('paused')
    await sim.finish()
    expect(sim.report().nodes).toEqual([
      { name: 'crashed', state: 'up', incarnation: 2 },
      { name: 'stopped', state: 'down', incarnation: 1 },
      { name: 'paused', state: 'up', incarnation: 1 },
      { name: 'idle', state: 'down', incarnation: 0 },
      { name: 'faulty', state: 'up', incarnation: 1 },
    ])
    expect(sim.network.isConnected('paused', 'crashed')).toBe(true)
    expect(sim.network.isConnected('paused', 'idle')).toBe(true)
    expect(sim.now).toBe(30_020)
  })

  it('sometimes counts, and knows what was never reached', () => {
    const sim = new Simulation()
    sim.sometimes('rare', false)
    sim.sometimes('often')
    sim.sometimes('often', true)
    sim.sometimes('often', false)
    expect(sim.coverage).toEqual({ rare: 0, often: 2 })
    expect(Object.isFrozen(sim.coverage)).toBe(true)
    expect(sim.report().coverage).toEqual(sim.coverage)
  })
})

function raise(): never {
  throw new Error('out of order')
}

describe('Bounds of a run (SIM-19)', () => {
  it('a zero-delay loop is STUCK after maxEventsPerInstant', async () => {
    const sim = new Simulation({ maxEventsPerInstant: 50 })
    sim.node('a', ({ clock }) => {
      const again = () => void clock.setTimer(0, again)
      clock.setTimer(7, again)
    })
    const error = await failing(sim)
    expect(error).toMatchObject({ code: 'STUCK', details: { atMs: 7, seed: sim.seed } })
    expect(sim.events).toBe(50)
    expect(sim.trace.tail(3).map(({ kind }) => kind)).toEqual(['timer', 'timer', 'timer'])
    await expect(sim.runFor(1)).rejects.toBe(error)
  })

  it('a loop of promises and timers is stuck too', async () => {
    const sim = new Simulation({ maxEventsPerInstant: 50 })
    sim.node('a', async ({ clock }) => {
      for (;;) await clock.sleep(0)
    })
    expect(await failing(sim)).toMatchObject({ code: 'STUCK' })
  })

  it('as many events at one instant as are allowed are fine', async () => {
    const sim = new Simulation({ maxEventsPerInstant: 50 })
    sim.node('a', ({ clock }) => {
      for (let at = 1; at < 4; at++) for (let i = 0; i < 50; i++) clock.setTimer(at, () => undefined)
    })
    await sim.runFor(10)
    expect(sim.events).toBe(150)
  })

  it('runaway traffic is EVENT_LIMIT after maxEvents', async () => {
    const { sim } = counter({ maxEvents: 20 })
    const error = await failing(sim)
    expect(error).toMatchObject({ code: 'EVENT_LIMIT', details: { atMs: 210, seed: sim.seed } })
    expect(sim.events).toBe(20)
  })
})

describe('Simulation', () => {
  it('the seed is an integer, a bigint or a text, as of SeededRandom', () => {
    for (const seed of [0, 417, -1, 2n ** 70n, 'text']) {
      const sim = new Simulation({ seed })
      expect(sim.seed).toBe(new SeededRandom(seed).seed)
      expect(sim.random.fork('x').next()).toBe(new SeededRandom(seed).fork('x').next())
    }
    expect(new Simulation().seed).toBe('0000000000000000')
  })

  it('env.random is the fork of its node and incarnation', () => {
    const sim = new Simulation({ seed: 9 })
    const draws: number[] = []
    sim.node('a', (env) => draws.push(env.random.next())).restart()
    const root = new SeededRandom(9)
    expect(draws).toEqual([root.fork('node/a/1').next(), root.fork('node/a/2').next()])
  })

  it('gives a node what it needs, by name', () => {
    const sim = new Simulation()
    const node = sim.node('a-1_B', (env) => Object.keys({ ...env }).sort())
    expect(node.app).toEqual([
      'address',
      'clock',
      'datagram',
      'disk',
      'incarnation',
      'logger',
      'name',
      'random',
      'rpc',
      'signal',
      'trace',
    ])
    expect([node.name, node.address, node.env?.address, node.env?.rpc.address]).toEqual([
      'a-1_B',
      'a-1_B:1',
      'a-1_B:1',
      'a-1_B:1',
    ])
    expect(Object.isFrozen(node.env)).toBe(true)
    expect(sim.nodes.get('a-1_B')).toBe(node)
  })

  it('keeps what a node logs, with the fields of child loggers', () => {
    const node = new Simulation().node('a', ({ logger }) => {
      logger.debug('one')
      logger.child({ part: 'x' }).child({ more: 1 }).warn('two', { why: 'because' })
    })
    expect(node.logs.entries).toEqual([
      { level: 'debug', message: 'one', fields: {} },
      { level: 'warn', message: 'two', fields: { part: 'x', more: 1, why: 'because' } },
    ])
  })

  it('at and every are the workload: at true times, also asynchronous', async () => {
    const sim = new Simulation()
    const seen: string[] = []
    sim.at(15, () => seen.push(`at ${sim.now}`))
    sim.every(10, async () => {
      await sim.clock.sleep(1)
      seen.push(`every ${sim.now}`)
    })
    await sim.runFor(30)
    sim.at(5, () => seen.push(`late ${sim.now}`))
    await sim.runFor(1)
    expect(seen).toEqual(['every 11', 'at 15', 'every 21', 'late 30', 'every 31'])
    for (const bad of [NaN, Infinity]) {
      expect(() => sim.at(bad, () => 1)).toThrowError(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      expect(() => sim.every(bad, () => 1)).toThrowError(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
    expect(() => sim.every(0, () => 1)).toThrowError(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it.each<[string, (sim: Simulation) => void]>([
    ['at', (sim) => sim.at(10, raise)],
    ['a promise of at', (sim) => sim.at(10, async () => raise())],
    ['every', (sim) => sim.every(10, raise)],
    ['a timer of the clock', (sim) => void sim.clock.setTimer(10, raise)],
    ['a promise that nobody handles', (sim) => sim.at(10, () => void (async () => raise())())],
  ])('what the workload throws in %s is WORKLOAD_ERROR', async (_what, act) => {
    const sim = new Simulation({ seed: 3 })
    act(sim)
    const error = await failing(sim)
    expect(error).toMatchObject({ code: 'WORKLOAD_ERROR', details: { seed: sim.seed, atMs: 10 } })
    expect(error?.message).toBe('The workload threw: out of order (seed 3, at 10 ms)')
    expect((error?.cause as Error).message).toBe('out of order')
  })

  it('runUntil asks before the first event and after every one, and leaves time there', async () => {
    const { sim, count } = counter()
    await sim.runUntil(() => true)
    expect(sim.now).toBe(0)
    await sim.runUntil(() => count() === 3)
    expect(sim.now).toBe(30)
    await expect(sim.runUntil(() => count() < 0, { limitMs: 100 })).rejects.toMatchObject({ code: 'TIMEOUT' })
    expect(sim.now).toBe(130)
    const quiet = new Simulation()
    await expect(quiet.runUntil(() => false)).rejects.toThrow('nothing is left to happen')
    await expect(quiet.runUntil(raise)).rejects.toMatchObject({ code: 'WORKLOAD_ERROR' })
  })

  it('run is what its promise is, and a timeout does not fail the simulation', async () => {
    const { sim } = counter()
    expect(await sim.run(sim.clock.sleep(50).then(() => 'slept'))).toBe('slept')
    expect(sim.now).toBe(50)
    await expect(sim.run(Promise.reject(new Error('mine')))).rejects.toThrow('mine')
    await expect(sim.run(new Promise(() => undefined), { limitMs: 10 })).rejects.toMatchObject({ code: 'TIMEOUT' })
    expect(sim.failure).toBeUndefined()
    await sim.runFor(1)
  })

  it('one run at a time: SIMULATION_BUSY, and the first goes on', async () => {
    const { sim, count } = counter()
    const first = sim.runFor(100)
    const busy = { code: 'SIMULATION_BUSY' }
    await expect(sim.runFor(1)).rejects.toMatchObject(busy)
    await expect(sim.runUntil(() => true)).rejects.toMatchObject(busy)
    await expect(sim.run(Promise.resolve())).rejects.toMatchObject(busy)
    await expect(sim.finish()).rejects.toMatchObject(busy)
    await expect(sim.stop()).rejects.toMatchObject(busy)
    await first
    expect(count()).toBe(10)
  })

  it.each([-1, NaN, Infinity])('runFor(%s) is INVALID_ARGUMENT', async (ms) => {
    const sim = new Simulation()
    await expect(sim.runFor(ms)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await sim.runFor(1)
  })

  it.each<[string, object, string]>([
    ['misspelt', { limitMS: 5, settleMS: 5 }, 'limitMS'],
    ['negative', { limitMs: -1, settleMs: -1 }, 'limitMs'],
    ['not finite', { limitMs: Infinity, settleMs: Infinity }, 'limitMs'],
  ])('an option of a run that is %s is a ConfigError, and no time passes', async (_what, options, path) => {
    const { sim } = counter()
    const error = { code: 'CONFIG_INVALID' }
    await expect(sim.runUntil(() => true, options)).rejects.toThrow(`Simulation.runUntil: ${path}`)
    await expect(sim.runUntil(() => true, options)).rejects.toMatchObject(error)
    await expect(sim.run(Promise.reject(new Error('mine')), options)).rejects.toMatchObject(error)
    await expect(sim.finish(options)).rejects.toMatchObject(error)
    expect([sim.now, sim.failure]).toEqual([0, undefined])
    await sim.runFor(1)
  })

  it('run of what is no promise is that', async () => {
    const { sim } = counter()
    expect(await sim.run(7 as unknown as Promise<number>)).toBe(7)
  })

  it('ends with the block that it is declared for', async () => {
    const { sim } = counter()
    const node = sim.node('b', () => undefined)
    await sim[Symbol.asyncDispose]()
    expect(node.state).toBe('down')
  })

  it.each<[string, object]>([
    ['a misspelt option', { sede: 1 }],
    ['a seed with a fraction', { seed: 0.5 }],
    ['a probability of 2', { link: { loss: 2 } }],
    ['an unknown latency', { link: { latency: { kind: 'cauchy' } } }],
    ['a latency that descends', { link: { latency: { kind: 'uniform', minMs: 2, maxMs: 1 } } }],
    ['a misspelt link option', { link: { los: 0.1 } }],
    ['a bandwidth of 0', { link: { bytesPerSecond: 0 } }],
    ['a bad disk', { disk: { syncErrorRate: -1 } }],
    ['an unknown tie break', { tieBreak: 'random' }],
    ['a queue of -1', { receiveQueue: -1 }],
    ['no events', { maxEvents: 0 }],
    ['no trace', { traceTail: 0 }],
  ])('%s is a ConfigError', (_what, options) => {
    expect(() => new Simulation(options)).toThrowError(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })

  it.each<[string, unknown, object]>([
    ['an empty name', '', {}],
    ['a name with a dot', 'a.b', {}],
    ['a name that begins with a hyphen', '-a', {}],
    ['a name of 64 characters', 'x'.repeat(64), {}],
    ['no name', undefined, {}],
    ['a name that is taken', 'taken', {}],
    ['a misspelt option', 'b', { skew: 1 }],
    ['a clock that stands still', 'b', { driftPpm: -1_000_000 }],
    ['a bad disk', 'b', { disk: { latency: -1 } }],
  ])('a node with %s is a ConfigError, and nothing is created', (_what, name, options) => {
    const sim = new Simulation()
    sim.node('taken', () => undefined)
    let booted = 0
    expect(() => sim.node(name as string, () => booted++, options as NodeOptions)).toThrowError(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    )
    expect([booted, sim.nodes.size]).toEqual([0, 1])
  })

  it('what should be a function and is none is INVALID_ARGUMENT', () => {
    const sim = new Simulation()
    const none = undefined as unknown as () => boolean
    for (const act of [
      () => sim.node('a', none),
      () => sim.at(1, none),
      () => sim.every(1, none),
      () => sim.always('x', none),
      () => sim.eventually('x', none),
    ])
      expect(act).toThrowError(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(sim.nodes.size).toBe(0)
  })

  it('a name of 63 characters is fine', () => {
    expect(new Simulation().node('x'.repeat(63), () => 1).state).toBe('up')
  })

  it('disk faults of a node lie over those of the simulation', async () => {
    const sim = new Simulation({ disk: { latency: 5, writeErrorRate: 1 } })
    const list = async (node: { env: NodeEnv | null }) => {
      const before = sim.now
      await sim.run(Promise.resolve(node.env?.disk.open('f', { create: true })))
      return sim.now - before
    }
    expect(await list(sim.node('a', () => undefined))).toBe(5)
    expect(await list(sim.node('b', () => undefined, { disk: { latency: 20 } }))).toBe(20)
  })

  it('report is frozen data', async () => {
    const { sim } = counter()
    await sim.runFor(100)
    const report = sim.report()
    expect(report).toMatchObject({ seed: sim.seed, nowMs: 100, events: 10, traceHash: sim.trace.hash })
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
    for (const part of [report, report.nodes, report.nodes[0], report.network, report.coverage])
      expect(Object.isFrozen(part)).toBe(true)
  })

  it('an idle hour costs no event', async () => {
    const sim = new Simulation()
    for (let i = 0; i < 100; i++) sim.node(`n${i}`, () => undefined)
    await sim.runFor(3_600_000)
    expect([sim.events, sim.now]).toEqual([0, 3_600_000])
  })
})
