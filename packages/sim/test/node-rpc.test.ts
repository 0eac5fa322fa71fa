import * as fc from 'fast-check'
import { HsError } from '@hs/core'
import { describe, expect, it } from 'vitest'
import { Simulation, type NodeEnv, type SimNode, type SimulationOptions } from '../src/index.js'

function envOf(node: SimNode | undefined): NodeEnv {
  const env = node?.env ?? null
  if (env === null) throw new Error('the node is down')
  return env
}

interface Asked {
  outcome?: string
  atMs?: number
  error?: HsError
}

function pair(options: SimulationOptions = {}) {
  const sim = new Simulation({ seed: 4, link: { latency: 10 }, ...options })
  const served: string[] = []
  const client = sim.node('client', (env) => env)
  const server = sim.node('server', (env) => {
    env.rpc.handle('echo', (body) => {
      served.push(`echo ${body[0]} at ${sim.now}`)
      return body
    })
    env.rpc.handle('slow', async (body) => {
      served.push(`slow at ${sim.now}`)
      await env.clock.sleep(100)
      served.push(`slow done at ${sim.now}`)
      return body
    })
  })
  const ask = (method: string, options?: { timeoutMs?: number; signal?: AbortSignal }, byte = 1): Asked => {
    const asked: Asked = {}
    envOf(client)
      .rpc.request('server:1', method, Uint8Array.of(byte), options)
      .then(
        (answer) => Object.assign(asked, { outcome: `answer ${answer[0]}`, atMs: sim.now }),
        (error: HsError) => Object.assign(asked, { outcome: error.code, atMs: sim.now, error }),
      )
    return asked
  }
  return { sim, served, client, server, ask }
}

