/** What a node does about load: admission of what comes in, breakers for what goes out, and how workers slow down. */
import { msgpackCodec, type BackpressureLevel, type RpcTransport, type TransportError } from '@hs/core'
import { MemoryLogger, MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import { Admission, OverloadDetector, PriorityExecutor } from '@hs/overload'
import { TcpTransport } from '@hs/transport'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { defineWorkflow, Worker } from '../src/index.js'
import { NodeLoad } from '../src/node-load.js'
import { RpcPeer } from '../src/rpc-peer.js'
import { timingProfiles } from '../src/timing.js'
import { jobWatch } from '../src/wire/client-gate.js'
import { jobAssign, jobReport } from '../src/wire/gate-manager.js'
import { workerPing, workerReport } from '../src/wire/manager-worker.js'
import { encodeValue } from '../src/wire/value.js'
import { MemoryCluster } from './memory-cluster.js'

const codec = msgpackCodec(z.any())
const timing = timingProfiles.local

class Pair {
  readonly clock = new VirtualClock()
  readonly logger = new MemoryLogger()
  readonly runtime = { clock: this.clock, random: new SeededRandom(1), logger: this.logger }
  readonly network = new MemoryNetwork({ clock: this.clock, latencyMs: 1, logger: this.logger })
  readonly served: RpcTransport = this.network.rpc('b:1')
  readonly a = this.peer(this.network.rpc('a:1'))

  peer(rpc: RpcTransport, admission?: Admission): RpcPeer {
    return new RpcPeer(rpc, {
      runtime: this.runtime,
      timing,
      cluster: 'default',
      name: 'a node',
      onError: () => undefined,
      ...(admission && { admission }),
    })
  }

  /** The code of what a request ends with. */
  async ping(options: { probe?: boolean } = {}): Promise<string> {
    const asked = this.a.ask('b:1', workerPing, {}, options).then(
      (answer) => (answer.ok ? 'ok' : answer.code),
      (error: unknown) => (error as TransportError).code,
    )
    return this.clock.run(asked)
  }
}

describe('admission of requests (NODES-4)', () => {
  function guarded(limit = 1_000) {
    const pair = new Pair()
    const detector = new OverloadDetector(pair.runtime)
    const executor = new PriorityExecutor({ ...pair.runtime, limit, criticalReserve: 1 })
    const b = pair.peer(pair.served, new Admission({ ...pair.runtime, detector, executor }))
    return { ...pair, pair, detector, executor, b }
  }
  const watch = { jobId: 'j1', reader: 'r', cursor: 0, waitMs: 1_000 }
  const progressOf = { acknowledged: [], abandon: false, backpressure: { level: 'none', delayMs: 0, epoch: 1, seq: 1 } }

  it('sheds by state what matters least, and never what is critical', async () => {
    const { pair, detector, b } = guarded()
    b.serve(jobWatch, () => ({ ok: true, events: [], cursor: 0, owner: { gateId: 'g', address: 'g:1', fence: 1 } }))
    b.serve(jobReport, () => ({ ok: true, ...progressOf }) as never)
    const report = {
      jobId: 'j1',
      datacenter: 'eu',
      leader: { id: 'm', address: 'm:1', term: 1 },
      settled: [],
      windows: [],
    }
    expect((await pair.clock.run(pair.a.ask('b:1', jobWatch, watch))).ok).toBe(true)
    detector.observe({ memory: 0.99 })
    expect(detector.state).toBe('overloaded')
    expect(await pair.clock.run(pair.a.ask('b:1', jobWatch, watch))).toMatchObject({
      ok: false,
      code: 'OVERLOADED',
      retryAfterMs: 1_000,
    })
    expect((await pair.clock.run(pair.a.ask('b:1', jobReport, report))).ok).toBe(true)
  })

  it('bounds what is worked on at once, gives slots back also after errors, and takes none for what only waits', async () => {
    const { pair, executor, b } = guarded(1)
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    b.serve(jobWatch, async () => {
      await held
      return { ok: true, events: [], cursor: 0, owner: { gateId: 'g', address: 'g:1', fence: 1 } }
    })
    b.serve(jobAssign, async () => {
      await held
      throw new Error('broken')
    })
    const assign = {
      jobId: 'j1',
      owner: { gateId: 'g', address: 'g:1', fence: 1 },
      recovered: false,
    }
    const watches = [1, 2, 3].map(() => pair.a.ask('b:1', jobWatch, watch))
    const first = pair.a.ask('b:1', jobAssign, assign).catch((error: unknown) => (error as TransportError).code)
    await pair.clock.advanceAsync(10)
    expect(executor.snapshot().inFlight).toBe(1)
    expect(await pair.clock.run(pair.a.ask('b:1', jobAssign, assign))).toMatchObject({ code: 'OVERLOADED' })
    release()
    expect(await pair.clock.run(first)).toBe('REMOTE_ERROR')
    expect((await pair.clock.run(Promise.all(watches))).every(({ ok }) => ok)).toBe(true)
    expect(executor.snapshot().inFlight).toBe(0)
  })

  it('limits the submissions of a client at its gate, and says when the next one may come', async () => {
    const workflow = defineWorkflow({ name: 'w', run: () => 1 })
    const cluster = new MemoryCluster({ workflows: [workflow] })
    await cluster.manager()
    await cluster.worker('w1')
    await cluster.gate({ limits: { submit: { limit: 1, perMs: 1_000, burst: 2 } } })
    await cluster.settle(50)
    const [busy, other] = [cluster.client({ id: 'busy' }), cluster.client({ id: 'other' })]
    const startedAt = cluster.clock.now()
    const submit = async (client: typeof busy) => {
      await client.submit({ workflows: [{ workflow }] })
      return cluster.clock.now() - startedAt
    }
    const times = await cluster.run(Promise.all([submit(busy), submit(busy), submit(busy), submit(other)]))
    expect(times[0]).toBeLessThan(100)
    expect(times[1]).toBeLessThan(100)
    expect(times[2]).toBeGreaterThanOrEqual(990) // it was told to wait, and its own backoff came on top
    expect(times[3]).toBeLessThan(100)
    await cluster.stop()
  })
})

describe('breakers and retry budgets (NODES-5, Settled 31)', () => {
  /** A peer that answers as it is told to. */
  function pairOf() {
    const pair = new Pair()
    const state = { asked: 0, answer: 'ok' as 'ok' | 'silent' | 'throws' | 'overloaded' }
    pair.served.handle('worker.ping', () => {
      state.asked++
      if (state.answer === 'silent') return new Promise<Uint8Array>(() => undefined)
      if (state.answer === 'throws') throw new Error('broken')
      const refusal = { ok: false, code: 'OVERLOADED', message: 'too much' }
      return codec.encode(state.answer === 'ok' ? { ok: true, workerId: 'b', incarnation: 1 } : refusal)
    })
    return { pair, state }
  }

  it('leaves a silent peer alone after five failures, and finds it again once it answers', async () => {
    const { pair, state } = pairOf()
    state.answer = 'silent'
    for (let i = 0; i < 5; i++) expect(await pair.ping()).toBe('DEADLINE_EXCEEDED')
    expect(await pair.ping()).toBe('CIRCUIT_OPEN')
    expect(state.asked).toBe(5)
    expect(pair.a.openBreakers).toBe(1)
    state.answer = 'ok'
    await pair.clock.advanceAsync(2 * timing.heartbeatMs)
    expect(await pair.ping()).toBe('ok')
    expect(pair.a.openBreakers).toBe(0)
  })

  it('counts an answer that says OVERLOADED, and no error that a handler threw', async () => {
    const { pair, state } = pairOf()
    state.answer = 'throws'
    for (let i = 0; i < 20; i++) expect(await pair.ping()).toBe('REMOTE_ERROR')
    state.answer = 'overloaded'
    for (let i = 0; i < 5; i++) expect(await pair.ping()).toBe('OVERLOADED')
    expect(await pair.ping()).toBe('CIRCUIT_OPEN')
  })

  it('lets a probe through that is open, and begins anew with another life of the peer', async () => {
    const { pair, state } = pairOf()
    pair.a.met({ address: 'b:1', generation: 7 })
    state.answer = 'silent'
    for (let i = 0; i < 5; i++) await pair.ping()
    state.answer = 'ok'
    expect(await pair.ping()).toBe('CIRCUIT_OPEN')
    expect(await pair.ping({ probe: true })).toBe('ok')
    pair.a.met({ address: 'b:1', generation: 7 })
    expect(await pair.ping()).toBe('CIRCUIT_OPEN')
    pair.a.met({ address: 'b:1', generation: 8 })
    expect(await pair.ping()).toBe('ok')
  })

  it('pays for what is sent again from a budget a peer', () => {
    const { a } = new Pair()
    let sent = 0
    while (a.mayResend('b:1')) sent++
    expect(sent).toBe(100) // the reserve: 10 a second over 10 seconds
    expect(a.mayResend('c:1')).toBe(true)
  })
})

describe('backpressure (NODES-37, AD-37)', () => {
  /** A worker with a leader that asks for `level`; what its reports carried in ten seconds. */
  async function reportsUnder(level: BackpressureLevel) {
    const clock = new VirtualClock()
    const logger = new MemoryLogger()
    const runtime = { clock, random: new SeededRandom(1), logger }
    const network = new MemoryNetwork({ clock, latencyMs: 1, logger })
    const leader = { id: 'm1@00000000001', address: 'm1:1', term: 1 }
    const seen = {
      reports: 0,
      withData: 0,
      heartbeats: 0,
      results: 0,
      counted: 0,
      countedByResult: 0,
      health: undefined as unknown,
    }
    const manager = network.rpc('m1:1')
    manager.handle('worker.register', () => codec.encode({ ok: true, leader, abort: [] }))
    let seq = 0
    manager.handle('worker.report', (body) => {
      const report = workerReport.request.decode(body)
      seen.reports++
      if (report.progress.length + report.stats.length > 0) seen.withData++
      if (report.running !== undefined) seen.heartbeats++
      seen.results += report.results.length
      seen.health = report.health
      for (const { counts } of report.stats) seen.counted += counts['n'] ?? 0
      if (report.results.length > 0) seen.countedByResult = seen.counted
      const acknowledged = report.results.map(({ key, fence }) => ({ key, fence }))
      const backpressure = { level, delayMs: 0, epoch: 1, seq: ++seq }
      return codec.encode({ ok: true, leader, acknowledged, abort: [], backpressure })
    })
    const busy = defineWorkflow({
      name: 'busy',
      run: async (ctx) => {
        for (let i = 1; i <= 500; i++) {
          await ctx.clock.sleep(20, ctx.signal)
          ctx.stats.count('n')
          ctx.progress(i, 500)
        }
      },
    })
    const worker = new Worker({
      ...runtime,
      id: 'w1',
      datacenter: 'eu',
      managers: ['m1:1'],
      workflows: [busy],
      cores: 2,
      timing: 'local',
      transport: { datagram: network.datagram('w1:1'), rpc: network.rpc('w1:1') },
    })
    await worker.start()
    await clock.advanceAsync(100)
    const plan = [1]
    const about = { vus: 1, shard: 0, plan, context: {}, contextVersion: 0, timeoutMs: 60_000 }
    const payload = codec.encode({ workflow: 'busy', input: encodeValue(undefined), ...about })
    const dispatch = {
      jobId: 'j1',
      workflowId: 'busy',
      shard: 0,
      key: 'j1/busy/0',
      attempt: 1,
      fence: 1,
      cores: 1,
      payload,
    }
    const answer: unknown = codec.decode(
      await clock.run(
        network
          .rpc('m2:1')
          .request('w1:1', 'shard.run', codec.encode({ cluster: 'default', leader, dispatches: [dispatch] })),
      ),
    )
    expect(answer).toMatchObject({ admissions: ['run'] })
    await clock.advanceAsync(9_900)
    const asked = worker.snapshot().backpressure
    const during = { ...seen }
    await clock.advanceAsync(1_000)
    await clock.run(worker.stop())
    expect(logger.at('error')).toEqual([])
    return { during, after: seen, asked }
  }

  it('halves, then quarters how often progress and statistics leave; nothing that was counted is lost', async () => {
    const none = await reportsUnder('none')
    const throttle = await reportsUnder('throttle')
    const batch = await reportsUnder('batch')
    expect(none.during.withData).toBeGreaterThan(90)
    // Ten seconds at 200 and at 400 ms, and what went before it was told.
    expect(throttle.during.withData).toBeLessThanOrEqual(52)
    expect(throttle.during.withData).toBeGreaterThan(25)
    expect(batch.during.withData).toBeLessThanOrEqual(27)
    expect(batch.during.withData).toBeGreaterThan(12)
    for (const { asked, after } of [none, throttle, batch]) {
      expect(after.counted).toBe(500)
      expect(after.countedByResult).toBe(500) // for it may end its job
      expect(after.results).toBe(1)
      expect(asked).toBe(after === none.after ? 'none' : after === throttle.after ? 'throttle' : 'batch')
    }
  })

  it('sends results and heartbeats only where the leader rejects data', async () => {
    const { during, after } = await reportsUnder('reject')
    expect(during.withData).toBeLessThanOrEqual(1) // before it was told
    expect(during.heartbeats).toBeGreaterThan(35)
    expect(after.results).toBe(1)
  })

  it('asks for what is asked of itself, or what its own state and buffers want, whichever is more', () => {
    const clock = new VirtualClock()
    const load = new NodeLoad({
      runtime: { clock, random: new SeededRandom(1), logger: new MemoryLogger() },
      measures: false,
      worksHard: false,
      generation: () => 7,
    })
    expect(load.signal()).toMatchObject({ level: 'none', epoch: 7 })
    expect(load.signal(0.9).level).toBe('batch')
    expect(load.signal(0, 'reject').level).toBe('reject')
    expect(load.signal(0).level).toBe('none')
    load.detector.observe({ memory: 0.9 })
    expect(load.signal(0.75).level).toBe('batch')
  })
})

describe('what a worker tells of itself (NODES-39)', () => {
  it('reports what its process uses, with the uncertainty, on sockets of its own', async () => {
    const leader = new TcpTransport({ listen: '127.0.0.1:0', label: 'default' })
    await leader.start()
    const ref = { id: 'm1@00000000001', address: leader.address, term: 1 }
    leader.handle('worker.register', () => codec.encode({ ok: true, leader: ref, abort: [] }))
    let seq = 0
    const told = new Promise<ReturnType<typeof workerReport.request.decode>>((resolve) => {
      leader.handle('worker.report', (body) => {
        const report = workerReport.request.decode(body)
        if (report.resources !== undefined) resolve(report)
        const backpressure = { level: 'none', delayMs: 0, epoch: 1, seq: ++seq }
        return codec.encode({ ok: true, leader: ref, acknowledged: [], abort: [], backpressure })
      })
    })
    const worker = new Worker({
      id: 'w1',
      datacenter: 'eu',
      managers: [leader.address],
      workflows: [],
      cores: 3,
      timing: 'local',
    })
    await worker.start()
    const { resources, health } = await told
    await worker.stop()
    await leader.stop()
    expect(resources?.cpu.value).toBeGreaterThanOrEqual(0)
    expect(resources?.cpu.uncertainty).toBeGreaterThan(0)
    expect(resources?.memory.value).toBeGreaterThan(0)
    expect(resources?.memory.value).toBeLessThan(1)
    expect(resources?.cpuLimit).toBeGreaterThan(0)
    expect(resources?.memoryLimitBytes).toBeGreaterThan(1e6)
    expect(health).toMatchObject({ ready: true, capacity: 3, assigned: 0, done: 0 })
  })
})
