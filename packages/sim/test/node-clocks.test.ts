import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Simulation, type NodeEnv, type NodeOptions, type SimNode } from '../src/index.js'

function oneNode(options: NodeOptions = {}) {
  const sim = new Simulation({ seed: 5, wallStartMs: 1_000_000 })
  const node = sim.node('a', (env) => env, options)
  return { sim, node }
}

const envOf = (node: SimNode): NodeEnv => {
  if (node.env === null) throw new Error(`${node.name} is down`)
  return node.env
}

describe('Clocks of a node (SIM-7)', () => {
  it('begin at an origin of each incarnation, drawn from 0 to 1,000,000', () => {
    const sim = new Simulation({ seed: 1 })
    const origins: number[] = []
    for (let i = 0; i < 200; i++) {
      const node = sim.node(`n${i}`, (env) => origins.push(env.clock.now()))
      node.restart()
    }
    expect(new Set(origins).size).toBeGreaterThan(395)
    expect(Math.min(...origins)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...origins)).toBeLessThan(1_000_000)
    const mean = origins.reduce((sum, origin) => sum + origin, 0) / origins.length
    expect(mean).toBeGreaterThan(440_000)
    expect(mean).toBeLessThan(560_000)
  })

  it('go with true time, and the wall clock shows it', async () => {
    const { sim, node } = oneNode()
    const { clock } = envOf(node)
    const startMs = clock.now()
    expect(clock.wallNow()).toBe(1_000_000)
    await sim.runFor(1_234.5)
    expect(clock.now() - startMs).toBe(1_234.5)
    expect(clock.wallNow()).toBe(1_001_234)
    expect(sim.clock.now()).toBe(1_234.5)
    expect(sim.clock.wallNow()).toBe(1_001_234)
    expect(sim.now).toBe(1_234.5)
  })

  it('skewMs moves the wall clock alone', async () => {
    const { sim, node } = oneNode({ skewMs: -5_000 })
    const { clock } = envOf(node)
    const startMs = clock.now()
    expect(clock.wallNow()).toBe(995_000)
    node.setClock({ skewMs: 7_000 })
    expect(clock.wallNow()).toBe(1_007_000)
    await sim.runFor(10)
    expect(clock.now() - startMs).toBe(10)
  })

  it('driftPpm runs both clocks too fast or too slow, and timers with them', async () => {
    const { sim, node } = oneNode({ driftPpm: 250_000 })
    const { clock } = envOf(node)
    const startMs = clock.now()
    let firedAt = -1
    clock.setTimer(1_000, () => {
      firedAt = sim.now
    })
    await sim.runFor(4_000)
    expect(firedAt).toBe(800)
    expect(clock.now() - startMs).toBe(5_000)
    expect(clock.wallNow()).toBe(1_005_000)
  })

  it('setClock applies to timers set afterwards and loses nothing that has accumulated', async () => {
    const { sim, node } = oneNode({ driftPpm: 500_000 })
    const { clock } = envOf(node)
    const startMs = clock.now()
    const fired: string[] = []
    const set = (name: string, ms: number) => clock.setTimer(ms, () => fired.push(`${name} ${sim.now}`))
    set('before', 3_000)
    await sim.runFor(1_000)
    node.setClock({ driftPpm: 0 })
    set('after', 500)
    expect(clock.now() - startMs).toBe(1_500)
    await sim.runFor(1_000)
    expect(clock.now() - startMs).toBe(2_500)
    expect(clock.wallNow()).toBe(1_002_500)
    expect(fired).toEqual(['after 1500', 'before 2000'])
  })

  it('the wall clock keeps its drift over a restart, the monotonic one begins anew', async () => {
    const { sim, node } = oneNode({ driftPpm: 100_000 })
    await sim.runFor(1_000)
    const before = envOf(node).clock
    node.restart()
    const { clock } = envOf(node)
    expect(clock.wallNow()).toBe(before.wallNow())
    expect(clock.now()).not.toBe(before.now())
    const startMs = clock.now()
    await sim.runFor(1_000)
    expect(clock.now() - startMs).toBeCloseTo(1_100, 6)
  })

  it('no timer fires before the clock shows that it is due', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: -900_000, max: 900_000, noNaN: true }),
        fc.array(fc.double({ min: 0, max: 1e5, noNaN: true }), { minLength: 1, maxLength: 20 }),
        async (driftPpm, delays) => {
          const { sim, node } = oneNode({ driftPpm })
          const { clock } = envOf(node)
          let early = 0
          const next = () => {
            const delay = delays.pop()
            if (delay === undefined) return
            const due = clock.now() + delay
            clock.setTimer(delay, () => {
              if (clock.now() < due) early++
              next()
            })
          }
          next()
          await sim.runFor(1e8)
          expect(delays).toEqual([])
          expect(early).toBe(0)
        },
      ),
      { numRuns: 100, seed: 1 },
    )
  })

  it('sleep as core says: rejects with the reason of a signal, at once if it has aborted', async () => {
    const { sim, node } = oneNode()
    const { clock } = envOf(node)
    const reason = new Error('enough')
    const controller = new AbortController()
    sim.at(5, () => controller.abort(reason))
    await expect(sim.run(clock.sleep(10, controller.signal))).rejects.toBe(reason)
    expect(sim.now).toBe(5)
    await expect(sim.run(clock.sleep(10, controller.signal))).rejects.toBe(reason)
    await sim.run(clock.sleep(10))
    expect(sim.now).toBe(15)
  })

  it.each([NaN, Infinity])('setTimer(%s) is INVALID_ARGUMENT, of nodes and of the workload', (delay) => {
    const { sim, node } = oneNode()
    for (const clock of [envOf(node).clock, sim.clock])
      expect(() => clock.setTimer(delay, () => undefined)).toThrowError(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
  })

  it.each([{ driftPpm: -1_000_000 }, { skewMs: NaN }, { skew: 1 }])('setClock(%j) is a ConfigError', (change) => {
    const { node } = oneNode()
    expect(() => node.setClock(change as object)).toThrowError(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})

describe('Pause (SIM-8)', () => {
  function receiver(receiveQueue = 1_000) {
    const sim = new Simulation({ receiveQueue, link: { latency: 1 } })
    const found: string[] = []
    const node = sim.node('a', (env) => {
      env.datagram.onMessage((_from, bytes) => found.push(`message ${bytes[0]} at ${sim.now}`))
      env.rpc.handle('m', (body) => {
        found.push(`request at ${sim.now}`)
        return body
      })
      return env
    })
    const peer = sim.node('b', (env) => env)
    return { sim, node, peer, found }
  }

  it('holds timers, deliveries and handlers, and runs them in their order at the resume', async () => {
    const { sim, node, peer, found } = receiver()
    const { clock } = envOf(node)
    clock.setTimer(12, () => found.push(`timer at ${sim.now}`))
    sim.at(10, () => node.pause(10))
    sim.at(12, () => envOf(peer).datagram.send('a:1', Uint8Array.of(1)))
    sim.at(13, () => {
      envOf(peer)
        .rpc.request('a:1', 'm', Uint8Array.of(1))
        .catch((error: unknown) => error)
    })
    sim.at(14, () => envOf(peer).datagram.send('a:1', Uint8Array.of(2)))
    sim.at(15, () => found.push(node.state))
    await sim.runFor(30)
    expect(found).toEqual(['paused', 'timer at 20', 'message 1 at 20', 'request at 20', 'message 2 at 20'])
    expect(node.state).toBe('up')
  })

  it('leaves the clocks going', async () => {
    const { sim, node } = receiver()
    const { clock } = envOf(node)
    const startMs = clock.now()
    node.pause(500)
    await sim.runFor(400)
    expect(clock.now() - startMs).toBe(400)
  })

  it('lasts until resume without ms, and resume ends it early', async () => {
    const { sim, node, found } = receiver()
    envOf(node).clock.setTimer(5, () => found.push(`timer at ${sim.now}`))
    node.pause()
    await sim.runFor(1_000)
    expect(found).toEqual([])
    node.resume()
    await sim.runFor(0)
    expect(found).toEqual(['timer at 1000'])
    node.pause(1_000)
    node.resume()
    expect(node.state).toBe('up')
    node.pause(2_000)
    await sim.runFor(1_500)
    expect(node.state).toBe('paused')
    await sim.runFor(500)
    expect(node.state).toBe('up')
  })

  it('overlapping pauses end with the last', async () => {
    const { sim, node } = receiver()
    node.pause(100)
    await sim.runFor(50)
    node.pause(100)
    await sim.runFor(75)
    expect(node.state).toBe('paused')
    await sim.runFor(25)
    expect(node.state).toBe('up')
  })

  it('drops datagrams beyond receiveQueue as overflow', async () => {
    const { sim, node, peer, found } = receiver(3)
    node.pause()
    for (let i = 0; i < 10; i++) envOf(peer).datagram.send('a:1', Uint8Array.of(i))
    await sim.runFor(10)
    expect(sim.network.stats()).toMatchObject({ sent: 10, inFlight: 3, delivered: 0, dropped: { overflow: 7 } })
    node.resume()
    await sim.runFor(0)
    expect(found).toHaveLength(3)
    expect(sim.network.stats()).toMatchObject({ inFlight: 0, delivered: 3 })
  })

  it('a timer cancelled during the pause does not fire', async () => {
    const { sim, node, found } = receiver()
    const timer = envOf(node).clock.setTimer(5, () => found.push('timer'))
    node.pause(10)
    await sim.runFor(7)
    timer.cancel()
    await sim.runFor(10)
    expect(found).toEqual([])
  })

  it('means nothing to a node that is down', () => {
    const { node } = receiver()
    node.crash()
    node.pause(10)
    node.resume()
    expect(node.state).toBe('down')
    node.restart()
    expect(node.state).toBe('up')
  })

  it.each([-1, NaN, Infinity])('pause(%s) is a ConfigError', (ms) => {
    expect(() => receiver().node.pause(ms)).toThrowError(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})