describe('Streams of requests and answers (SIM-13)', () => {
  it('keep the order of what is sent, whatever the latencies', async () => {
    const { sim, served, ask } = pair({ link: { latency: { kind: 'uniform', minMs: 1, maxMs: 100 } } })
    for (let i = 0; i < 30; i++) ask('echo', {}, i)
    await sim.runFor(10_000)
    expect(served.map((line) => Number(line.split(' ')[1]))).toEqual(Array.from({ length: 30 }, (_, i) => i))
  })

  it('lose nothing: a loss costs 200 ms, the next one of the same message twice as long', async () => {
    const { sim, ask } = pair({ link: { latency: 10, loss: 0.3 } })
    const asked = Array.from({ length: 40 }, (_, i) => {
      const one: Asked[] = []
      sim.at(i * 60_000, () => one.push(ask('echo', { timeoutMs: 59_000 })))
      return { one, at: i * 60_000 }
    })
    await sim.runFor(40 * 60_000)
    const delays = asked.map(({ one, at }) => (one[0]?.atMs ?? NaN) - at)
    expect(asked.every(({ one }) => one[0]?.outcome === 'answer 1')).toBe(true)
    // Each way 10 ms and 200·(2ᵏ − 1) ms for k losses.
    for (const delay of delays) expect((delay - 20) % 200).toBeCloseTo(0, 6)
    expect(delays.filter((delay) => delay < 21).length).toBeGreaterThan(4)
    expect(delays.filter((delay) => delay >= 600).length).toBeGreaterThan(4)
  })

  it('go on when a link that lost everything no longer does', async () => {
    const { sim, ask } = pair()
    sim.network.link('client', 'server', { loss: 1 })
    const asked = ask('echo')
    sim.at(2_000, () => sim.network.link('client', 'server', { loss: 0 }))
    await sim.runFor(10_000)
    // Sent at 0, 200, 600, 1400 and 3000 ms.
    expect([asked.outcome, asked.atMs]).toEqual(['answer 1', 3_020])
  })

  it('lose with the sender what was lost and is not sent again', async () => {
    const { sim, client, served, ask } = pair()
    sim.network.link('client', 'server', { loss: 1 })
    ask('echo')
    sim.at(100, () => client.crash())
    sim.at(150, () => sim.network.link('client', 'server', { loss: 0 }))
    await sim.runFor(10_000)
    expect(served).toEqual([])
  })

  it('hold in a partition what is sent, and what is on its way, until it is healed', async () => {
    const { sim, served, ask } = pair()
    const before = ask('echo', {}, 1)
    sim.at(5, () => sim.network.partition('client', 'server'))
    let during: Asked = {}
    sim.at(50, () => {
      during = ask('echo', {}, 2)
    })
    sim.at(1_000, () => sim.network.heal())
    await sim.runFor(2_000)
    expect(served).toEqual(['echo 1 at 1010', 'echo 2 at 1010'])
    expect([before.outcome, before.atMs, during.outcome, during.atMs]).toEqual(['answer 1', 1_020, 'answer 2', 1_020])
  })

  it('hold in a clog what would arrive', async () => {
    const { sim, served, ask } = pair()
    sim.network.clog('client', 'server', { oneWay: true })
    const asked = ask('echo')
    sim.at(500, () => sim.network.unclog('client', 'server'))
    await sim.runFor(1_000)
    expect(served).toEqual(['echo 1 at 510'])
    expect(asked.atMs).toBe(520)
  })

  it('deliver the request that everyone forgets: late, after its caller has given up', async () => {
    const { sim, served, ask } = pair()
    sim.network.partition('client', 'server')
    const asked = ask('echo', { timeoutMs: 1_000 })
    sim.at(60_000, () => sim.network.heal())
    await sim.runFor(59_000)
    expect([asked.outcome, asked.atMs]).toEqual(['DEADLINE_EXCEEDED', 1_000])
    expect(served).toEqual([])
    await sim.runFor(2_000)
    expect(served).toEqual(['echo 1 at 60010'])
  })

  it('carry the answer of a server whose clients are cut off after it has executed', async () => {
    const { sim, served, ask } = pair()
    const asked = ask('slow', { timeoutMs: 5_000 })
    sim.at(50, () => sim.network.partition('server', 'client', { oneWay: true }))
    await sim.runFor(6_000)
    expect(served).toEqual(['slow at 10', 'slow done at 110'])
    expect([asked.outcome, asked.atMs]).toEqual(['DEADLINE_EXCEEDED', 5_000])
  })

  it('keep order and lose nothing through any partitions, clogs and losses', async () => {
    const event = fc.record({
      atMs: fc.integer({ min: 0, max: 2_000 }),
      kind: fc.constantFrom('partition' as const, 'clog' as const),
      forMs: fc.integer({ min: 1, max: 1_000 }),
      oneWay: fc.boolean(),
      back: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(event, { maxLength: 12 }), async (seed, events) => {
        const sim = new Simulation({ seed, link: { loss: 0.2, bytesPerSecond: 100_000 } })
        const [atB, atA]: [number[], number[]] = [[], []]
        const answers: number[] = []
        const into = (list: number[]) => (body: Uint8Array) => {
          list.push(body[0] ?? -1)
          return body
        }
        const a = sim.node('a', (env) => {
          env.rpc.handle('note', into(atA))
          return env
        })
        sim.node('b', (env) => {
          env.rpc.handle('ask', into(atB))
          let sent = 0
          const tick = () => {
            if (sent === 100) return
            void env.rpc.notify('a:1', 'note', Uint8Array.of(sent++))
            env.clock.setTimer(env.random.int(30), tick)
          }
          tick()
        })
        let asked = 0
        sim.every(20, async () => {
          if (asked === 100) return
          const byte = Uint8Array.of(asked++)
          const answer = await envOf(a).rpc.request('b:1', 'ask', byte, { timeoutMs: 1e6 })
          answers.push(answer[0] ?? -1)
        })
        sim.schedule(
          events.map(({ atMs, forMs, kind, oneWay, back }) => ({
            kind,
            atMs,
            forMs,
            oneWay,
            from: [back ? 'b' : 'a'],
            to: [back ? 'a' : 'b'],
          })),
        )
        await sim.runFor(100_000)
        const all = Array.from({ length: 100 }, (_, i) => i)
        expect([atA, atB, answers]).toEqual([all, all, all])
      }),
      { numRuns: 30, seed: 5 },
    )
  })
})

