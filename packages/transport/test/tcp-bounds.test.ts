import { HsError, type MessagePriority } from '@hs/core'
import { describe, expect, it } from 'vitest'
import { json, parse, parseRequest, RawPeer, RawServer, TYPE } from './raw-peer.js'
import { bytes, client, failure, gate, NOTHING, serve, text, turns, until, use } from './tcp-scene.js'

const expectRejection = (promise: Promise<unknown>) => {
  void promise.catch((error: unknown) => {
    if (!HsError.is(error)) throw error
  })
}

describe('requests in flight (LIM-1)', () => {
  it('are at most the smaller maxInFlight of both ends; others wait in order', async () => {
    for (const [own, peers] of [
      [3, 10],
      [10, 3],
    ] as const) {
      const raw = use(await RawServer.greeting({ maxInFlight: peers }))
      const rpc = client({ maxInFlight: own })
      const answers = Array.from({ length: 8 }, (_, i) => rpc.request(raw.address, 'm', Uint8Array.of(i)))
      const peer = await raw.peer()
      for (let i = 0; i < 3; i++) await peer.next(TYPE.request)
      await turns(5)
      const requests = () => peer.frames.filter((f) => f.type === TYPE.request)
      expect(requests()).toHaveLength(3)
      expect(rpc.stats()).toMatchObject({ inFlight: { outbound: 3 }, queued: { normal: 5 } })
      for (let i = 0; i < 8; i++) {
        await until(() => requests().length > i)
        const { id, payload } = requests()[i]!
        expect(parseRequest(payload).body[0]).toBe(i)
        peer.send(TYPE.response, id, payload.subarray(6))
      }
      expect((await Promise.all(answers)).map((a) => a[0])).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
      expect(rpc.stats()).toMatchObject({ inFlight: { outbound: 0 }, queued: { normal: 0, bytes: 0 } })
    }
  })

  it('beyond maxQueued fail at once with QUEUE_FULL, whether connected or not, each priority on its own', async () => {
    for (const connected of [false, true]) {
      const raw = use(await RawServer.greeting())
      const priorities: Record<string, MessagePriority> = { low: 'low', high: 'high' }
      const rpc = client({ maxInFlight: 2, maxQueued: 3, priorities })
      if (connected) await rpc.connect(raw.address)
      for (let i = 0; i < 5; i++) expectRejection(rpc.request(raw.address, 'low', NOTHING))
      expect(await failure(rpc.request(raw.address, 'low', NOTHING))).toMatchObject({
        code: 'QUEUE_FULL',
        notExecuted: true,
      })
      for (let i = 0; i < 3; i++) expectRejection(rpc.request(raw.address, 'high', NOTHING))
      expect((await failure(rpc.request(raw.address, 'high', NOTHING))).code).toBe('QUEUE_FULL')
      expectRejection(rpc.request(raw.address, 'normal', NOTHING))
      expect(rpc.stats().shed.queueFull).toEqual({ critical: 0, high: 1, normal: 0, low: 1 })
    }
  })

  it('that a peer sends beyond maxInFlight are answered with RESOURCE_EXHAUSTED, and run nothing', async () => {
    const server = await serve({ maxInFlight: 2 })
    let running = 0
    const goOn = gate()
    server.handle('m', async (body) => {
      running++
      await goOn.promise
      return body
    })
    const raw = use(await RawPeer.greeted(server.address))
    for (let id = 1; id <= 4; id++) raw.request(id, 'm', bytes(String(id)))
    for (const id of [3, 4]) {
      const answer = await raw.next(TYPE.error)
      expect(answer.id).toBe(id)
      const error = parse(answer.payload) as { retryAfterMs: number }
      expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', notExecuted: true })
      expect(error.retryAfterMs).toBeGreaterThan(0)
    }
    expect(running).toBe(2)
    expect(server.stats().shed.resourceExhausted).toBe(2)
    goOn.open()
    await raw.next(TYPE.response)
    await raw.next(TYPE.response)
    raw.request(5, 'm')
    await raw.next(TYPE.response)
  })

  it('that a peer refuses so reach the caller, not executed, with the time to wait', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client()
    const waiting = failure(rpc.request(raw.address, 'm', NOTHING))
    const peer = await raw.peer()
    const { id } = await peer.next(TYPE.request)
    peer.send(TYPE.error, id, json({ code: 'RESOURCE_EXHAUSTED', message: 'full', retryAfterMs: 70 }))
    expect(await waiting).toMatchObject({ code: 'RESOURCE_EXHAUSTED', notExecuted: true, retryAfterMs: 70 })
  })

  it('free their slot at both ends when they are cancelled', async () => {
    const server = await serve({ maxInFlight: 1 })
    server.handle('stuck', () => new Promise(() => undefined))
    server.handle('echo', (body) => body)
    const rpc = client()
    const controller = new AbortController()
    const stuck = failure(rpc.request(server.address, 'stuck', NOTHING, { signal: controller.signal }))
    await until(() => server.stats().inFlight.inbound === 1)
    const next = rpc.request(server.address, 'echo', bytes('x'))
    controller.abort()
    await stuck
    expect(text(await next)).toBe('x')
    expect(server.stats().shed.resourceExhausted).toBe(0)
  })

  it('and notifications are not limited by what one turn brings while the socket takes it', async () => {
    const server = await serve()
    let notes = 0
    server.handle('note', (body) => {
      notes++
      return body
    })
    const rpc = client({ maxQueued: 10 })
    await rpc.connect(server.address)
    await Promise.all(Array.from({ length: 5_000 }, () => rpc.notify(server.address, 'note', NOTHING)))
    await until(() => notes === 5_000)
    expect(rpc.stats().shed.queueFull.normal).toBe(0)
  })

  it('and notifications of a peer are dropped and counted while 16,384 of it still run', async () => {
    const server = await serve()
    let begun = 0
    const goOn = gate()
    server.handle('note', async (body) => {
      begun++
      await goOn.promise
      return body
    })
    const rpc = client({ maxQueued: 20_000 })
    await rpc.connect(server.address)
    const send = (count: number) =>
      Promise.all(Array.from({ length: count }, () => rpc.notify(server.address, 'note', NOTHING)))
    await send(16_400)
    await until(() => server.stats().totals.notifiesReceived === 16_400)
    expect(begun).toBe(16_384)
    expect(server.stats().shed.resourceExhausted).toBe(16)
    goOn.open()
    await turns(1)
    await send(1)
    await until(() => begun === 16_385)
  })
})

