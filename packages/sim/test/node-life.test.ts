import { describe, expect, it } from 'vitest'
import { Simulation, type NodeEnv, type SimNode, type SimulationOptions } from '../src/index.js'

function envOf(node: SimNode | undefined): NodeEnv {
  const env = node?.env ?? null
  if (env === null) throw new Error('the node is down')
  return env
}

/** Lets an async function be a callback, as programs do. */
const callback = <A extends unknown[]>(fn: (...args: A) => Promise<unknown>) => fn as (...args: A) => void

describe('Crash (SIM-15)', () => {
  it('ends within the event all that the incarnation began', async () => {
    const sim = new Simulation({ link: { latency: 5 } })
    const found: string[] = []
    sim.node('peer', (env) => {
      env.datagram.onMessage(() => found.push('datagram sent by the dead'))
      env.rpc.handle('echo', (body) => body)
    })
    const outside = new AbortController()
    const victim = sim.node('victim', (env) => {
      const began = (what: string, promise: Promise<unknown>) => {
        const settled = () => found.push(what)
        promise.then(settled, settled).finally(settled).catch(settled)
      }
      env.clock.setTimer(20, () => found.push('timer'))
      env.clock.setTimer(9, () => began('request', env.rpc.request('peer:1', 'echo', Uint8Array.of(1))))
      env.clock.setTimer(9.95, () => began('disk', env.disk.list()))
      began('sleep', env.clock.sleep(20))
      began('sleep with a signal', env.clock.sleep(20, outside.signal))
      env.datagram.onMessage(() => found.push('delivery'))
      env.signal.addEventListener('abort', () => found.push('signal'))
      return { stop: () => found.push('stop'), env }
    })
    sim.at(8, () => envOf(sim.nodes.get('peer')).datagram.send('victim:1', Uint8Array.of(1)))
    sim.at(10, () => victim.crash())
    sim.at(12, () => outside.abort())
    await sim.runFor(1_000)
    expect(found).toEqual([])
    expect([victim.state, victim.app, victim.env, victim.incarnation]).toEqual(['down', undefined, null, 1])
    expect(sim.network.stats().dropped.down).toBe(1)
  })

  it('ignores what the dead still try', async () => {
    const sim = new Simulation()
    const found: string[] = []
    sim.node('peer', (env) => {
      env.datagram.onMessage(() => found.push('datagram'))
      env.rpc.handle('note', (body) => {
        found.push('note')
        return body
      })
    })
    const victim = sim.node('victim', (env) => env)
    const env = envOf(victim)
    victim.crash()
    const { length } = sim.trace
    env.datagram.send('peer:1', Uint8Array.of(1))
    env.datagram.onMessage(() => found.push('message'))
    env.clock.setTimer(1, () => found.push('timer')).cancel()
    env.clock.setTimer(1, () => found.push('timer'))
    env.logger.child({}).error('a cry from the grave')
    env.trace('ghost')
    const settled = () => found.push('settled')
    for (const promise of [
      env.clock.sleep(1),
      env.rpc.request('peer:1', 'note', Uint8Array.of(1)),
      env.rpc.notify('peer:1', 'note', Uint8Array.of(1)),
      env.disk.list(),
    ])
      promise.then(settled, settled)
    await env.rpc.close()
    await sim.runFor(100)
    expect(found).toEqual([])
    expect(sim.trace.length).toBe(length)
    expect(victim.logs.entries).toEqual([])
  })

  it('lets a node crash itself in the midst of an event', async () => {
    const sim = new Simulation()
    const found: string[] = []
    const node: SimNode = sim.node('a', ({ clock, logger }) => {
      clock.setTimer(
        1,
        callback(async () => {
          node.crash()
          logger.info('still here')
          await clock.sleep(1)
          found.push('woke up')
        }),
      )
    })
    await sim.runFor(100)
    expect([found, node.state, node.logs.entries.length]).toEqual([[], 'down', 0])
  })

  it('means nothing to a node that is down', () => {
    const sim = new Simulation()
    const node = sim.node('a', () => 1, { start: false })
    node.crash()
    expect([node.state, node.incarnation]).toEqual(['down', 0])
    expect(sim.trace.length).toBe(0)
  })
})