describe('Requests (SIM-14)', () => {
  it('wait 30,000 ms by default', async () => {
    const { sim, ask, server } = pair()
    server.pause()
    const asked = ask('echo')
    await sim.runFor(29_999)
    expect(asked.outcome).toBeUndefined()
    await sim.runFor(1)
    expect([asked.outcome, asked.error?.message]).toEqual([
      'DEADLINE_EXCEEDED',
      'echo was not answered within 30000 ms',
    ])
  })

  it('reach their deadline by the clock of the caller', async () => {
    const { sim, client, server, ask } = pair()
    client.setClock({ driftPpm: 1_000_000 })
    server.pause()
    const asked = ask('echo', { timeoutMs: 100 })
    await sim.runFor(1_000)
    expect([asked.outcome, asked.atMs]).toEqual(['DEADLINE_EXCEEDED', 50])
  })

  it('abort the signal of the handler at the deadline and when they are cancelled', async () => {
    const { sim, client, server, ask } = pair()
    const aborted: string[] = []
    envOf(server).rpc.handle('watch', (_body, _from, call) => {
      call.signal.addEventListener('abort', () => aborted.push(`${(call.signal.reason as HsError).code} at ${sim.now}`))
      return new Promise(() => undefined)
    })
    ask('watch', { timeoutMs: 50 })
    const controller = new AbortController()
    sim.at(100, () => ask('watch', { signal: controller.signal }))
    sim.at(150, () => controller.abort('enough'))
    await sim.runFor(1_000)
    expect(aborted).toEqual(['DEADLINE_EXCEEDED at 60', 'CANCELLED at 160'])
    expect(client.state).toBe('up')
  })

  it('tell the handler how long it has, counted from the arrival, and abort it also where no message gets through', async () => {
    const { sim, server, ask } = pair()
    const found: string[] = []
    envOf(server).rpc.handle('watch', (_body, _from, call) => {
      found.push(`${call.remainingMs()} at ${sim.now}`)
      call.signal.addEventListener('abort', () => found.push(`${call.remainingMs()} at ${sim.now}`))
      return new Promise(() => undefined)
    })
    ask('watch', { timeoutMs: 200 })
    sim.at(50, () => sim.network.partition('client', 'server'))
    await sim.runFor(1_000)
    expect(found).toEqual(['200 at 10', '0 at 210'])
  })

  it('to a node that is down on arrival fail with CONNECT_FAILED, not executed', async () => {
    const { sim, server, ask } = pair()
    sim.at(5, () => server.crash())
    const asked = ask('echo')
    await sim.runFor(100)
    expect([asked.outcome, asked.atMs, (asked.error as { notExecuted?: boolean }).notExecuted]).toEqual([
      'CONNECT_FAILED',
      20,
      true,
    ])
  })

  it('to an address that no node has fail with CONNECT_FAILED, not executed', async () => {
    const { sim, client } = pair()
    const asked = envOf(client).rpc.request('ghost:1', 'echo', new Uint8Array(0))
    await expect(sim.run(asked)).rejects.toMatchObject({ code: 'CONNECT_FAILED', notExecuted: true })
    await sim.run(envOf(client).rpc.notify('ghost:1', 'echo', new Uint8Array(0)))
  })

  it('fail with CONNECTION_LOST, perhaps executed, one latency after the server crashed', async () => {
    const { sim, served, server, ask } = pair()
    const asked = ask('slow')
    sim.at(50, () => server.crash())
    await sim.runFor(1_000)
    expect(served).toEqual(['slow at 10'])
    expect([asked.outcome, asked.atMs, (asked.error as { notExecuted?: boolean }).notExecuted]).toEqual([
      'CONNECTION_LOST',
      60,
      false,
    ])
  })

  it('that wait at a paused node fail with CONNECTION_LOST when it crashes', async () => {
    const { sim, served, server, ask } = pair()
    server.pause()
    const asked = ask('echo')
    sim.at(50, () => server.crash())
    await sim.runFor(1_000)
    expect([served, asked.outcome, asked.atMs]).toEqual([[], 'CONNECTION_LOST', 60])
  })

  it('on their way when the server crashes are served by its next incarnation', async () => {
    const { sim, served, server, ask } = pair()
    const asked = ask('echo')
    sim.at(5, () => server.restart())
    await sim.runFor(100)
    expect([served, asked.outcome]).toEqual([['echo 1 at 10'], 'answer 1'])
  })

  it('to a dead host, a crash behind a partition, hear nothing until the deadline', async () => {
    const { sim, server, ask } = pair()
    const served = ask('slow', { timeoutMs: 2_000 })
    sim.at(50, () => sim.network.partition('server', 'client', { oneWay: true }))
    sim.at(60, () => server.crash())
    let refused: Asked = {}
    sim.at(70, () => {
      refused = ask('echo', { timeoutMs: 1_000 })
    })
    sim.at(5_000, () => sim.network.heal())
    await sim.runFor(10_000)
    expect([served.outcome, served.atMs]).toEqual(['DEADLINE_EXCEEDED', 2_000])
    expect([refused.outcome, refused.atMs]).toEqual(['DEADLINE_EXCEEDED', 1_070])
  })

  it('a reset that a partition meets on its way does not arrive either', async () => {
    const { sim, server, ask } = pair()
    const asked = ask('slow', { timeoutMs: 2_000 })
    sim.at(50, () => server.crash())
    sim.at(55, () => sim.network.partition('server', 'client'))
    sim.at(65, () => sim.network.heal())
    await sim.runFor(5_000)
    expect([asked.outcome, asked.atMs]).toEqual(['DEADLINE_EXCEEDED', 2_000])
  })

  it('are answered before the reset, if they were answered before the crash', async () => {
    const { sim, server, ask } = pair()
    const asked = ask('echo')
    sim.at(15, () => server.crash())
    await sim.runFor(100)
    expect([asked.outcome, asked.atMs]).toEqual(['answer 1', 20])
  })

  it('of a caller that crashes never settle, and the handler learns one latency later', async () => {
    const { sim, client, server, ask } = pair()
    const aborted: string[] = []
    envOf(server).rpc.handle('watch', (_body, _from, call) => {
      call.signal.addEventListener('abort', () => aborted.push(`${(call.signal.reason as HsError).code} at ${sim.now}`))
      return new Promise(() => undefined)
    })
    const asked = ask('watch', { timeoutMs: 500 })
    sim.at(50, () => client.restart())
    await sim.runFor(1_000)
    expect(aborted).toEqual(['CONNECTION_LOST at 60'])
    expect(asked.outcome).toBeUndefined()
  })

  it('show the handler the address and the name of the caller', async () => {
    const { sim, server, ask } = pair()
    let seen: unknown
    envOf(server).rpc.handle('who', (body, from) => {
      seen = from
      return body
    })
    ask('who')
    await sim.runFor(100)
    expect(seen).toEqual({
      address: 'client:1',
      nodeId: 'client',
      encrypted: false,
      protocol: { major: 1, minor: 0 },
      features: [],
    })
  })

  it('cross errors of handlers as REMOTE_ERROR, and log what does not cross', async () => {
    const { sim, server, ask } = pair()
    const { rpc } = envOf(server)
    rpc.handle('known', () => {
      throw new HsError('OUT_OF_STOCK', 'no more of these', { details: { retryAfterMs: 50 } })
    })
    rpc.handle('unknown', async () => {
      throw new TypeError('internal')
    })
    rpc.handle('nothing', () => undefined as unknown as Uint8Array)
    rpc.handle('text', async () => 'text' as unknown as Uint8Array)
    const [known, unknown, nothing, text] = ['known', 'unknown', 'nothing', 'text'].map((method) => ask(method))
    await sim.runFor(100)
    expect(known?.error).toMatchObject({
      code: 'REMOTE_ERROR',
      remoteCode: 'OUT_OF_STOCK',
      message: 'no more of these',
      retryAfterMs: 50,
    })
    for (const asked of [unknown, nothing, text]) {
      expect(asked?.outcome).toBe('REMOTE_ERROR')
      expect(asked?.error?.message).not.toContain('internal')
    }
    expect(server.logs.at('error').map(({ fields }) => fields['method'])).toEqual(['unknown', 'nothing', 'text'])
    expect(sim.failure).toBeUndefined()
  })

  it('notify resolves when handed over; what its handler throws is logged', async () => {
    const { sim, client, server } = pair()
    envOf(server).rpc.handle('note', () => {
      throw new HsError('NO', 'not today')
    })
    await sim.run(envOf(client).rpc.notify('server:1', 'note', Uint8Array.of(1)), { limitMs: 0 })
    await sim.runFor(100)
    expect(server.logs.at('error')).toHaveLength(1)
  })

  it('a node to itself takes 0.01 ms each way, whatever the network', async () => {
    const { sim, server } = pair()
    sim.network.partition(['client', 'server'], ['client', 'server'])
    await sim.run(envOf(server).rpc.request('server:1', 'echo', Uint8Array.of(1)))
    expect(sim.now).toBeCloseTo(0.02, 9)
  })
})
