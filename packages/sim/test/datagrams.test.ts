import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Simulation, type LinkOptions, type NodeEnv, type SimNode, type SimulationOptions } from '../src/index.js'

interface Got {
  readonly from: string
  readonly bytes: Uint8Array
  readonly atMs: number
}

function pair(options: SimulationOptions = {}) {
  const sim = new Simulation({ seed: 2, ...options })
  const got: Record<string, Got[]> = { a: [], b: [] }
  for (const name of ['a', 'b'])
    sim.node(name, (env) => {
      env.datagram.onMessage((from, bytes) => got[name]?.push({ from, bytes, atMs: sim.now }))
      return env
    })
  const send = (from: string, to: string, bytes = Uint8Array.of(1)) =>
    envOf(sim.nodes.get(from)).datagram.send(to, bytes)
  return { sim, got, send, atB: got['b'] as Got[], atA: got['a'] as Got[] }
}

function envOf(node: SimNode | undefined): NodeEnv {
  const env = node?.env ?? null
  if (env === null) throw new Error('the node is down')
  return env
}

/** Latencies of many messages. */
async function latenciesOf(link: Partial<LinkOptions>, count = 20_000): Promise<number[]> {
  const { sim, send, atB } = pair({ link, traceTail: 1 })
  for (let i = 0; i < count; i++) send('a', 'b:1', Uint8Array.of(i & 255))
  await sim.runFor(1e6)
  return atB.map(({ atMs }) => atMs).sort((x, y) => x - y)
}

const meanOf = (xs: readonly number[]) => xs.reduce((sum, x) => sum + x, 0) / xs.length
const quantile = (sorted: readonly number[], q: number) => sorted[Math.floor(q * sorted.length)] ?? NaN