describe('Start, restart and stop (SIM-15)', () => {
  it('restart boots anew: next incarnation, new dice, new clock origin, the same disk, all its logs', async () => {
    const sim = new Simulation({ seed: 1 })
    const lives: unknown[] = []
    const node = sim.node('a', (env) => {
      env.logger.info(`life ${env.incarnation}`)
      lives.push({ incarnation: env.incarnation, die: env.random.next(), origin: env.clock.now() })
      return env
    })
    const file = await sim.run(envOf(node).disk.open('f', { create: true }))
    await sim.run(file.write(0, Uint8Array.of(7)))
    await sim.run(file.sync())
    await sim.run(envOf(node).disk.syncDirectory())
    expect(node.restart()).toBe(node)
    const kept = await sim.run(envOf(node).disk.open('f'))
    expect(await sim.run(kept.read(0, 10))).toEqual(Uint8Array.of(7))
    expect(node.incarnation).toBe(2)
    expect(new Set(lives.map((life) => JSON.stringify(life))).size).toBe(2)
    expect(new Set(lives.map((life) => (life as { die: number }).die)).size).toBe(2)
    expect(node.logs.entries.map(({ message }) => message)).toEqual(['life 1', 'life 2'])
    node.restart({ disk: 'lose' })
    expect(await sim.run(envOf(node).disk.list())).toEqual([])
    expect(() => node.restart({ disk: 'burn' as 'lose' })).toThrowError(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    )
    expect(node.incarnation).toBe(3)
  })

  it('starts a node that was not started, and leaves one alone that is up', () => {
    const sim = new Simulation()
    const node = sim.node('a', (env) => env.incarnation, { start: false })
    expect([node.state, node.app, sim.apps()]).toEqual(['down', undefined, []])
    expect(node.start()).toBe(node)
    expect([node.state, node.app, node.incarnation]).toEqual(['up', 1, 1])
    node.start()
    expect(node.incarnation).toBe(1)
  })

  it('stop calls app.stop(), waits, aborts the signal, lets that be heard, and takes the node down', async () => {
    const sim = new Simulation({ link: { latency: 1 } })
    const order: string[] = []
    const node = sim.node('a', (env) => {
      env.clock.sleep(1e6, env.signal).catch(() => order.push(`sleep ended at ${sim.now}`))
      env.signal.addEventListener('abort', () => order.push('signal'))
      return {
        async stop() {
          order.push('stop')
          await env.clock.sleep(50)
          order.push('stopped')
        },
      }
    })
    await sim.runFor(10)
    const both = Promise.all([node.stop(), node.stop()])
    await sim.run(both)
    expect(order).toEqual(['stop', 'stopped', 'signal', 'sleep ended at 60'])
    expect([node.state, sim.now]).toEqual(['down', 60])
    await sim.run(node.stop())
    expect(node.restart().state).toBe('up')
  })

  it('stop of a node without stop(), of a paused one and of one that is booting', async () => {
    const sim = new Simulation()
    const plain = sim.node('plain', () => undefined)
    const paused = sim.node('paused', ({ clock }) => ({ stop: () => clock.sleep(1) }))
    const booting = sim.node('booting', ({ clock }) => clock.sleep(1e6))
    paused.pause()
    await sim.stop()
    expect([plain, paused, booting].map(({ state }) => state)).toEqual(['down', 'down', 'down'])
    expect(sim.failure).toBeUndefined()
    await sim.stop()
  })

  it('a stop that needs no time is over without a run', async () => {
    const sim = new Simulation()
    const heard: string[] = []
    const bare = sim.node('bare', () => undefined)
    const node = sim.node('a', ({ signal }) => {
      signal.addEventListener('abort', () => void Promise.resolve().then(() => heard.push('abort')))
      return {
        async stop() {
          await Promise.resolve()
          heard.push('stop')
        },
      }
    })
    await bare.stop()
    await node.stop()
    expect(heard).toEqual(['stop', 'abort'])
    expect([bare.state, node.state, sim.now, sim.events]).toEqual(['down', 'down', 0, 0])
    await sim.run(node.start().stop())
    expect(node.state).toBe('down')
  })

  it('a stop that a crash overtakes is over', async () => {
    const sim = new Simulation()
    const node = sim.node('a', () => ({ stop: () => new Promise(() => undefined) }))
    const stopped = node.stop()
    sim.at(10, () => node.crash())
    await sim.run(stopped)
    expect(sim.now).toBe(10)
  })

  it('a stop that fails is an error of the node', async () => {
    for (const stop of [
      () => {
        throw new Error('no')
      },
      async () => {
        throw new Error('no')
      },
    ]) {
      const sim = new Simulation()
      const node = sim.node('a', () => ({ stop }))
      await expect(sim.run(node.stop())).rejects.toMatchObject({ code: 'NODE_ERROR' })
    }
  })

  it('peers of a stopped node hear that the connection is lost', async () => {
    const sim = new Simulation({ link: { latency: 5 } })
    const server = sim.node('server', ({ rpc }) => rpc.handle('stuck', () => new Promise(() => undefined)))
    const client = sim.node('client', (env) => env)
    const asked = envOf(client).rpc.request('server:1', 'stuck', Uint8Array.of(1))
    asked.catch((error: unknown) => error)
    await sim.runFor(10)
    await sim.run(server.stop())
    await expect(sim.run(asked)).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    expect(sim.now).toBe(15)
  })

  it('call runs as the node, and is NODE_DOWN where nothing runs', async () => {
    const sim = new Simulation()
    const node = sim.node('a', (env) => ({ twice: (n: number) => 2 * n, env }))
    expect(node.call((app) => app.twice(4))).toBe(8)
    expect(() => node.call(() => Math.random())).toThrowError(expect.objectContaining({ code: 'NONDETERMINISM' }))
    const down = new Simulation().node('b', () => 1, { start: false })
    expect(() => down.call((app) => app)).toThrowError(expect.objectContaining({ code: 'NODE_DOWN' }))
    const booting = new Simulation().node('c', async () => 1)
    expect(() => booting.call((app) => app)).toThrowError(expect.objectContaining({ code: 'NODE_DOWN' }))
  })

  it('an asynchronous boot is awaited', async () => {
    const sim = new Simulation()
    const node = sim.node('a', async ({ clock }) => {
      await clock.sleep(100)
      return 'ready'
    })
    expect([node.state, node.app]).toEqual(['up', undefined])
    await sim.runFor(99)
    expect(sim.apps()).toEqual([])
    await sim.runFor(1)
    expect([node.app, sim.apps(), node.call((app) => app)]).toEqual(['ready', ['ready'], 'ready'])
  })

  it('apps are those of nodes that are not down; a paused node is not', () => {
    const sim = new Simulation()
    const [a, b] = ['a', 'b', 'c'].map((name) => sim.node(name, () => name))
    a?.crash()
    b?.pause()
    expect(sim.apps()).toEqual(['b', 'c'])
  })
})

