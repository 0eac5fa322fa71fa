import * as fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { Simulation, type NodeEnv, type SimulationOptions } from '../src/index.js'
import { setTurnSkipping } from '../src/turns.js'

/** Lets an async function be a callback, as programs do. */
const callback = <A extends unknown[]>(fn: (...args: A) => Promise<unknown>) => fn as (...args: A) => void

/** A bit of everything: datagrams, requests, sleeps, logs, chains of promises, disk, faults. */
function busyCluster(seed: number, options: SimulationOptions = {}): Simulation {
  const sim = new Simulation({ seed, link: { loss: 0.05, duplicate: 0.05 }, ...options })
  const names = ['a', 'b', 'c', 'd']
  const program = (env: NodeEnv) => {
    const answer = async (from: string, bytes: Uint8Array) => {
      await Promise.resolve()
      if (bytes[0] === 0) return
      env.datagram.send(from, Uint8Array.of((bytes[0] ?? 0) - 1, env.random.int(256)))
    }
    env.datagram.onMessage(callback(answer))
    env.rpc.handle('add', async (body) => {
      if (env.random.int(2) === 0) await env.clock.sleep(env.random.int(20))
      return Uint8Array.of((body[0] ?? 0) + 1)
    })
    const round = async (): Promise<void> => {
      for (let i = 0; ; i++) {
        await env.clock.sleep(5 + env.random.int(50), env.signal)
        const peer = `${env.random.pick(names)}:1`
        env.datagram.send(peer, Uint8Array.of(3))
        try {
          await env.rpc.request(peer, 'add', Uint8Array.of(i % 200), { timeoutMs: 100 })
        } catch (error) {
          env.logger.warn('no answer', { err: error })
        }
        const file = await env.disk.open('rounds', { create: true })
        await file.write(0, Uint8Array.of(i % 256))
        await file.close()
        env.trace('round', String(i))
      }
    }
    round().catch((error: unknown) => env.logger.info('stopped', { err: error }))
    return { stop: () => undefined }
  }
  for (const name of names) sim.node(name, program, { driftPpm: name === 'b' ? 300 : 0 })
  sim.schedule([
    { kind: 'crash', node: 'b', atMs: 300, forMs: 200 },
    { kind: 'pause', node: 'c', atMs: 350, forMs: 120 },
    { kind: 'partition', from: ['a'], to: ['b', 'c'], oneWay: true, atMs: 420, forMs: 150 },
    { kind: 'clog', from: ['d'], to: ['a'], atMs: 500, forMs: 100 },
    { kind: 'clock', node: 'a', skewMs: -5_000, driftPpm: 400, atMs: 100, forMs: 500 },
  ])
  sim.every(100, () => sim.sometimes('a tenth of a second'))
  return sim
}

async function course(sim: Simulation, slices: readonly number[] = [1_000]): Promise<unknown> {
  for (const ms of slices) await sim.runFor(ms)
  return { ...sim.report(), tail: sim.trace.tail(1_000) }
}

