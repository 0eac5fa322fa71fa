import { describe, expect, it } from 'vitest'
import { Simulation, type Fault } from '../src/index.js'

function cluster() {
  const sim = new Simulation({ seed: 8, link: { latency: 1 }, wallStartMs: 0 })
  const nodes = ['a', 'b', 'c'].map((name) =>
    sim.node(name, (env) => {
      env.datagram.onMessage(() => undefined)
      return env
    }),
  )
  const [a, b, c] = nodes
  if (a === undefined || b === undefined || c === undefined) throw new Error('three nodes')
  /** What `read` gives at each time. */
  const course = async <T>(read: () => T, times: readonly number[]): Promise<T[]> => {
    const seen: T[] = []
    for (const atMs of times) {
      await sim.runFor(atMs - sim.now)
      seen.push(read())
    }
    return seen
  }
  return { sim, a, b, c, course }
}

describe('Faults happen and are undone (SIM-21)', () => {
  it('crash: down for forMs, then restarted', async () => {
    const { sim, a, course } = cluster()
    sim.schedule([{ kind: 'crash', node: 'a', atMs: 100, forMs: 50 }])
    expect(await course(() => `${a.state} ${a.incarnation}`, [99, 100, 149, 150])).toEqual([
      'up 1',
      'down 1',
      'down 1',
      'up 2',
    ])
  })

  it('crash with the disk: the next incarnation finds it empty', async () => {
    const { sim, a, b } = cluster()
    for (const node of [a, b]) {
      await sim.run(Promise.resolve(node.env?.disk.open('f', { create: true })))
      await sim.run(node.env?.disk.syncDirectory() ?? Promise.resolve())
    }
    sim.schedule([
      { kind: 'crash', node: 'a', atMs: 100, forMs: 10, disk: 'lose' },
      { kind: 'crash', node: 'b', atMs: 100, forMs: 10, disk: 'keep' },
    ])
    await sim.runFor(200)
    expect(await sim.run(a.env?.disk.list() ?? Promise.resolve([]))).toEqual([])
    expect(await sim.run(b.env?.disk.list() ?? Promise.resolve([]))).toEqual(['f'])
  })

  it('overlapping crashes: down until the last ends', async () => {
    const { sim, a, course } = cluster()
    sim.schedule([
      { kind: 'crash', node: 'a', atMs: 100, forMs: 100 },
      { kind: 'crash', node: 'a', atMs: 150, forMs: 100 },
    ])
    expect(await course(() => `${a.state} ${a.incarnation}`, [120, 200, 249, 250])).toEqual([
      'down 1',
      'down 1',
      'down 1',
      'up 2',
    ])
  })

  it('a crash of a node that the workload took down leaves it down', async () => {
    const { sim, a, course } = cluster()
    a.crash()
    sim.schedule([{ kind: 'crash', node: 'a', atMs: 100, forMs: 100 }])
    expect(await course(() => a.state, [150, 300])).toEqual(['down', 'down'])
  })

  it('a node that the workload restarts meanwhile is left alone', async () => {
    const { sim, a, course } = cluster()
    sim.schedule([{ kind: 'crash', node: 'a', atMs: 100, forMs: 100 }])
    sim.at(150, () => a.restart())
    expect(await course(() => `${a.state} ${a.incarnation}`, [160, 300])).toEqual(['up 2', 'up 2'])
  })

  it('pauses overlap, with those of the workload too', async () => {
    const { sim, a, course } = cluster()
    sim.schedule([
      { kind: 'pause', node: 'a', atMs: 100, forMs: 100 },
      { kind: 'pause', node: 'a', atMs: 150, forMs: 100 },
    ])
    sim.at(160, () => a.pause())
    sim.at(170, () => a.resume())
    expect(await course(() => a.state, [110, 180, 210, 249, 250])).toEqual([
      'paused',
      'paused',
      'paused',
      'paused',
      'up',
    ])
  })

  it('a pause ends with the incarnation that it holds', async () => {
    const { sim, a, course } = cluster()
    sim.schedule([{ kind: 'pause', node: 'a', atMs: 100, forMs: 100 }])
    sim.at(120, () => a.restart())
    sim.at(130, () => a.pause())
    expect(await course(() => a.state, [125, 135, 250])).toEqual(['up', 'paused', 'paused'])
  })

  it.each(['partition', 'clog'] as const)('a %s stands in its direction, counted', async (kind) => {
    const { sim, course } = cluster()
    sim.schedule([
      { kind, from: ['a'], to: ['b', 'c'], atMs: 100, forMs: 100 },
      { kind, from: ['a'], to: ['b'], oneWay: true, atMs: 150, forMs: 100 },
    ])
    const read = () =>
      [
        ['a', 'b'],
        ['b', 'a'],
        ['a', 'c'],
        ['b', 'c'],
      ]
        .map(([from = '', to = '']) => (sim.network.isConnected(from, to) ? 1 : 0))
        .join('')
    expect(await course(read, [50, 120, 160, 210, 250])).toEqual(['1111', '0001', '0001', '0111', '1111'])
  })

  it('a heal by hand ends a fault once: its own end takes nothing from another', async () => {
    const { sim, course } = cluster()
    sim.schedule([{ kind: 'partition', from: ['a'], to: ['b'], atMs: 100, forMs: 100 }])
    sim.at(120, () => sim.network.heal())
    sim.at(130, () => sim.network.partition('a', 'b'))
    expect(await course(() => sim.network.isConnected('a', 'b'), [110, 125, 140, 300])).toEqual([
      false,
      true,
      false,
      false,
    ])
  })

  it('link changes lie over each other, and over what the workload sets', async () => {
    const { sim, a, course } = cluster()
    const lost = () => {
      const { dropped } = sim.network.stats()
      a.env?.datagram.send('b:1', Uint8Array.of(1))
      return sim.network.stats().dropped.loss - dropped.loss
    }
    sim.schedule([
      { kind: 'link', from: ['a'], to: ['b'], change: { loss: 1 }, atMs: 100, forMs: 100 },
      { kind: 'link', from: ['a'], to: ['b'], change: { loss: 0, latency: 5 }, atMs: 150, forMs: 20 },
    ])
    sim.at(180, () => sim.network.link('a', 'b', { loss: 0, latency: 2 }))
    expect(await course(lost, [50, 120, 160, 175, 190, 210])).toEqual([0, 1, 0, 1, 1, 0])
  })

  it('clock faults add up, and end each on its own', async () => {
    const { sim, a, course } = cluster()
    a.setClock({ skewMs: 1 })
    sim.schedule([
      { kind: 'clock', node: 'a', skewMs: 1_000, atMs: 100, forMs: 100 },
      { kind: 'clock', node: 'a', skewMs: 20_000, driftPpm: 1_000_000, atMs: 150, forMs: 100 },
    ])
    const skew = () => (a.env?.clock.wallNow() ?? NaN) - sim.now
    expect(await course(skew, [50, 120, 160, 210, 260])).toEqual([1, 1_001, 21_011, 20_061, 101])
  })

  it('disk faults lie over each other, and end each on its own', async () => {
    const { sim, a } = cluster()
    const fault = (change: object, atMs: number, forMs: number): Fault => ({
      kind: 'disk',
      node: 'a',
      change,
      atMs,
      forMs,
    })
    sim.schedule([fault({ latency: 10 }, 100, 200), fault({ readErrorRate: 1, latency: 3 }, 200, 200)])
    const list = async (atMs: number) => {
      await sim.runFor(atMs - sim.now)
      await sim.run(Promise.resolve(a.env?.disk.open('f', { create: true })))
      return sim.now - atMs
    }
    const found = [await list(0), await list(150), await list(250), await list(350), await list(450)]
    expect(found.map((ms) => Math.round(ms * 1_000) / 1_000)).toEqual([0.1, 10, 3, 3, 0.1])
  })

  it('healAll ends what is on and calls off what is to come', async () => {
    const { sim, a, b, c, course } = cluster()
    sim.schedule([
      { kind: 'crash', node: 'a', atMs: 100, forMs: 1e6 },
      { kind: 'pause', node: 'b', atMs: 100, forMs: 1e6 },
      { kind: 'clock', node: 'c', skewMs: 99, atMs: 100, forMs: 1e6 },
      { kind: 'crash', node: 'c', atMs: 300, forMs: 100 },
    ])
    sim.at(200, () => sim.healAll())
    const read = () => `${a.state} ${b.state} ${c.state} ${(c.env?.clock.wallNow() ?? 0) - sim.now}`
    expect(await course(read, [150, 200, 350])).toEqual(['down paused up 99', 'up up up 0', 'up up up 0'])
  })

  it('one that should have begun begins now and ends when it should; one that should have ended is over', async () => {
    const { sim, a, b, course } = cluster()
    await sim.runFor(100)
    sim.schedule([
      { kind: 'pause', node: 'a', atMs: 50, forMs: 100 },
      { kind: 'crash', node: 'b', atMs: 50, forMs: 50 },
    ])
    expect(await course(() => `${a.state} ${b.state} ${b.incarnation}`, [100, 149, 150])).toEqual([
      'paused up 1',
      'paused up 1',
      'up up 1',
    ])
  })

  it('each is an entry of the trace', async () => {
    const { sim } = cluster()
    const fault: Fault = { kind: 'pause', node: 'a', atMs: 100, forMs: 50 }
    sim.schedule([fault])
    await sim.runFor(200)
    const entry = sim.trace.tail().find(({ kind }) => kind === 'fault')
    expect(entry?.atMs).toBe(100)
    expect(JSON.parse(String(entry?.detail))).toEqual(fault)
  })

  it.each<[string, unknown, string, unknown]>([
    ['of an unknown node', { kind: 'crash', node: 'x', atMs: 1, forMs: 1 }, 'node', 'x'],
    ['between unknown nodes', { kind: 'partition', from: ['a'], to: ['b', 'x'], atMs: 1, forMs: 1 }, 'to.1', 'x'],
    ['of an unknown kind', { kind: 'meteor', node: 'a', atMs: 1, forMs: 1 }, 'kind', 'meteor'],
    ['without a time', { kind: 'crash', node: 'a', forMs: 1 }, 'atMs', undefined],
    ['of a negative length', { kind: 'crash', node: 'a', atMs: 1, forMs: -1 }, 'forMs', -1],
    [
      'with a probability of 2',
      { kind: 'link', from: ['a'], to: ['b'], change: { loss: 2 }, atMs: 1, forMs: 1 },
      'change.loss',
      2,
    ],
    ['with a misspelt field', { kind: 'pause', node: 'a', atMs: 1, forMs: 1, nodes: 'b' }, 'nodes', 'b'],
  ])('a fault %s is a ConfigError that names it, and none of its plan happens', async (_what, bad, field, value) => {
    const { sim, a } = cluster()
    await sim.runFor(10)
    const plan = [{ kind: 'crash', node: 'a', atMs: 20, forMs: 100 }, bad] as Fault[]
    expect(() => sim.schedule(plan)).toThrowError(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        issues: [expect.objectContaining({ path: `faults.1.${field}`, value })],
      }),
    )
    await sim.runFor(50)
    expect(a.state).toBe('up')
  })
})