describe('bytes that wait (LIM-2)', () => {
  it('never exceed maxQueuedBytes: QUEUE_FULL, not executed', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client({ maxQueuedBytes: 1_000_000 })
    await rpc.connect(raw.address)
    ;(await raw.peer()).socket.pause()
    const body = new Uint8Array(100_000)
    let full = 0
    for (let i = 0; full < 5; i++) {
      const promise = rpc.request(raw.address, 'm', body)
      expectRejection(promise)
      promise.catch((error: unknown) => {
        if (HsError.is(error, 'QUEUE_FULL')) full++
      })
      expect(rpc.stats().queued.bytes).toBeLessThanOrEqual(1_000_000)
      if (i % 10 === 0) await turns(1)
    }
    expect(await failure(rpc.request(raw.address, 'm', body))).toMatchObject({ code: 'QUEUE_FULL', notExecuted: true })
    expect(rpc.stats().shed.queueFull.normal).toBeGreaterThan(5)
  })

  it('of a lower priority give way to a higher one', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client({ maxQueuedBytes: 300_000, priorities: { low: 'low', high: 'high' } })
    await rpc.connect(raw.address)
    ;(await raw.peer()).socket.pause()
    const lows: Promise<unknown>[] = []
    for (;;) {
      const low = rpc.notify(raw.address, 'low', new Uint8Array(90_000))
      expectRejection(low)
      lows.push(low)
      await turns(2)
      if (rpc.stats().shed.queueFull.low > 0) break
    }
    const last = lows.at(-2) as Promise<unknown>
    expectRejection(rpc.notify(raw.address, 'high', new Uint8Array(150_000)))
    await turns(1)
    expect(rpc.stats().queued).toMatchObject({ high: 1 })
    expect(rpc.stats().shed.queueFull.high).toBe(0)
    expect(await failure(last)).toMatchObject({ code: 'QUEUE_FULL', notExecuted: true })
  })

  it('drop the peer as slowPeer when it takes nothing for writeTimeoutMs', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client({ writeTimeoutMs: 50 })
    await rpc.connect(raw.address)
    const peer = await raw.peer()
    peer.socket.pause()
    const outcomes: Promise<HsError & { notExecuted: boolean }>[] = []
    while (rpc.stats().queued.bytes === 0) {
      outcomes.push(failure(rpc.request(raw.address, 'm', new Uint8Array(1_000_000))))
      await turns(5)
    }
    const waiting = failure(rpc.request(raw.address, 'm', NOTHING))
    expect(await waiting).toMatchObject({ code: 'CONNECTION_LOST', notExecuted: true })
    expect(rpc.stats().queued.bytes).toBe(0)
    const errors = await Promise.all(outcomes)
    expect(errors.every((e) => e.code === 'CONNECTION_LOST')).toBe(true)
    // The one whose frame was cut has not arrived; those before it may have run.
    expect(errors.map((e) => e.notExecuted)).toEqual(errors.map((_, i) => i === errors.length - 1))
    expect(rpc.stats().rejected.slowPeer).toBe(1)
    expect(rpc.stats().connections.outbound).toBe(0)
  })

  it('of answers stop the reading until half of them is gone; no answer is lost', async () => {
    const server = await serve({ maxQueuedBytes: 500_000 })
    let ran = 0
    server.handle('big', () => {
      ran++
      return new Uint8Array(100_000)
    })
    const raw = use(await RawPeer.greeted(server.address))
    raw.socket.pause()
    const total = 400
    for (let id = 1; id <= total; id++) raw.request(id, 'big')
    let before = -1
    while (ran !== before) {
      before = ran
      await turns(50)
    }
    expect(ran).toBeLessThan(total)
    expect(server.stats().queued.bytes).toBeLessThan(700_000)
    raw.socket.resume()
    for (let i = 0; i < total; i++) expect((await raw.next(TYPE.response)).payload).toHaveLength(100_000)
    expect(ran).toBe(total)
    expect(server.stats()).toMatchObject({ inFlight: { inbound: 0 }, queued: { bytes: 0 } })
  })

  it('for a slot, not for the socket, stop no reading: the answer that frees the slot comes in', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client({ maxInFlight: 1, maxQueuedBytes: 100_000 })
    rpc.handle('big', () => new Uint8Array(30_000))
    const answers = Array.from({ length: 9 }, () => rpc.request(raw.address, 'm', new Uint8Array(10_000)))
    const peer = await raw.peer()
    const first = await peer.next(TYPE.request)
    peer.request(1, 'big')
    await peer.next(TYPE.response)
    peer.request(2, 'big')
    peer.answerAll(bytes('answer'))
    peer.send(TYPE.response, first.id, bytes('answer'))
    expect((await Promise.all(answers)).map(text)).toEqual(answers.map(() => 'answer'))
  })

  it('of PONG are bounded too, for whoever sends PING and reads nothing', async () => {
    const server = await serve({ maxQueuedBytes: 10_000, writeTimeoutMs: 1_000 })
    const raw = use(await RawPeer.greeted(server.address))
    raw.socket.pause()
    const pings = Buffer.concat(
      Array.from({ length: 10_000 }, () => Buffer.from('0000000e0700000000000102030405060708', 'hex')),
    )
    let worst = 0
    while (server.stats().rejected.slowPeer === 0 && !raw.isClosed) {
      if (raw.socket.writableLength < 1_000_000) raw.socket.write(pings)
      worst = Math.max(worst, server.stats().queued.bytes)
      await turns(1)
    }
    expect(worst).toBeLessThan(20_000)
  })
})

