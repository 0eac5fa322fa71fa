import type { HsError } from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import { describe, expect, it } from 'vitest'
import { TcpTransport, type TcpEvents } from '../src/index.js'
import { json, parse, parseRequest, RawPeer, RawServer, TYPE } from './raw-peer.js'
import { bytes, client, failure, gate, NOTHING, serve, text, turns, until, use } from './tcp-scene.js'

describe('start', () => {
  it('binds a free port and tells it; before and without it there is no address', async () => {
    const server = new TcpTransport({ listen: '127.0.0.1:0' })
    expect(server.address).toBe('')
    await Promise.all([server.start(), server.start()])
    expect(server.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
    await server.stop()
    const dialler = client()
    await dialler.start()
    expect(dialler.address).toBe('')
    const named = await serve({ advertise: 'gate.example:7000' })
    expect(named.address).toBe('gate.example:7000')
  })

  it('rejects if the port is in use, and may be tried again', async () => {
    const first = await serve()
    const second = use(new TcpTransport({ listen: first.address }))
    const error = await failure(second.start())
    expect(error.code).toBe('EADDRINUSE')
    expect(error.message).toContain(first.address)
    await first.stop()
    await second.start()
    expect(second.address).toBe(first.address)
  })

  it('rejects after stop', async () => {
    const transport = new TcpTransport({ listen: '127.0.0.1:0' })
    await transport.stop()
    expect(await failure(transport.start())).toMatchObject({ code: 'CLOSED', notExecuted: true })
  })

  it('that stop overtakes rejects and leaves nothing', async () => {
    const transport = new TcpTransport({ listen: '127.0.0.1:0' })
    const starting = failure(transport.start())
    await transport.stop()
    expect((await starting).code).toBe('CLOSED')
    expect(transport.address).toBe('')
  })

  it('listens on IPv6 too', async () => {
    const server = await serve({ listen: '[::1]:0' })
    server.handle('who', (_body, from) => bytes(from.address))
    expect(server.address).toMatch(/^\[::1\]:\d+$/)
    const answer = text(await client().request(server.address, 'who', NOTHING))
    expect(answer).toMatch(/^\[::1\]:\d+$/)
  })
})

describe('dialling (CONN-1)', () => {
  it('is shared by all calls that need it', async () => {
    const server = await serve()
    server.handle('echo', (body) => body)
    const rpc = client()
    const calls = Array.from({ length: 20 }, (_, i) => rpc.request(server.address, 'echo', Uint8Array.of(i)))
    expect(rpc.stats().connections).toEqual({ inbound: 0, outbound: 0, dialing: 1 })
    await Promise.all([...calls, rpc.connect(server.address), rpc.notify(server.address, 'echo', NOTHING)])
    expect(server.stats().connections.inbound).toBe(1)
    expect(rpc.stats().connections).toEqual({ inbound: 0, outbound: 1, dialing: 0 })
  })

  it('fails all of them alike; a failure that dialled has no retryAfterMs, one that waits has', async () => {
    const clock = new VirtualClock()
    const rpc = client({ clock, reconnectBaseMs: 1_000, random: new SeededRandom(1) })
    const expectedMs = Math.ceil(1_000 * (0.5 + 0.5 * new SeededRandom(1).next()))
    const errors = await Promise.all([
      failure(rpc.request('127.0.0.1:1', 'm', NOTHING)),
      failure(rpc.notify('127.0.0.1:1', 'm', NOTHING)),
      failure(rpc.connect('127.0.0.1:1')),
    ])
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'CONNECT_FAILED', notExecuted: true, cause: { code: 'ECONNREFUSED' } })
      expect(error.retryAfterMs).toBeUndefined()
    }
    expect(await failure(rpc.request('127.0.0.1:1', 'm', NOTHING))).toMatchObject({
      code: 'CONNECT_FAILED',
      notExecuted: true,
      retryAfterMs: expectedMs,
    })
  })

  it('of a peer that restarted happens once, by the next call, and keeps the order of what follows', async () => {
    const server = await serve()
    server.handle('stuck', () => new Promise(() => undefined))
    const rpc = client()
    const written = failure(rpc.request(server.address, 'stuck', NOTHING))
    await until(() => server.stats().inFlight.inbound === 1)
    const { address } = server
    await server.stop()
    expect(await written).toMatchObject({ code: 'CONNECTION_LOST', notExecuted: false })

    const again = await serve({ listen: address })
    const seen: number[] = []
    again.handle('m', async (body) => {
      seen.push(body[0] as number)
      return body
    })
    await Promise.all(Array.from({ length: 10 }, (_, i) => rpc.request(address, 'm', Uint8Array.of(i))))
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(again.stats().connections.inbound).toBe(1)
  })

  it('takes names as well as addresses', async () => {
    const server = await serve()
    server.handle('echo', (body) => body)
    const port = server.address.split(':')[1] as string
    expect(text(await client().request(`localhost:${port}`, 'echo', bytes('x')))).toBe('x')
    expect(await failure(client().request('no-such-host.invalid:7000', 'm', NOTHING))).toMatchObject({
      code: 'CONNECT_FAILED',
      notExecuted: true,
    })
  })
})