describe('Latencies, loss, duplicates and corruption of datagrams (SIM-9)', () => {
  it('a number is the latency of every message', async () => {
    expect(new Set(await latenciesOf({ latency: 7 }, 100))).toEqual(new Set([7]))
  })

  it('uniform latencies lie evenly between minMs and maxMs', async () => {
    const found = await latenciesOf({ latency: { kind: 'uniform', minMs: 10, maxMs: 30 } })
    expect(found[0]).toBeGreaterThanOrEqual(10)
    expect(found.at(-1)).toBeLessThan(30)
    for (const q of [0.1, 0.5, 0.9]) expect(quantile(found, q)).toBeCloseTo(10 + 20 * q, 0)
  })

  it('exponential latencies are minMs + Exp(meanMs - minMs)', async () => {
    const found = await latenciesOf({ latency: { kind: 'exponential', minMs: 5, meanMs: 15 } })
    expect(found[0]).toBeGreaterThanOrEqual(5)
    expect(meanOf(found)).toBeGreaterThan(14.7)
    expect(meanOf(found)).toBeLessThan(15.3)
    for (const q of [0.25, 0.5, 0.9]) {
      const expected = 5 - 10 * Math.log(1 - q)
      expect(Math.abs(quantile(found, q) / expected - 1)).toBeLessThan(0.04)
    }
  })

  it('lognormal latencies have their median and their 99th percentile', async () => {
    const found = await latenciesOf({ latency: { kind: 'lognormal', medianMs: 20, p99Ms: 100 } })
    expect(Math.abs(quantile(found, 0.5) / 20 - 1)).toBeLessThan(0.03)
    expect(Math.abs(quantile(found, 0.99) / 100 - 1)).toBeLessThan(0.08)
  })

  it('is exponential from 0.5 ms with a mean of 2 ms by default', async () => {
    const found = await latenciesOf({})
    expect(found[0]).toBeGreaterThanOrEqual(0.5)
    expect(Math.abs(meanOf(found) - 2)).toBeLessThan(0.05)
  })

  it('does not correlate what one link draws at different times, nor different links at one time', async () => {
    const sim = new Simulation({ seed: 1, link: { latency: { kind: 'uniform', minMs: 0, maxMs: 0.9 } }, traceTail: 1 })
    const delays = new Map<string, number[]>()
    for (const name of ['a', 'b', 'c']) {
      sim.node(name, (env) => {
        env.datagram.onMessage((from) => {
          const key = `${from}>${name}`
          delays.set(key, [...(delays.get(key) ?? []), sim.now % 1])
        })
        return env
      })
    }
    sim.every(1, () => {
      for (const to of ['b:1', 'c:1']) envOf(sim.nodes.get('a')).datagram.send(to, Uint8Array.of(1))
      envOf(sim.nodes.get('b')).datagram.send('a:1', Uint8Array.of(1))
    })
    await sim.runFor(3_000.95)
    const streams = ['a:1>b', 'a:1>c', 'b:1>a'].map((key) => delays.get(key) ?? [])
    const correlation = (xs: readonly number[], ys: readonly number[]) => {
      const [mx, my] = [meanOf(xs), meanOf(ys)]
      const cov = meanOf(xs.map((x, i) => (x - mx) * ((ys[i] ?? 0) - my)))
      const spread = (zs: readonly number[], m: number) => Math.sqrt(meanOf(zs.map((z) => (z - m) ** 2)))
      return cov / (spread(xs, mx) * spread(ys, my))
    }
    const [ab = [], ac = [], ba = []] = streams
    for (const stream of streams) {
      expect(stream).toHaveLength(3_000)
      expect(Math.abs(meanOf(stream) - 0.45)).toBeLessThan(0.02)
      expect(Math.abs(correlation(stream.slice(1), stream.slice(0, -1)))).toBeLessThan(0.06)
    }
    expect(Math.abs(correlation(ab, ac))).toBeLessThan(0.06)
    expect(Math.abs(correlation(ab, ba))).toBeLessThan(0.06)
  })

  it('unequal latencies reorder', async () => {
    const { sim, send, atB } = pair()
    for (let i = 0; i < 50; i++) send('a', 'b:1', Uint8Array.of(i))
    await sim.runFor(1_000)
    const order = atB.map(({ bytes }) => bytes[0])
    expect(order).toHaveLength(50)
    expect(order).not.toEqual([...order].sort((x, y) => (x ?? 0) - (y ?? 0)))
  })

  it('loss drops its share', async () => {
    const { sim, send } = pair({ link: { loss: 0.2 } })
    for (let i = 0; i < 10_000; i++) send('a', 'b:1')
    await sim.runFor(1_000)
    const { dropped, delivered } = sim.network.stats()
    expect(Math.abs(dropped.loss - 2_000)).toBeLessThan(150)
    expect(delivered).toBe(10_000 - dropped.loss)
  })

  it('duplicate sends its share twice, each copy with a draw of its own', async () => {
    const { sim, send, atB } = pair({ link: { duplicate: 0.3 } })
    for (let i = 0; i < 200; i++) send('a', 'b:1', Uint8Array.of(i))
    await sim.runFor(1_000)
    const { duplicated, delivered } = sim.network.stats()
    expect(duplicated).toBeGreaterThan(35)
    expect(duplicated).toBeLessThan(85)
    expect(delivered).toBe(200 + duplicated)
    expect(new Set(atB.map(({ atMs }) => atMs)).size).toBe(delivered)
  })

  it('corrupt turns exactly one bit of a copy', async () => {
    const { sim, send, atB } = pair({ link: { corrupt: 0.5 } })
    const sent = new Uint8Array(100)
    for (let i = 0; i < 1_000; i++) send('a', 'b:1', sent)
    send('a', 'b:1', new Uint8Array(0))
    await sim.runFor(1_000)
    const turned = atB.map(({ bytes }) =>
      bytes.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0),
    )
    const { corrupted } = sim.network.stats()
    expect(turned.filter((bits) => bits === 1)).toHaveLength(corrupted)
    expect(turned.filter((bits) => bits > 1)).toHaveLength(0)
    expect(Math.abs(corrupted - 500)).toBeLessThan(60)
    const bits = new Set(atB.map(({ bytes }) => bytes.findIndex((byte) => byte !== 0)))
    expect(bits.size).toBeGreaterThan(95)
  })

  it('links differ by direction, and change while the simulation runs', async () => {
    const { sim, send, got } = pair({ link: { latency: 1 } })
    sim.network.link('a', 'b', { latency: 10 }, { oneWay: true })
    send('a', 'b:1')
    send('b', 'a:1')
    await sim.runFor(20)
    expect([got['b']?.[0]?.atMs, got['a']?.[0]?.atMs]).toEqual([10, 1])
    sim.network.link(['a'], ['b'], { latency: 3 })
    send('a', 'b:1')
    send('b', 'a:1')
    await sim.runFor(20)
    expect([got['b']?.[1]?.atMs, got['a']?.[1]?.atMs]).toEqual([23, 23])
  })

  it('copies what is sent, also out of a Buffer', async () => {
    const { sim, send, atB } = pair()
    for (const length of [10, 64, 65, 500, 4_096, 10_000]) {
      const buffer = Buffer.alloc(length, 7)
      send('a', 'b:1', buffer)
      buffer.fill(0)
    }
    await sim.runFor(100)
    for (const { bytes } of atB) expect(bytes.every((byte) => byte === 7)).toBe(true)
    expect(atB.map(({ bytes }) => bytes.length).sort((x, y) => x - y)).toEqual([10, 64, 65, 500, 4_096, 10_000])
  })
})

