import { HsError, type PeerIdentity, type RpcCall } from '@hs/core'
import { MemoryLogger, VirtualClock } from '@hs/core/testing'
import { describe, expect, it, vi } from 'vitest'
import { brokenLogger } from './broken-logger.js'
import { json, notifyPayload, parse, parseRequest, RawPeer, RawServer, TYPE } from './raw-peer.js'
import { bytes, client, failure, gate, NOTHING, serve, text, turns, until, use } from './tcp-scene.js'

describe('a request (RPC-1..6)', () => {
  it('is answered by what the handler returns, at once or later, as a plain Uint8Array', async () => {
    const server = await serve()
    server.handle('now', (body) => bytes(`now ${text(body)}`))
    server.handle('later', async (body) => bytes(`later ${text(body)}`))
    const rpc = client()
    const now = await rpc.request(server.address, 'now', bytes('x'))
    expect(text(now)).toBe('now x')
    expect(now.constructor).toBe(Uint8Array)
    expect(text(await rpc.request(server.address, 'later', bytes('y')))).toBe('later y')
  })

  it('travels with its remaining time, the time of dialling taken off', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client()
    void rpc.request(raw.address, 'm', bytes('body'), { timeoutMs: 10_000 }).catch(() => undefined)
    void rpc.request(raw.address, 'm', NOTHING).catch(() => undefined)
    const peer = await raw.peer()
    const first = parseRequest((await peer.next(TYPE.request)).payload)
    expect(first).toMatchObject({ method: 'm', body: Buffer.from('body') })
    expect(first.timeoutMs).toBeGreaterThan(5_000)
    expect(first.timeoutMs).toBeLessThanOrEqual(10_000)
    const second = parseRequest((await peer.next(TYPE.request)).payload)
    expect(second.timeoutMs).toBeGreaterThan(25_000)
    expect(second.timeoutMs).toBeLessThanOrEqual(30_000)
  })

  it('that times out rejects at once, is cancelled at the peer, and its late answer reaches nobody', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client()
    const waiting = failure(rpc.request(raw.address, 'm', NOTHING, { timeoutMs: 30 }))
    const peer = await raw.peer()
    const { id } = await peer.next(TYPE.request)
    expect(await waiting).toMatchObject({ code: 'DEADLINE_EXCEEDED', notExecuted: false })
    expect(await peer.next(TYPE.cancel)).toMatchObject({ id, payload: Buffer.alloc(0) })

    const next = rpc.request(raw.address, 'm', NOTHING)
    const second = await peer.next(TYPE.request)
    peer.send(TYPE.response, id, bytes('late'))
    peer.send(TYPE.response, second.id, bytes('mine'))
    expect(text(await next)).toBe('mine')
    expect(rpc.stats().totals.lateResponses).toBe(1)
    expect(rpc.stats().inFlight.outbound).toBe(0)
  })

  it('that times out before it was written says that it did not run', async () => {
    const raw = use(await RawServer.listen())
    const error = await failure(client().request(raw.address, 'm', NOTHING, { timeoutMs: 20 }))
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', notExecuted: true })
  })

  it('without any time left never leaves', async () => {
    const server = await serve()
    const error = await failure(client().request(server.address, 'm', NOTHING, { timeoutMs: 0 }))
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', notExecuted: true })
    expect(server.stats().connections.inbound).toBe(0)
  })

  it('whose signal aborts is cancelled with the reason, at both ends', async () => {
    const server = await serve()
    const calls: RpcCall[] = []
    server.handle('wait', (_body, _from, call) => {
      calls.push(call)
      return new Promise((_resolve, reject) => call.signal.addEventListener('abort', () => reject(call.signal.reason)))
    })
    const rpc = client()
    const controller = new AbortController()
    const waiting = failure(rpc.request(server.address, 'wait', NOTHING, { signal: controller.signal }))
    await until(() => calls.length === 1)
    const reason = new Error('enough')
    controller.abort(reason)
    expect(await waiting).toMatchObject({ code: 'CANCELLED', notExecuted: false, cause: reason })
    await until(() => calls[0]!.signal.aborted)
    expect(calls[0]!.signal.reason).toMatchObject({ code: 'CANCELLED' })
    expect(calls[0]!.remainingMs()).toBe(0)
    await until(() => server.stats().inFlight.inbound === 0)
    expect(server.stats().totals.handlerErrors).toBe(0)
  })

  it('that is aborted in the turn of its call is never written', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client()
    await rpc.connect(raw.address)
    const controller = new AbortController()
    const waiting = failure(rpc.request(raw.address, 'first', NOTHING, { signal: controller.signal }))
    controller.abort('why')
    expect(await waiting).toMatchObject({ code: 'CANCELLED', notExecuted: true, cause: 'why' })
    void rpc.request(raw.address, 'second', NOTHING).catch(() => undefined)
    const seen = parseRequest((await (await raw.peer()).next(TYPE.request)).payload)
    expect(seen.method).toBe('second')
  })

  it('leaves no listener on its signal, however it ends', async () => {
    const server = await serve()
    server.handle('echo', (body) => body)
    const controller = new AbortController()
    let listeners = 0
    const { signal } = controller
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: unknown[]) => {
      listeners++
      add(...(args as Parameters<typeof add>))
    }
    signal.removeEventListener = (...args: unknown[]) => {
      listeners--
      remove(...(args as Parameters<typeof remove>))
    }
    const rpc = client()
    await rpc.request(server.address, 'echo', NOTHING, { signal })
    await failure(rpc.request(server.address, 'none', NOTHING, { signal }))
    await failure(rpc.request('127.0.0.1:1', 'none', NOTHING, { signal }))
    expect(listeners).toBe(0)
  })

  it('shares one listener on its signal with all others that are under way with it', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client()
    const controller = new AbortController()
    const add = vi.spyOn(controller.signal, 'addEventListener')
    const remove = vi.spyOn(controller.signal, 'removeEventListener')
    const { signal } = controller
    const outcomes = Array.from({ length: 20 }, () => failure(rpc.request(raw.address, 'm', NOTHING, { signal })))
    await until(() => rpc.stats().inFlight.outbound === 20)
    expect(add).toHaveBeenCalledTimes(1)
    controller.abort('enough')
    for (const outcome of await Promise.all(outcomes)) {
      expect(outcome).toMatchObject({ code: 'CANCELLED', cause: 'enough', notExecuted: false })
    }
    expect(remove).toHaveBeenCalledTimes(1)
    expect(rpc.stats().inFlight.outbound).toBe(0)
  })

  it('whose deadline passes while its handler works is not answered, though no CANCEL comes', async () => {
    const clock = new VirtualClock()
    const server = await serve({ clock })
    const ends: (() => void)[] = []
    server.handle('late', () => new Promise((resolve) => ends.push(() => resolve(bytes('late')))))
    server.handle('fails', () => new Promise((_resolve, reject) => ends.push(() => reject(new HsError('X', 'late')))))
    const raw = use(await RawPeer.greeted(server.address))
    raw.request(1, 'late', NOTHING, 50)
    raw.request(2, 'fails', NOTHING, 50)
    await until(() => ends.length === 2)
    clock.advance(51)
    for (const end of ends) end()
    await until(() => server.stats().inFlight.inbound === 0)
    raw.send(TYPE.ping, 0, Buffer.alloc(8))
    await raw.next(TYPE.pong)
    expect(raw.frames.map((seen) => seen.type)).toEqual([TYPE.hello, TYPE.pong])
  })

  it('aborts the signal of its handler with DEADLINE_EXCEEDED when its time has passed', async () => {
    const server = await serve()
    const reasons: unknown[] = []
    server.handle('wait', (_body, _from, call) => {
      call.signal.addEventListener('abort', () => reasons.push(call.signal.reason))
      return new Promise(() => undefined)
    })
    const rpc = client()
    await rpc.connect(server.address)
    const error = await failure(rpc.request(server.address, 'wait', NOTHING, { timeoutMs: 60 }))
    expect(error.code).toBe('DEADLINE_EXCEEDED')
    await until(() => reasons.length === 1)
    expect(reasons[0]).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
  })

  it('whose deadline has passed on arrival does not run', async () => {
    const server = await serve()
    let ran = 0
    server.handle('m', (body) => {
      ran++
      return body
    })
    const raw = use(await RawPeer.greeted(server.address))
    raw.request(1, 'm', NOTHING, 0)
    expect(parse((await raw.next(TYPE.error)).payload)).toMatchObject({ code: 'DEADLINE_EXCEEDED', notExecuted: true })
    expect(ran).toBe(0)
  })

  it('starts its handler in the order of arrival and runs beside others', async () => {
    const server = await serve()
    const started: number[] = []
    const gates = Array.from({ length: 30 }, () => gate())
    server.handle('work', async (body) => {
      const index = body[0] as number
      started.push(index)
      await gates[index]!.promise
      return body
    })
    const rpc = client()
    const answered: number[] = []
    const all = gates.map(async (_, i) => {
      await rpc.request(server.address, 'work', Uint8Array.of(i))
      answered.push(i)
    })
    await until(() => started.length === 30)
    expect(started).toEqual(gates.map((_, i) => i))
    gates[20]!.open()
    await until(() => answered.length === 1)
    for (const { open } of gates) open()
    await Promise.all(all)
    expect(answered[0]).toBe(20)
  })

  it('is written in the order of the calls, notifications before requests of one turn', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client()
    for (let i = 0; i < 5; i++) {
      void rpc.request(raw.address, `r${i}`, NOTHING).catch(() => undefined)
      void rpc.notify(raw.address, `n${i}`, NOTHING)
    }
    const peer = await raw.peer()
    await until(() => peer.frames.length === 11)
    const names = peer.frames
      .slice(1)
      .map((f) => (f.type === TYPE.request ? parseRequest(f.payload).method : f.payload.subarray(1).toString()))
    expect(names).toEqual(['n0', 'n1', 'n2', 'n3', 'n4', 'r0', 'r1', 'r2', 'r3', 'r4'])
  })

  it('goes back on the connection it came from, to the address that the socket has', async () => {
    const gateway = await serve({ nodeId: 'gate' })
    const from: PeerIdentity[] = []
    gateway.handle('hello', (body, peer) => {
      from.push(peer)
      return body
    })
    const behindNat = client({ nodeId: 'worker@1' })
    behindNat.handle('push', (body, peer) => bytes(`${text(body)} from ${peer.nodeId}`))
    await behindNat.request(gateway.address, 'hello', NOTHING)
    const peer = from[0] as PeerIdentity
    expect(peer).toEqual({
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
      nodeId: 'worker@1',
      encrypted: false,
      protocol: { major: 1, minor: 0 },
      features: [],
    })
    expect(Object.isFrozen(peer) && Object.isFrozen(peer.protocol) && Object.isFrozen(peer.features)).toBe(true)
    expect(text(await gateway.request(peer.address, 'push', bytes('work')))).toBe('work from gate')
    await gateway.notify(peer.address, 'push', NOTHING)
    expect(gateway.stats().connections).toEqual({ inbound: 1, outbound: 0, dialing: 0 })
    expect(behindNat.stats().totals.requestsReceived).toBe(1)
    expect(await gateway.connect(peer.address)).toBe(peer)
  })

  it('cannot be diverted by what a peer claims to be', async () => {
    const server = await serve()
    const victim = await serve()
    victim.handle('secret', (body) => body)
    const liar = use(await RawPeer.greeted(server.address, { node: victim.address, address: victim.address }))
    await server.request(victim.address, 'secret', bytes('s'))
    await turns(5)
    expect(liar.frames.some((f) => f.type === TYPE.request)).toBe(false)
  })

  it('whose body the caller changes after the call arrives as it was, even when it had to wait', async () => {
    const server = await serve()
    server.handle('echo', (body) => body.slice())
    const rpc = client({ maxInFlight: 1 })
    for (const size of [1, 100, 3_000, 100_000]) {
      const body = new Uint8Array(size).fill(1)
      const answers = [1, 2, 3].map((value) => {
        body.fill(value)
        return rpc.request(server.address, 'echo', body)
      })
      body.fill(0)
      const seen = await Promise.all(answers)
      expect(seen.map((answer) => answer.every((byte) => byte === answer[0]) && answer[0])).toEqual([1, 2, 3])
    }
  })

  it.each([0, 1, 20_000, 65_536, 1_000_000, 4_000_000])('carries %i bytes there and back', async (size) => {
    const server = await serve()
    server.handle('echo', (body) => body)
    const body = Uint8Array.from({ length: size }, (_, i) => (i * 31) % 251)
    const answer = await client().request(server.address, 'echo', body)
    expect(Buffer.compare(answer, body)).toBe(0)
  })
})