describe('a connection that ends', () => {
  it('fails what was written as CONNECTION_LOST, and says of what was not that it did not run', async () => {
    const raw = use(await RawServer.greeting({ maxInFlight: 1 }))
    const rpc = client()
    const written = failure(rpc.request(raw.address, 'm', NOTHING))
    const waiting = failure(rpc.request(raw.address, 'm', NOTHING))
    const peer = await raw.peer()
    await peer.next(TYPE.request)
    peer.destroy()
    expect(await written).toMatchObject({ code: 'CONNECTION_LOST', notExecuted: false })
    expect(await waiting).toMatchObject({ code: 'CONNECTION_LOST', notExecuted: true })
    expect(rpc.stats()).toMatchObject({ inFlight: { outbound: 0 }, queued: { normal: 0, bytes: 0 } })
  })

  it('aborts the handlers that work for its peer', async () => {
    const server = await serve()
    const aborted = gate<unknown>()
    server.handle('m', (_body, _from, call) => {
      call.signal.addEventListener('abort', () => aborted.open(call.signal.reason))
      return new Promise(() => undefined)
    })
    const raw = use(await RawPeer.greeted(server.address))
    raw.request(1, 'm')
    await until(() => server.stats().inFlight.inbound === 1)
    raw.destroy()
    expect(await aborted.promise).toMatchObject({ code: 'CONNECTION_LOST' })
    expect(server.stats().inFlight.inbound).toBe(0)
  })

  it('is told, as was its beginning', async () => {
    const told: unknown[] = []
    const note = (end: string, transport: TcpTransport) => {
      transport.events.on('peerConnected', ({ peer, ...rest }: TcpEvents['peerConnected'][0]) =>
        told.push([end, 'connected', peer.nodeId, rest]),
      )
      transport.events.on('peerDisconnected', ({ peer, ...rest }: TcpEvents['peerDisconnected'][0]) =>
        told.push([end, 'disconnected', peer.nodeId, rest]),
      )
    }
    const server = await serve({ nodeId: 's' })
    const rpc = client({ nodeId: 'c', priorities: { m: 'critical' } })
    note('server', server)
    note('client', rpc)
    server.handle('m', (body) => body)
    await rpc.request(server.address, 'm', NOTHING)
    await rpc.stop()
    await until(() => told.length === 4)
    const [inbound, outbound] = ['inbound', 'outbound'].map((direction) => ({ direction, connectionClass: 'control' }))
    expect(told.slice(0, 2)).toEqual([
      ['server', 'connected', 'c', inbound],
      ['client', 'connected', 's', outbound],
    ])
    expect(told.slice(2)).toEqual(
      expect.arrayContaining([
        ['client', 'disconnected', 's', { ...outbound, error: 'CLOSED' }],
        ['server', 'disconnected', 'c', { ...inbound, error: 'CLOSED' }],
      ]),
    )
  })

  it('without a goodbye is told as CONNECTION_LOST', async () => {
    const server = await serve()
    const told: string[] = []
    server.events.on('peerDisconnected', ({ error }) => told.push(error))
    const raw = use(await RawPeer.greeted(server.address))
    raw.destroy()
    await until(() => told.length === 1)
    expect(told).toEqual(['CONNECTION_LOST'])
  })
})