describe('Bandwidth (SIM-10)', () => {
  it('sends one after the other', async () => {
    const { sim, send, atB } = pair({ link: { latency: 5, bytesPerSecond: 1_000 } })
    for (let i = 0; i < 3; i++) send('a', 'b:1', new Uint8Array(100))
    await sim.runFor(150)
    send('a', 'b:1', new Uint8Array(50))
    await sim.runFor(1_000)
    expect(atB.map(({ atMs }) => atMs)).toEqual([105, 205, 305, 355])
  })

  it('drops what does not fit into the queue, and has room again when that is sent', async () => {
    const { sim, send, atB } = pair({ link: { latency: 0, bytesPerSecond: 1_000, queueBytes: 250 } })
    for (let i = 0; i < 4; i++) send('a', 'b:1', new Uint8Array(100))
    expect(sim.network.stats().dropped.overflow).toBe(2)
    await sim.runFor(50)
    send('a', 'b:1', new Uint8Array(100))
    await sim.runFor(1_000)
    expect(sim.network.stats().dropped.overflow).toBe(2)
    expect(atB).toHaveLength(3)
    send('a', 'b:1', new Uint8Array(251))
    expect(sim.network.stats().dropped.overflow).toBe(3)
  })

  it('has a queue for each direction', async () => {
    const { sim, send, got } = pair({ link: { latency: 0, bytesPerSecond: 1_000 } })
    send('a', 'b:1', new Uint8Array(100))
    send('b', 'a:1', new Uint8Array(100))
    await sim.runFor(1_000)
    expect([got['a']?.[0]?.atMs, got['b']?.[0]?.atMs]).toEqual([100, 100])
  })
})