describe("Errors of a node's code (SIM-16)", () => {
  const boom = () => {
    throw new Error('boom')
  }
  const boomLater = async () => {
    await Promise.resolve()
    throw new Error('boom')
  }
  const later = (env: NodeEnv, fn: () => unknown) => env.clock.setTimer(10, fn)
  const ways: [string, (env: NodeEnv) => unknown][] = [
    ['thrown by a timer', (env) => later(env, boom)],
    ['of a promise that a timer returned', (env) => later(env, boomLater)],
    ['of a promise that nobody handles', (env) => later(env, () => void boomLater())],
    ['of a promise that nobody handles, after a sleep', (env) => later(env, () => void env.clock.sleep(5).then(boom))],
    ['of a microtask', (env) => later(env, () => queueMicrotask(boom))],
    [
      'thrown by a listener of a signal',
      (env) => {
        const controller = new AbortController()
        controller.signal.addEventListener('abort', boom)
        later(env, () => controller.abort())
      },
    ],
    [
      'thrown by a handler of messages',
      (env) => {
        env.datagram.onMessage(boom)
        later(env, () => env.datagram.send('a:1', Uint8Array.of(1)))
      },
    ],
    [
      'of a promise that a handler of messages returned',
      (env) => {
        env.datagram.onMessage(callback(boomLater))
        later(env, () => env.datagram.send('a:1', Uint8Array.of(1)))
      },
    ],
    ['thrown by boot', boom],
    ['of the promise that boot returned', boomLater],
    ['of a request that nobody handles', (env) => later(env, () => void env.rpc.request('a:1', 'm', Uint8Array.of(1)))],
  ]

  const run = (boot: (env: NodeEnv) => unknown, options: SimulationOptions = {}) => {
    const sim = new Simulation({ seed: 6, ...options })
    const node = sim.node('a', boot)
    const other = sim.node('b', (env) => {
      env.clock.setTimer(50, () => env.logger.info('alive'))
      return env
    })
    return { sim, node, other }
  }

  it.each(ways)('an error %s fails the run, and names node, seed and time', async (_what, boot) => {
    const { sim } = run(boot)
    const error = await sim.runFor(100).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'NODE_ERROR', details: { node: 'a', seed: sim.seed } })
    expect((error as Error).message).toMatch(/^Node a failed: .* \(seed 6, at \d+(\.\d+)? ms\)$/)
    expect((error as { details: { atMs: number } }).details.atMs).toBe(sim.now)
    expect((error as Error).cause).toBeInstanceOf(Error)
    expect(sim.failure).toBe(error)
    await expect(sim.runFor(1)).rejects.toBe(error)
    await expect(sim.runUntil(() => true)).rejects.toBe(error)
    await expect(sim.run(Promise.resolve())).rejects.toBe(error)
    await expect(sim.finish()).rejects.toBe(error)
    await sim.stop()
    expect([...sim.nodes.values()].map(({ state }) => state)).toEqual(['down', 'down'])
  })

  it.each(ways)("with onNodeError 'crash' an error %s crashes that node alone", async (_what, boot) => {
    const { sim, node, other } = run(boot, { onNodeError: 'crash' })
    await sim.runFor(100)
    expect([node.state, other.state, sim.failure]).toEqual(['down', 'up', undefined])
    expect(other.logs.entries).toHaveLength(1)
    expect(node.logs.at('error')).toHaveLength(1)
  })

  it('errors of the dead are nobody’s', async () => {
    const { sim, node } = run(({ clock }) => {
      clock.setTimer(10, () => {
        node.crash()
        void boomLater()
        throw new Error('after death')
      })
    })
    await sim.runFor(100)
    expect(sim.failure).toBeUndefined()
  })

  it('leaves the errors of others, and the listeners of the process, as they were', async () => {
    const found: unknown[] = []
    const mine = (error: unknown) => found.push(error)
    const before = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    process.on('unhandledRejection', mine)
    process.once('uncaughtException', mine)
    const once = process.rawListeners('uncaughtException')
    const sim = new Simulation()
    sim.node('a', ({ clock }) => clock.setTimer(10, () => undefined))
    const run = sim.runFor(100)
    void boomLater()
    await run
    await new Promise((resolve) => setImmediate(resolve))
    expect(found).toEqual([new Error('boom')])
    expect(process.listeners('unhandledRejection')).toEqual([mine])
    expect(process.rawListeners('uncaughtException')).toEqual(once)
    process.removeListener('uncaughtException', mine)
    process.removeAllListeners('unhandledRejection')
    for (const listener of before) process.on('unhandledRejection', listener)
  })
})