describe('stop (CONN-5)', () => {
  it('says goodbye with the highest id taken, refuses what is above, lets finish what runs, then closes', async () => {
    const server = await serve({ drainTimeoutMs: 10_000 })
    const goOn = gate()
    let ran = 0
    server.handle('slow', async (body) => {
      ran++
      await goOn.promise
      return body
    })
    const raw = use(await RawPeer.greeted(server.address))
    raw.request(3, 'slow', bytes('a'))
    raw.request(9, 'slow', bytes('b'))
    await until(() => server.stats().inFlight.inbound === 2)
    const stopping = server.stop()
    expect(parse((await raw.next(TYPE.goaway)).payload)).toMatchObject({ reason: 'stopping', lastId: 9 })
    raw.request(10, 'slow', bytes('c'))
    raw.request(4, 'slow', bytes('d'))
    for (const id of [10, 4]) {
      const refused = await raw.next(TYPE.error)
      expect(refused.id).toBe(id)
      expect(parse(refused.payload)).toMatchObject({ notExecuted: true })
    }
    await expect(RawPeer.dial(server.address)).rejects.toThrow()
    goOn.open()
    expect((await raw.next(TYPE.response)).payload.toString()).toBe('a')
    expect((await raw.next(TYPE.response)).payload.toString()).toBe('b')
    await raw.closed()
    await stopping
    expect(ran).toBe(2)
  })

  it('lets own requests in flight be answered, and rejects those that wait and those that come', async () => {
    const raw = use(await RawServer.greeting({ maxInFlight: 1 }))
    const rpc = client({ drainTimeoutMs: 10_000 })
    const written = rpc.request(raw.address, 'm', NOTHING)
    const waiting = failure(rpc.request(raw.address, 'm', NOTHING))
    const peer = await raw.peer()
    const { id } = await peer.next(TYPE.request)
    const stopping = rpc.stop()
    const closed = { code: 'CLOSED', notExecuted: true }
    expect(await waiting).toMatchObject(closed)
    expect(await failure(rpc.request(raw.address, 'm', NOTHING))).toMatchObject(closed)
    expect(await failure(rpc.notify(raw.address, 'm', NOTHING))).toMatchObject(closed)
    expect(await failure(rpc.connect(raw.address))).toMatchObject(closed)
    peer.send(TYPE.response, id, bytes('answer'))
    expect(text(await written)).toBe('answer')
    await stopping
  })

  it('ends after drainTimeoutMs: own requests are CLOSED, handlers abort, their callers see CONNECTION_LOST', async () => {
    const server = await serve({ drainTimeoutMs: 30 })
    const aborted = gate<unknown>()
    server.handle('stuck', (_body, _from, call) => {
      call.signal.addEventListener('abort', () => aborted.open(call.signal.reason))
      return new Promise(() => undefined)
    })
    const rpc = client()
    rpc.handle('stuck', () => new Promise(() => undefined))
    const remote = failure(rpc.request(server.address, 'stuck', NOTHING))
    await until(() => server.stats().inFlight.inbound === 1)
    const raw = use(await RawServer.greeting())
    const own = failure(server.request(raw.address, 'm', NOTHING))
    await (await raw.peer()).next(TYPE.request)
    await server.stop()
    expect(await own).toMatchObject({ code: 'CLOSED', notExecuted: false })
    expect(await aborted.promise).toMatchObject({ code: 'CLOSED' })
    expect(await remote).toMatchObject({ code: 'CONNECTION_LOST', notExecuted: false })
    expect(server.stats()).toMatchObject({
      connections: { inbound: 0, outbound: 0, dialing: 0 },
      inFlight: { outbound: 0, inbound: 0 },
    })
  })

  it('writes what was given before it in the same turn', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client()
    await rpc.connect(raw.address)
    const note = rpc.notify(raw.address, 'last', NOTHING)
    const stopping = rpc.stop()
    await note
    await stopping
    const peer = await raw.peer()
    await peer.next(TYPE.notify)
  })

  it('needs no time to pass where nothing is in flight, though peers neither read nor close', async () => {
    const clock = new VirtualClock()
    const server = await serve({ clock })
    use(await RawPeer.dial(server.address))
    use(await RawPeer.greeted(server.address)).socket.pause()
    const silent = use(await RawServer.listen())
    const stuck = failure(server.request(silent.address, 'm', NOTHING))
    await silent.peer()
    await until(() => server.stats().connections.inbound === 2)
    await server.stop()
    expect(await stuck).toMatchObject({ code: 'CLOSED', notExecuted: true })
    expect(clock.pendingTimers).toBe(0)
    expect(clock.now()).toBe(0)
  })

  it('leaves no socket and no listener, as the process counts them', async () => {
    // Of this process: other test files may have left some in it.
    const openSockets = () => process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length
    const before = openSockets()
    const server = await serve()
    server.handle('echo', (body) => body)
    const rpc = client()
    await rpc.request(server.address, 'echo', NOTHING)
    await server.stop()
    await rpc.stop()
    expect(openSockets()).toBeLessThanOrEqual(before)
  })

  it('is the same as close and dispose, and happens once', async () => {
    const server = await serve()
    await client().connect(server.address)
    expect(server.stop()).toBe(server.close())
    await server[Symbol.asyncDispose]()
    await server.stop()
    expect(server.stats().connections.inbound).toBe(0)
  })

  it('of a peer that answers HELLO with goodbye is CONNECT_FAILED, not executed', async () => {
    const raw = use(
      await RawServer.listen((peer) => {
        void peer.next(TYPE.hello).then(() => peer.send(TYPE.goaway, 0, json({ reason: 'stopping' })))
      }),
    )
    expect(await failure(client().request(raw.address, 'm', NOTHING))).toMatchObject({
      code: 'CONNECT_FAILED',
      notExecuted: true,
    })
  })
})