describe('connections (LIM-3)', () => {
  it('that race for two slots: two of six dials get one, at every instant', async () => {
    const servers = await Promise.all(Array.from({ length: 6 }, () => serve()))
    for (const server of servers) server.handle('wait', () => new Promise(() => undefined))
    const rpc = client({ maxConnections: 2 })
    const errors: HsError[] = []
    for (const server of servers) {
      failure(rpc.request(server.address, 'wait', NOTHING)).then(
        (error) => errors.push(error),
        () => undefined,
      )
      const { outbound, dialing } = rpc.stats().connections
      expect(outbound + dialing).toBeLessThanOrEqual(2)
    }
    await until(() => errors.length === 4)
    for (const error of errors) expect(error).toMatchObject({ code: 'POOL_EXHAUSTED', notExecuted: true })
    await until(() => rpc.stats().connections.outbound === 2)
  })

  it('make room by closing the one that was used least recently and has nothing to do', async () => {
    const servers = await Promise.all(Array.from({ length: 4 }, () => serve()))
    for (const server of servers) {
      server.handle('echo', (body) => body)
      server.handle('wait', () => new Promise(() => undefined))
    }
    const [a, b, c, d] = servers.map((server) => server.address) as [string, string, string, string]
    const rpc = client({ maxConnections: 3 })
    const closed: string[] = []
    rpc.events.on('peerDisconnected', ({ peer, error }) => closed.push(`${peer.address} ${error}`))
    await rpc.request(a, 'echo', NOTHING)
    await rpc.request(b, 'echo', NOTHING)
    await rpc.request(c, 'echo', NOTHING)
    await rpc.request(a, 'echo', NOTHING)
    expectRejection(rpc.request(b, 'wait', NOTHING))
    await turns(2)
    await rpc.request(d, 'echo', NOTHING)
    expect(closed).toEqual([`${c} CLOSED`])
    await rpc.request(c, 'echo', NOTHING)
    expect(closed).toEqual([`${c} CLOSED`, `${a} CLOSED`])
    expect(rpc.stats().connections).toEqual({ inbound: 0, outbound: 3, dialing: 0 })
  })

  it('count a peer with a control connection once', async () => {
    const [one, two] = [await serve(), await serve()]
    for (const server of [one, two]) {
      for (const method of ['critical', 'normal']) server.handle(method, (body) => body)
    }
    const rpc = client({ maxConnections: 2, priorities: { critical: 'critical' } })
    for (const server of [one, two]) {
      await rpc.request(server.address, 'normal', NOTHING)
      await rpc.request(server.address, 'critical', NOTHING)
    }
    expect(rpc.stats().connections.outbound).toBe(4)
  })

  it('give their slot back when they fail, are refused, or end', async () => {
    const refuser = use(await RawServer.greeting({ label: 'other' }))
    const server = await serve()
    server.handle('echo', (body) => body)
    const rpc = client({ maxConnections: 1 })
    expect((await failure(rpc.request('127.0.0.1:1', 'm', NOTHING))).code).toBe('CONNECT_FAILED')
    expect((await failure(rpc.request(refuser.address, 'm', NOTHING))).code).toBe('PEER_REJECTED')
    await rpc.request(server.address, 'echo', NOTHING)
    await server.stop()
    await until(() => rpc.stats().connections.outbound === 0)
    const another = await serve()
    another.handle('echo', (body) => body)
    await rpc.request(another.address, 'echo', NOTHING)
  })
})