describe('One seed gives one run (SIM-1, SIM-2)', () => {
  it('gives the same trace for the same seed, and another for another', async () => {
    const first = await course(busyCluster(1))
    expect(await course(busyCluster(1))).toEqual(first)
    const hashes = await Promise.all(
      [1, 2, 3, 4, 5].map(async (seed) => {
        const sim = busyCluster(seed)
        await sim.runFor(1_000)
        return sim.trace.hash
      }),
    )
    expect(new Set(hashes).size).toBe(5)
    expect(busyCluster(1).events).toBe(0)
  })

  it('gives the same trace however the run is sliced', async () => {
    const whole = await course(busyCluster(7))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 1_000 }), { maxLength: 12 }), async (cuts) => {
        const ends = [...cuts, 1_000].sort((x, y) => x - y)
        const slices = ends.map((end, index) => end - (ends[index - 1] ?? 0))
        expect(await course(busyCluster(7), slices)).toEqual(whole)
      }),
      { numRuns: 15, seed: 1 },
    )
  })

  it('gives the same trace while other simulations and other code run', async () => {
    const alone = await Promise.all([course(busyCluster(8)), course(busyCluster(9))])
    let noise = 0
    let isOver = false
    const other = (async () => {
      while (!isOver) {
        noise++
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    const together = await Promise.all([course(busyCluster(8), [10, 490, 500]), course(busyCluster(9), [700, 300])])
    isOver = true
    await other
    expect(together).toEqual(alone)
    expect(noise).toBeGreaterThan(10)
  })

  it('draws for a message by its link and time, so that other messages disturb none', async () => {
    const arrivals = async (extra: (env: NodeEnv) => void) => {
      const sim = new Simulation({ seed: 3, link: { loss: 0.3 } })
      const found: string[] = []
      sim.node('b', (env) => env.datagram.onMessage((from, bytes) => found.push(`${bytes[0]} ${from} ${sim.now}`)))
      sim.node('c', () => undefined)
      sim.node('a', (env) => {
        for (let i = 0; i < 100; i++)
          env.clock.setTimer(i, () => {
            if (i % 3 === 0) extra(env)
            env.datagram.send('b:1', Uint8Array.of(i))
          })
      })
      await sim.runFor(500)
      return found
    }
    const quiet = await arrivals(() => undefined)
    expect(quiet.length).toBeGreaterThan(50)
    expect(await arrivals((env) => env.datagram.send('c:1', Uint8Array.of(1)))).toEqual(quiet)
    expect(await arrivals((env) => env.random.next())).toEqual(quiet)
    expect(await arrivals((env) => void env.disk.list())).toEqual(quiet)
  })
})

describe('Order of events (SIM-3)', () => {
  /** Ten nodes with two timers each at one instant. */
  async function orderOf(options: SimulationOptions): Promise<string> {
    const sim = new Simulation(options)
    const order: string[] = []
    for (const name of 'abcdefghij') {
      sim.node(name, ({ clock }) => {
        clock.setTimer(10, () => order.push(`${name}1`))
        clock.setTimer(10, () => order.push(`${name}2`))
      })
    }
    await sim.runFor(10)
    return order.join(' ')
  }

  it('draws the order of nodes at one instant from the seed, and keeps that of one node', async () => {
    const orders = await Promise.all([1, 2, 3, 4].map((seed) => orderOf({ seed })))
    expect(new Set(orders).size).toBe(4)
    for (const order of orders) for (const name of 'abcdefghij') expect(order).toContain(`${name}1 ${name}2`)
    expect(await orderOf({ seed: 1 })).toBe(orders[0])
  })

  it('draws another order at another instant', async () => {
    const sim = new Simulation({ seed: 1 })
    const rounds: string[][] = Array.from({ length: 20 }, () => [])
    for (const name of 'abcdef')
      sim.node(name, ({ clock }) => rounds.forEach((round, i) => clock.setTimer(i, () => round.push(name))))
    await sim.runFor(20)
    expect(new Set(rounds.map((round) => round.join(''))).size).toBeGreaterThan(10)
  })

  it("is the order of creation with ties 'fifo'", async () => {
    const inOrder = [...'abcdefghij'].map((name) => `${name}1 ${name}2`).join(' ')
    expect(await orderOf({ seed: 1, tieBreak: 'fifo' })).toBe(inOrder)
    expect(await orderOf({ seed: 2, tieBreak: 'fifo' })).toBe(inOrder)
  })
})

describe('Promise jobs of an event run before the next event (SIM-4)', () => {
  afterEach(() => setTurnSkipping(true))

  it('runs chains of any depth at the time of their event', async () => {
    const sim = new Simulation()
    const found: string[] = []
    sim.node('a', ({ clock }) => {
      const chain = async () => {
        for (let i = 0; i < 500; i++) await Promise.resolve()
        queueMicrotask(() => process.nextTick(() => found.push(`tick at ${sim.now}`)))
        found.push(`chain at ${sim.now}`)
      }
      clock.setTimer(5, callback(chain))
      clock.setTimer(5, () => found.push(`second timer at ${sim.now}`))
      clock.setTimer(6, () => found.push(`third timer at ${sim.now}`))
    })
    await sim.runFor(10)
    expect(found).toEqual(['chain at 5', 'tick at 5', 'second timer at 5', 'third timer at 6'])
  })

  it('takes the same course with turns skipped and without', async () => {
    for (const seed of [11, 12, 13]) {
      const skipping = await course(busyCluster(seed))
      setTurnSkipping(false)
      expect(await course(busyCluster(seed))).toEqual(skipping)
      setTurnSkipping(true)
    }
  })

  it('skips the turns of events that use no promise', async () => {
    const sim = new Simulation()
    let turns = 0
    sim.node('a', ({ clock }) => {
      let left = 1_000
      const tick = () => {
        if (--left > 0) clock.setTimer(1, tick)
      }
      clock.setTimer(1, tick)
    })
    let isOver = false
    const count = () => {
      turns++
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    await sim.runFor(2_000)
    isOver = true
    expect(sim.events).toBe(1_000)
    expect(turns).toBeLessThan(100)
  })
})

describe('Trace (SIM-5)', () => {
  const start = () => {
    const sim = new Simulation({ traceTail: 20, link: { latency: 2 } })
    sim.node('a', (env) => {
      env.datagram.onMessage(() => undefined)
      env.rpc.handle('m', (body) => body)
      return env
    })
    sim.node('b', (env) => env)
    return sim
  }

  it('has an entry for what happens, with time, node and kind', async () => {
    const sim = start()
    void sim.nodes.get('b')?.call(async (app) => {
      const env = app as NodeEnv
      env.datagram.send('a:1', Uint8Array.of(1))
      env.datagram.send('ghost:1', Uint8Array.of(1))
      env.logger.info('hello')
      env.trace('mine', 'detail')
      await env.rpc.request('a:1', 'm', Uint8Array.of(1))
    })
    await sim.runFor(10)
    sim.nodes.get('a')?.pause(5)
    await sim.runFor(10)
    sim.nodes.get('a')?.crash()
    const tail = sim.trace.tail().map(({ atMs, node, kind }) => `${atMs} ${node} ${kind}`)
    expect(tail).toEqual([
      '0 a start',
      '0 b start',
      '0 b send',
      '0 b drop',
      '0 b log',
      '0 b mine',
      '0 b request',
      '2 a deliver',
      '2 a serve',
      '2 a response',
      '4 b answer',
      '10 a pause',
      '15  timer',
      '15 a resume',
      '20 a crash',
    ])
    expect(sim.trace.length).toBe(15)
    expect(sim.trace.tail().find(({ kind }) => kind === 'mine')?.detail).toBe('detail')
    expect(sim.trace.hash).toMatch(/^[0-9a-f]{16}$/)
  })

  it('keeps the last entries, oldest first, and hashes all', async () => {
    const sim = start()
    for (let i = 0; i < 50; i++) sim.nodes.get('b')?.env?.trace('n', String(i))
    expect(sim.trace.length).toBe(52)
    expect(sim.trace.tail(1_000).map(({ detail }) => detail)).toEqual(
      Array.from({ length: 20 }, (_, i) => String(30 + i)),
    )
    expect(sim.trace.tail(2).map(({ detail }) => detail)).toEqual(['48', '49'])
    expect(sim.trace.tail(0)).toEqual([])
    expect(() => sim.trace.tail(-1)).toThrowError(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it.each<[string, (env: NodeEnv) => void]>([
    ['the bytes of a message', (env) => env.datagram.send('a:1', Uint8Array.of(2))],
    ['the order of bytes', (env) => env.datagram.send('a:1', Uint8Array.of(1, 0))],
    ['the receiver', (env) => env.datagram.send('b:1', Uint8Array.of(1))],
    ['the text of a log line', (env) => env.logger.info('hello')],
    ['the level of a log line', (env) => env.logger.warn('hello!')],
    ['what the program traces', (env) => env.trace('x', 'y')],
    ['a timer', (env) => void env.clock.setTimer(1, () => undefined)],
  ])('tells apart runs that differ in %s', async (_what, act) => {
    const hashOf = async (fn: (env: NodeEnv) => void) => {
      const sim = start()
      sim.nodes.get('b')?.call((app) => fn(app as NodeEnv))
      await sim.runFor(5)
      return sim.trace.hash
    }
    const usual = await hashOf((env) => env.datagram.send('a:1', Uint8Array.of(1)))
    const infos = await hashOf((env) => env.logger.info('hello!'))
    expect(await hashOf(act)).not.toBe(usual)
    expect(await hashOf(act)).not.toBe(infos)
  })
})