describe('an error of a handler (RPC-5)', () => {
  it('that is an HsError crosses with code, 1,024 characters of its message, and retryAfterMs', async () => {
    const logger = new MemoryLogger()
    const server = await serve({ logger })
    server.handle('own', () => {
      throw Object.assign(new HsError('BUSY', 'x'.repeat(5_000)), { retryAfterMs: 250 })
    })
    server.handle('details', async () => {
      throw new HsError('BUSY', 'later', { details: { retryAfterMs: 350 } })
    })
    server.handle('infinite', () => {
      throw new HsError('BUSY', 'later', { details: { retryAfterMs: Infinity } })
    })
    const rpc = client()
    const own = await failure(rpc.request(server.address, 'own', NOTHING))
    expect(own).toMatchObject({ code: 'REMOTE_ERROR', remoteCode: 'BUSY', retryAfterMs: 250, notExecuted: false })
    expect(own.message).toBe('x'.repeat(1_024))
    const details = await failure(rpc.request(server.address, 'details', NOTHING))
    expect(details).toMatchObject({ code: 'REMOTE_ERROR', remoteCode: 'BUSY', retryAfterMs: 350, message: 'later' })
    const infinite = await failure(rpc.request(server.address, 'infinite', NOTHING))
    expect(infinite.retryAfterMs).toBeUndefined()
    expect(server.stats().totals.handlerErrors).toBe(3)
  })

  it('of any other kind crosses as a generic text, and is logged in full here', async () => {
    const logger = new MemoryLogger()
    const server = await serve({ logger })
    const secret = new TypeError('password hunter2')
    server.handle('throw', () => {
      throw secret
    })
    server.handle('nothing', (() => undefined) as never)
    const rpc = client()
    const error = await failure(rpc.request(server.address, 'throw', NOTHING))
    expect(error).toMatchObject({ code: 'REMOTE_ERROR', notExecuted: false })
    expect(error.remoteCode).toBeUndefined()
    expect(JSON.stringify(error.toJSON())).not.toContain('hunter2')
    expect(logger.entries.map((entry) => entry.fields['err'])).toContain(secret)
    expect(await failure(rpc.request(server.address, 'nothing', NOTHING))).toMatchObject({ code: 'REMOTE_ERROR' })
    expect(server.stats().totals.handlerErrors).toBe(2)
  })

  it('may be an HsError with anything for a message', async () => {
    const server = await serve()
    server.handle('odd', () => {
      throw Object.assign(new HsError('ODD', 'text'), { message: 42 })
    })
    const error = await failure(client().request(server.address, 'odd', NOTHING))
    expect(error).toMatchObject({ code: 'REMOTE_ERROR', remoteCode: 'ODD' })
  })

  it('is answered though the logger fails on it, as what has no handler is skipped', async () => {
    const lines = vi.spyOn(console, 'error').mockReturnValue()
    const server = await serve({ logger: brokenLogger() })
    server.handle('fails', () => {
      throw new HsError('BUSY', 'later')
    })
    const rpc = client()
    await rpc.notify(server.address, 'none', NOTHING)
    expect(await failure(rpc.request(server.address, 'fails', NOTHING))).toMatchObject({ remoteCode: 'BUSY' })
    expect(lines).toHaveBeenCalled()
    lines.mockRestore()
  })

  it('harms neither the others nor the connection', async () => {
    const server = await serve()
    server.handle('odd', (body) => {
      if ((body[0] as number) % 2 === 1) throw new Error('odd')
      return body
    })
    const rpc = client()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => rpc.request(server.address, 'odd', Uint8Array.of(i))),
    )
    expect(outcomes.map((o) => o.status)).toEqual(outcomes.map((_, i) => (i % 2 === 1 ? 'rejected' : 'fulfilled')))
    expect(rpc.stats().connections.outbound).toBe(1)
  })
})