describe('accepted sockets (LIM-4)', () => {
  it.each([{ maxInbound: 3 }, { maxInboundPerIp: 3 }])(
    'beyond %j are destroyed and counted, from accept to close',
    async (limit) => {
      const server = await serve(limit)
      const from: string[] = []
      server.events.on('rejected', (event) => from.push(`${event.reason} ${event.direction} ${event.from}`))
      const raws = []
      for (let i = 0; i < 3; i++) raws.push(use(await RawPeer.dial(server.address)))
      await until(() => server.stats().connections.inbound === 3)
      const fourth = use(await RawPeer.dial(server.address))
      const { address } = fourth
      await fourth.closed()
      expect(server.stats().rejected.capacity).toBe(1)
      expect(from).toEqual([`capacity inbound ${address}`])
      raws[0]!.destroy()
      await until(() => server.stats().connections.inbound === 2)
      use(await RawPeer.greeted(server.address))
      expect(server.stats().connections.inbound).toBe(3)
    },
  )
})

describe('a call on an accepted connection (RPC-4)', () => {
  it('is bounded alike', async () => {
    const server = await serve({ maxInFlight: 1, maxQueued: 1 })
    const raw = use(await RawPeer.greeted(server.address))
    await until(() => server.stats().connections.inbound === 1)
    expectRejection(server.request(raw.address, 'm', NOTHING))
    expectRejection(server.request(raw.address, 'm', NOTHING))
    expect((await failure(server.request(raw.address, 'm', NOTHING))).code).toBe('QUEUE_FULL')
    await raw.next(TYPE.request)
  })
})

describe('a message that was admitted for one size', () => {
  it('is refused when the peer turns out to take less', async () => {
    const raw = use(await RawServer.greeting({ maxFrameBytes: 100 }))
    const rpc = client()
    const expected = { code: 'MESSAGE_TOO_LARGE', notExecuted: true }
    const request = failure(rpc.request(raw.address, 'm', new Uint8Array(200)))
    const note = failure(rpc.notify(raw.address, 'm', new Uint8Array(200)))
    const fits = rpc.notify(raw.address, 'm', new Uint8Array(50))
    expect(await request).toMatchObject(expected)
    expect(await note).toMatchObject(expected)
    await fits
    expect(rpc.stats().inFlight.outbound).toBe(0)
  })
})