describe('Partitions and clogs (SIM-11)', () => {
  it('a partition drops what is sent and what arrives while it stands', async () => {
    const { sim, send, atB } = pair({ link: { latency: 10 } })
    send('a', 'b:1')
    await sim.runFor(5)
    sim.network.partition('a', 'b')
    send('a', 'b:1')
    send('b', 'a:1')
    await sim.runFor(6)
    expect(sim.network.stats()).toMatchObject({ inFlight: 0, delivered: 0, dropped: { partition: 3 } })
    sim.network.heal('a', 'b')
    send('a', 'b:1')
    await sim.runFor(10)
    expect(atB).toHaveLength(1)
  })

  it('a message sent before and arriving after a partition is delivered', async () => {
    const { sim, send, atB } = pair({ link: { latency: 10 } })
    send('a', 'b:1')
    sim.at(2, () => sim.network.partition('a', 'b'))
    sim.at(8, () => sim.network.heal())
    await sim.runFor(20)
    expect(atB).toHaveLength(1)
  })

  it('holds in one direction with oneWay', async () => {
    const { sim, send, got } = pair({ link: { latency: 1 } })
    sim.network.partition('a', 'b', { oneWay: true })
    expect([sim.network.isConnected('a', 'b'), sim.network.isConnected('b', 'a')]).toEqual([false, true])
    send('a', 'b:1')
    send('b', 'a:1')
    await sim.runFor(5)
    expect([got['a']?.length, got['b']?.length]).toEqual([1, 0])
  })

  it('heal ends all partitions of the named pairs, and of no other', () => {
    const sim = new Simulation()
    for (const name of 'abcd') sim.node(name, () => undefined)
    const { network } = sim
    network.partition(['a', 'b'], ['c', 'd'])
    network.partition('a', 'c')
    network.heal('a', 'c')
    expect(network.isConnected('a', 'c')).toBe(true)
    expect(network.isConnected('c', 'a')).toBe(true)
    expect(network.isConnected('a', 'd')).toBe(false)
    network.heal('d')
    expect(network.isConnected('a', 'd')).toBe(true)
    expect(network.isConnected('d', 'b')).toBe(true)
    expect(network.isConnected('b', 'c')).toBe(false)
    network.heal()
    expect(network.isConnected('b', 'c')).toBe(true)
  })

  it('a clog loses nothing: what would arrive is delivered after unclog with a new latency', async () => {
    const { sim, send, atB } = pair({ link: { latency: 10 } })
    send('a', 'b:1', Uint8Array.of(1))
    sim.network.clog('a', 'b')
    await sim.runFor(5)
    send('a', 'b:1', Uint8Array.of(2))
    await sim.runFor(100)
    expect(sim.network.isConnected('a', 'b')).toBe(false)
    expect(atB).toHaveLength(0)
    expect(sim.network.stats().inFlight).toBe(2)
    sim.network.unclog('a', 'b')
    await sim.runFor(20)
    expect(atB.map(({ bytes, atMs }) => [bytes[0], atMs])).toEqual([
      [1, 115],
      [2, 115],
    ])
  })

  it('a message that ends its clog in a partition is dropped', async () => {
    const { sim, send } = pair({ link: { latency: 10 } })
    sim.network.clog('a', 'b')
    send('a', 'b:1')
    await sim.runFor(15)
    sim.network.partition('a', 'b')
    sim.network.unclog()
    await sim.runFor(15)
    expect(sim.network.stats()).toMatchObject({ inFlight: 0, dropped: { partition: 1 } })
  })

  it.each([
    ['link', (net: Simulation['network']) => net.link('a', 'x', { loss: 0 })],
    ['partition', (net: Simulation['network']) => net.partition(['a', 'x'], 'b')],
    ['clog', (net: Simulation['network']) => net.clog('x', 'b')],
    ['heal', (net: Simulation['network']) => net.heal('x')],
    ['unclog', (net: Simulation['network']) => net.unclog('a', 'x')],
    ['isConnected', (net: Simulation['network']) => net.isConnected('a', 'x')],
    ['a probability of 2', (net: Simulation['network']) => net.link('a', 'b', { loss: 2 })],
    ['a misspelt option', (net: Simulation['network']) => net.link('a', 'b', { los: 0.5 } as object)],
    ['a misspelt direction', (net: Simulation['network']) => net.partition('a', 'b', { oneway: true } as object)],
    [
      'an unknown latency',
      (net: Simulation['network']) => net.link('a', 'b', { latency: { kind: 'cauchy' } as never }),
    ],
  ])('a ConfigError, and nothing changes: %s', (_what, act) => {
    const { sim } = pair()
    expect(() => act(sim.network)).toThrowError(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    expect(sim.network.isConnected('a', 'b')).toBe(true)
  })
})

type Act =
  | { kind: 'partition' | 'clog' | 'heal'; a: string; b: string; oneWay: boolean }
  | { kind: 'crash' | 'restart' | 'pause' | 'resume' | 'stop' | 'deafen'; a: string }
  | { kind: 'link'; a: string; b: string; latency: number; loss: number }

function happen(sim: Simulation, act: Act): unknown {
  const node = sim.nodes.get(act.a)
  switch (act.kind) {
    case 'partition':
    case 'clog':
      return sim.network[act.kind](act.a, act.b, { oneWay: act.oneWay })
    case 'heal':
      sim.network.heal(act.a, act.b)
      return sim.network.unclog(act.a, act.b)
    case 'link':
      return sim.network.link(act.a, act.b, { latency: act.latency, loss: act.loss })
    case 'deafen':
      return node?.env?.datagram.close()
    case 'stop':
      void node?.stop()
      return undefined
    default:
      return node?.[act.kind]()
  }
}

describe('Conservation of datagrams (SIM-12)', () => {
  it('sent + duplicated = delivered + dropped + inFlight at all times, whatever happens', async () => {
    const name = fc.constantFrom('a', 'b', 'c')
    const act: fc.Arbitrary<Act> = fc.oneof(
      fc.record({
        kind: fc.constantFrom('partition' as const, 'clog' as const, 'heal' as const),
        a: name,
        b: name,
        oneWay: fc.boolean(),
      }),
      fc.record({
        kind: fc.constantFrom(...(['crash', 'restart', 'pause', 'resume', 'stop', 'deafen'] as const)),
        a: name,
      }),
      fc.record({
        kind: fc.constant('link' as const),
        a: name,
        b: name,
        latency: fc.integer({ min: 0, max: 50 }),
        loss: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    )
    const fault = fc.record({ atMs: fc.integer({ min: 0, max: 300 }), act })
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(fault, { maxLength: 25 }),
        fc.record({
          loss: fc.double({ min: 0, max: 0.5, noNaN: true }),
          duplicate: fc.double({ min: 0, max: 1, noNaN: true }),
          corrupt: fc.double({ min: 0, max: 1, noNaN: true }),
          bytesPerSecond: fc.constantFrom(Infinity, 5_000),
          queueBytes: fc.constantFrom(100, 1_000),
        }),
        async (seed, faults, link) => {
          const sim = new Simulation({ seed, link, receiveQueue: 5 })
          const names = ['a', 'b', 'c']
          let received = 0
          for (const name of names)
            sim.node(name, (env) => {
              env.datagram.onMessage((from, bytes) => {
                received++
                if (env.random.int(3) === 0) env.datagram.send(from, bytes)
              })
              const tick = () => {
                env.datagram.send(`${env.random.pick([...names, 'ghost'])}:1`, new Uint8Array(env.random.int(60)))
                env.clock.setTimer(env.random.int(10), tick)
              }
              env.clock.setTimer(0, tick)
              return env
            })
          for (const { atMs, act } of faults) sim.at(atMs, () => happen(sim, act))
          const balance = () => {
            const { sent, duplicated, delivered, inFlight, dropped } = sim.network.stats()
            const { loss, partition, overflow, down } = dropped
            return sent + duplicated - (delivered + inFlight + loss + partition + overflow + down)
          }
          // Sends of a closed transport are misuse of this program, not the network's.
          sim.always('datagrams are conserved', () => balance() === 0)
          sim.always('delivered is what handlers got', () => sim.network.stats().delivered === received)
          await sim.runFor(400).catch((error: unknown) => {
            if ((error as { code: string; message: string }).code !== 'NODE_ERROR') throw error
          })
          expect(balance()).toBe(0)
          sim.healAll()
          for (const node of sim.nodes.values()) node.crash()
          if (sim.failure === undefined) {
            await sim.runFor(10_000)
            expect(sim.network.stats().inFlight).toBe(0)
            expect(balance()).toBe(0)
          }
        },
      ),
      { numRuns: 60, seed: 3 },
    )
  })

  it('counts as down what goes to a node that is down, unknown or does not listen', async () => {
    const { sim, send } = pair({ link: { latency: 1 } })
    sim.node('deaf', () => undefined)
    send('a', 'ghost:1')
    send('a', 'deaf:1')
    send('a', 'b:2')
    sim.nodes.get('b')?.crash()
    send('a', 'b:1')
    await sim.runFor(5)
    expect(sim.network.stats()).toMatchObject({ sent: 4, dropped: { down: 4 }, inFlight: 0, bytes: 4 })
  })

  it('a node to itself takes 0.01 ms and meets no fault', async () => {
    const { sim, send, atA } = pair({ link: { loss: 1, duplicate: 1, corrupt: 1, bytesPerSecond: 1, queueBytes: 0 } })
    sim.network.partition(['a', 'b'], ['a', 'b'])
    send('a', 'a:1', Uint8Array.of(1, 2, 3))
    await sim.runFor(1)
    expect(atA).toEqual([{ from: 'a:1', bytes: Uint8Array.of(1, 2, 3), atMs: 0.01 }])
    expect(sim.network.isConnected('a', 'a')).toBe(true)
  })

  it('maxMessageBytes is 65,507', () => {
    const { sim, send } = pair()
    expect(envOf(sim.nodes.get('a')).datagram.maxMessageBytes).toBe(65_507)
    expect(() => send('a', 'b:1', new Uint8Array(65_508))).toThrowError(
      expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }),
    )
  })

  it('stats are frozen data', () => {
    const stats = pair().sim.network.stats()
    expect(Object.isFrozen(stats)).toBe(true)
    expect(Object.isFrozen(stats.dropped)).toBe(true)
    expect(JSON.parse(JSON.stringify(stats))).toEqual(stats)
  })
})