describe('a notification', () => {
  it('runs the handler of its method; what that returns or throws goes nowhere', async () => {
    const logger = new MemoryLogger()
    const server = await serve({ logger })
    const seen: string[] = []
    server.handle('note', (body, from, call) => {
      seen.push(`${text(body)} ${from.nodeId} ${call.remainingMs() > 0}`)
      if (seen.length === 2) throw new Error('a listener failed')
      return bytes('ignored')
    })
    server.handle('async', async (body) => {
      seen.push(text(body))
      throw new Error('later')
    })
    const rpc = client({ nodeId: 'n' })
    await rpc.notify(server.address, 'note', bytes('one'))
    await rpc.notify(server.address, 'note', bytes('two'))
    await rpc.notify(server.address, 'async', bytes('three'))
    await rpc.notify(server.address, 'unknown', bytes('four'))
    await until(() => server.stats().totals.notifiesReceived === 4)
    await until(() => server.stats().totals.handlerErrors === 2)
    expect(seen).toEqual(['one n true', 'two n true', 'three'])
    expect(rpc.stats().totals).toMatchObject({ notifiesSent: 4, requestsSent: 0, lateResponses: 0 })
  })

  it('is worked on to its end though its sender has gone, and stop waits for that', async () => {
    const server = await serve({ drainTimeoutMs: 5_000 })
    const begun = gate<RpcCall>()
    const goOn = gate()
    let finished = false
    server.handle('note', async (body, _from, call) => {
      begun.open(call)
      await goOn.promise
      finished = true
      return body
    })
    const rpc = client()
    await rpc.notify(server.address, 'note', NOTHING)
    const call = await begun.promise
    await rpc.stop()
    await until(() => server.stats().connections.inbound === 0)
    expect(call.signal.aborted).toBe(false)
    const stopping = server.stop()
    goOn.open()
    await stopping
    expect(finished).toBe(true)
  })

  it('is aborted when the time that stop grants is over', async () => {
    const server = await serve({ drainTimeoutMs: 30 })
    const begun = gate<RpcCall>()
    server.handle('note', (_body, _from, call) => {
      begun.open(call)
      return new Promise(() => undefined)
    })
    await client().notify(server.address, 'note', NOTHING)
    const call = await begun.promise
    await server.stop()
    expect(call.signal.aborted).toBe(true)
    expect(call.signal.reason).toMatchObject({ code: 'CLOSED' })
  })

  it('resolves only when it was handed to the socket, and rejects if the peer cannot be reached', async () => {
    expect(await failure(client().notify('127.0.0.1:1', 'm', NOTHING))).toMatchObject({
      code: 'CONNECT_FAILED',
      notExecuted: true,
    })
    const raw = use(await RawServer.greeting())
    await client().notify(raw.address, 'm', bytes('x'))
    const frame = await (await raw.peer()).next(TYPE.notify)
    expect(frame).toMatchObject({ id: 0, payload: notifyPayload('m', bytes('x')) })
  })
})