describe("the peer's goodbye (CONN-6)", () => {
  it('sends again, transparently and in order, what the peer had not taken', async () => {
    const raw = use(await RawServer.greeting({ maxInFlight: 4 }))
    const rpc = client()
    const answers = Array.from({ length: 6 }, (_, i) => rpc.request(raw.address, 'm', bytes(String(i))))
    const notes = [0, 1].map((i) => rpc.notify(raw.address, `n${i}`, NOTHING))
    await Promise.all(notes)
    const first = await raw.peer(0)
    const ids: number[] = []
    for (let i = 0; i < 4; i++) ids.push((await first.next(TYPE.request)).id)
    first.send(TYPE.goaway, 0, json({ reason: 'stopping', lastId: ids[1] }))

    const second = await raw.peer(1)
    for (const expected of ['2', '3', '4', '5']) {
      const { id, payload } = await second.next(TYPE.request)
      expect(parseRequest(payload).body.toString()).toBe(expected)
      second.send(TYPE.response, id, bytes(expected))
    }
    // What was taken is still answered by the first one, which then is closed.
    for (const i of [0, 1]) first.send(TYPE.response, ids[i] as number, bytes(String(i)))
    expect((await Promise.all(answers)).map(text)).toEqual(['0', '1', '2', '3', '4', '5'])
    await first.closed()
    expect(rpc.stats().connections.outbound).toBe(1)
    expect(rpc.stats().totals.lateResponses).toBe(0)
  })

  it('without lastId leaves what was written to be answered', async () => {
    const raw = use(await RawServer.greeting({ maxInFlight: 1 }))
    const rpc = client()
    const written = rpc.request(raw.address, 'm', bytes('written'))
    const waiting = rpc.request(raw.address, 'm', bytes('waiting'))
    const first = await raw.peer(0)
    const { id } = await first.next(TYPE.request)
    first.send(TYPE.goaway, 0, bytes('no json'))
    const second = await raw.peer(1)
    const moved = await second.next(TYPE.request)
    expect(parseRequest(moved.payload).body.toString()).toBe('waiting')
    second.send(TYPE.response, moved.id, bytes('2'))
    first.send(TYPE.response, id, bytes('1'))
    expect([text(await written), text(await waiting)]).toEqual(['1', '2'])
  })

  it('a second time is CONNECT_FAILED, not executed', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client()
    const waiting = failure(rpc.request(raw.address, 'm', NOTHING))
    for (const index of [0, 1]) {
      const peer = await raw.peer(index)
      await peer.next(TYPE.request)
      peer.send(TYPE.goaway, 0, json({ reason: 'stopping', lastId: 0 }))
    }
    expect(await waiting).toMatchObject({ code: 'CONNECT_FAILED', notExecuted: true })
    expect(rpc.stats().inFlight.outbound).toBe(0)
  })

  it('keeps deadlines and signals of what is sent again', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client()
    const controller = new AbortController()
    const aborted = failure(rpc.request(raw.address, 'a', NOTHING, { signal: controller.signal }))
    const late = failure(rpc.request(raw.address, 'b', NOTHING, { timeoutMs: 150 }))
    const first = await raw.peer(0)
    await first.next(TYPE.request)
    await first.next(TYPE.request)
    first.send(TYPE.goaway, 0, json({ reason: 'stopping', lastId: 0 }))
    const second = await raw.peer(1)
    const again = await second.next(TYPE.request)
    controller.abort('enough')
    expect(await aborted).toMatchObject({ code: 'CANCELLED', notExecuted: false, cause: 'enough' })
    expect((await second.next(TYPE.cancel)).id).toBe(again.id)
    expect(await late).toMatchObject({ code: 'DEADLINE_EXCEEDED', notExecuted: false })
  })

  it('from an accepted connection fails what waits, for there is nowhere to dial', async () => {
    const server = await serve()
    const raw = use(await RawPeer.greeted(server.address))
    await until(() => server.stats().connections.inbound === 1)
    const waiting = failure(server.request(raw.address, 'm', NOTHING))
    const { id } = await raw.next(TYPE.request)
    raw.send(TYPE.goaway, 0, json({ reason: 'stopping', lastId: id - 1 }))
    expect(await waiting).toMatchObject({ code: 'CONNECT_FAILED', notExecuted: true })
    await raw.closed()
  })

  it('loses nothing and runs nothing twice: a peer stops gracefully under load, and another takes its port', async () => {
    const seen = new Map<number, number>()
    const serving = async (listen: string) => {
      const server = await serve({ listen, drainTimeoutMs: 10_000 })
      server.handle('m', async (body) => {
        const index = Buffer.from(body).readUInt32BE()
        seen.set(index, (seen.get(index) ?? 0) + 1)
        await turns(2)
        return body
      })
      return server
    }
    let server = await serving('127.0.0.1:0')
    const { address } = server
    const rpc = client({ reconnectBaseMs: 1, reconnectMaxMs: 2 })
    let succeeded = 0
    const failed: HsError[] = []
    const body = Buffer.alloc(4)
    for (let i = 0; i < 2_000; i++) {
      body.writeUInt32BE(i)
      rpc.request(address, 'm', body).then(
        () => succeeded++,
        (error: HsError) => failed.push(error),
      )
      if (i % 20 === 0) await turns(1)
      if (i % 500 === 250) {
        const old = server
        const stopping = old.stop()
        await turns(1)
        server = await serving(address).catch(async () => {
          await stopping
          return serving(address)
        })
      }
    }
    await until(() => succeeded + failed.length === 2_000)
    // Whoever found nobody at the port was told that nothing ran.
    for (const error of failed) expect(error).toMatchObject({ code: 'CONNECT_FAILED', notExecuted: true })
    expect(seen.size).toBe(succeeded)
    expect([...seen.values()].every((count) => count === 1)).toBe(true)
    expect(succeeded).toBeGreaterThan(1_000)
  })
})

describe('listeners of events', () => {
  it('cannot throw into the transport', async () => {
    const logger = new MemoryLogger()
    const server = await serve({ logger })
    for (const name of ['peerConnected', 'peerDisconnected'] as const) {
      server.events.on(name, () => {
        throw new Error(`listener of ${name}`)
      })
    }
    server.handle('echo', (body) => body)
    const rpc = client()
    expect(text(await rpc.request(server.address, 'echo', bytes('x')))).toBe('x')
    await rpc.stop()
    await until(() => logger.at('error').length === 2)
  })
})