describe('arguments', () => {
  it('that are wrong reject as INVALID_ARGUMENT, not executed', async () => {
    const server = await serve()
    const rpc = client()
    const wrong = [
      rpc.request('nowhere', 'm', NOTHING),
      rpc.request(server.address, '', NOTHING),
      rpc.request(server.address, 'x'.repeat(256), NOTHING),
      rpc.request(server.address, 'm', 'text' as never),
      rpc.request(server.address, 'm', NOTHING, { timeoutMs: -1 }),
      rpc.request(server.address, 'm', NOTHING, { timeoutMs: NaN }),
      rpc.request(server.address, 'm', NOTHING, { timeoutMs: '5' as never }),
      rpc.request(server.address, 'm', NOTHING, { timeoutMs: 5n as never }),
      rpc.request(server.address, 'm', NOTHING, { signal: {} as never }),
      rpc.request(server.address, 'm', NOTHING, { signal: null as never }),
      rpc.notify('127.0.0.1:0', 'm', NOTHING),
      rpc.notify(7 as never, 'm', NOTHING),
      rpc.connect('a b:1'),
    ]
    for (const promise of wrong) {
      expect(await failure(promise)).toMatchObject({ code: 'INVALID_ARGUMENT', notExecuted: true })
    }
    expect(() => rpc.handle('', (body) => body)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => rpc.handle('m', null as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(rpc.stats().connections.dialing).toBe(0)
  })
})

describe('UNKNOWN_METHOD', () => {
  it('says that nothing ran', async () => {
    const server = await serve()
    expect(await failure(client().request(server.address, 'none', NOTHING))).toMatchObject({
      code: 'UNKNOWN_METHOD',
      notExecuted: true,
    })
  })

  it('may be any bytes', async () => {
    const server = await serve()
    const raw = use(await RawPeer.greeted(server.address))
    raw.send(TYPE.request, 5, Buffer.from([0, 0, 1, 0, 3, 0xff, 0xfe, 0x00, 1, 2]))
    const answer = await raw.next(TYPE.error)
    expect(answer.id).toBe(5)
    expect(parse(answer.payload)).toMatchObject({ code: 'UNKNOWN_METHOD', notExecuted: true })
  })
})

describe('an answer that cannot be sent', () => {
  it('is MESSAGE_TOO_LARGE, and may have run', async () => {
    const server = await serve()
    server.handle('big', () => new Uint8Array(2_000))
    const rpc = client({ maxFrameBytes: 1_000 })
    const error = await failure(rpc.request(server.address, 'big', NOTHING))
    expect(error).toMatchObject({ code: 'MESSAGE_TOO_LARGE', notExecuted: false })
  })
})

describe('a body above the smaller maxFrameBytes of both ends', () => {
  it('is MESSAGE_TOO_LARGE, not executed, before and after the peer is known', async () => {
    const server = await serve({ maxFrameBytes: 1_000 })
    server.handle('m', (body) => body)
    const rpc = client({ maxFrameBytes: 2_000 })
    const expected = { code: 'MESSAGE_TOO_LARGE', notExecuted: true }
    expect(await failure(rpc.request(server.address, 'm', new Uint8Array(2_000)))).toMatchObject(expected)
    expect(await failure(rpc.request(server.address, 'm', new Uint8Array(1_500)))).toMatchObject(expected)
    expect(await failure(rpc.request(server.address, 'm', new Uint8Array(1_500)))).toMatchObject(expected)
    // 6 for the head, 5 for timeout and length of the name, 1 for the name.
    expect(await rpc.request(server.address, 'm', new Uint8Array(1_000 - 12))).toHaveLength(988)
    expect(await failure(rpc.request(server.address, 'm', new Uint8Array(1_000 - 11)))).toMatchObject(expected)
    expect(await failure(rpc.notify(server.address, 'm', new Uint8Array(1_500)))).toMatchObject(expected)
    expect(rpc.stats().connections.outbound).toBe(1)
  })
})

describe('ids (TCP-2, TCP-5)', () => {
  it('are any number that the requester does not use now, and answers carry them', async () => {
    const server = await serve()
    server.handle('echo', async (body) => body)
    const raw = use(await RawPeer.greeted(server.address))
    for (const id of [0, 1, 0xffff_ffff, 7]) raw.request(id, 'echo', bytes(String(id)))
    const ids = new Map<number, string>()
    while (ids.size < 4) {
      const { id, payload } = await raw.next(TYPE.response)
      ids.set(id, payload.toString())
    }
    expect([...ids]).toEqual([
      [0, '0'],
      [1, '1'],
      [0xffff_ffff, '4294967295'],
      [7, '7'],
    ])
    raw.request(7, 'echo', bytes('again'))
    expect((await raw.next(TYPE.response)).payload.toString()).toBe('again')
  })

  it('that nobody waits for are counted and dropped', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client()
    await rpc.connect(raw.address)
    const peer = await raw.peer()
    peer.send(TYPE.response, 99, bytes('?'))
    peer.send(TYPE.error, 98, json({ code: 'REMOTE_ERROR', message: '?' }))
    peer.send(TYPE.cancel, 97)
    await until(() => rpc.stats().totals.lateResponses === 2)
    expect(rpc.stats().connections.outbound).toBe(1)
  })
})
