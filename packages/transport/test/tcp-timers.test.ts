import { describe, expect, it } from 'vitest'
import { FRAME_TYPES, HEADER_BYTES, PING_BYTES } from '../src/wire.js'
import type { MemorySocket } from './memory-sockets.js'
import { frame, json, notifyPayload } from './raw-peer.js'
import { NOTHING, SERVER, watch, world } from './tcp-world.js'

const hello = (fields: object = {}) =>
  frame(FRAME_TYPES.hello, 0, json({ v: 1, label: '', major: 1, minor: 0, features: [], class: 'bulk', ...fields }))

describe('deadlines (RPC-1, RPC-2)', () => {
  it('pass exactly when they are due, for the caller and for the handler', async () => {
    const { clock, serving, endpoint } = world()
    const server = await serving()
    const aborted: [number, unknown][] = []
    server.handle('wait', (_body, _from, call) => {
      call.signal.addEventListener('abort', () => aborted.push([clock.now(), call.signal.reason]))
      return new Promise(() => undefined)
    })
    const rpc = endpoint()
    const outcome = watch(clock, rpc.request(SERVER, 'wait', NOTHING, { timeoutMs: 1_234 }))
    await clock.advanceAsync(1_233)
    expect(outcome.atMs).toBeNull()
    await clock.advanceAsync(1)
    expect(outcome).toMatchObject({ atMs: 1_234, error: { code: 'DEADLINE_EXCEEDED', notExecuted: false } })
    expect(aborted).toEqual([[1_234, expect.objectContaining({ code: 'DEADLINE_EXCEEDED' })]])
    expect(rpc.stats().inFlight.outbound).toBe(0)
    expect(server.stats().inFlight.inbound).toBe(0)
  })

  it('are requestTimeoutMs where the call states none', async () => {
    const { clock, serving, endpoint } = world()
    await serving()
    const rpc = endpoint({ requestTimeoutMs: 700 })
    const outcome = watch(clock, rpc.request(SERVER, 'stuck', NOTHING))
    await clock.advanceAsync(10_000)
    expect(outcome).toMatchObject({ atMs: 700, error: { code: 'DEADLINE_EXCEEDED' } })
  })

  it('count dialling and waiting, and what has not been written never is', async () => {
    const { clock, sockets, endpoint, serving } = world()
    sockets.mode = 'ignore'
    const rpc = endpoint({ maxInFlight: 1 })
    const dialling = watch(clock, rpc.request(SERVER, 'echo', NOTHING, { timeoutMs: 1_000 }))
    await clock.advanceAsync(1_000)
    expect(dialling).toMatchObject({ atMs: 1_000, error: { code: 'DEADLINE_EXCEEDED', notExecuted: true } })
    await rpc.stop()

    sockets.mode = 'accept'
    const server = await serving()
    const other = endpoint({ maxInFlight: 1 })
    const first = watch(clock, other.request(SERVER, 'stuck', NOTHING, { timeoutMs: 5_000 }))
    const second = watch(clock, other.request(SERVER, 'echo', NOTHING, { timeoutMs: 2_000 }))
    await clock.advanceAsync(5_000)
    expect(second).toMatchObject({ atMs: 3_000, error: { notExecuted: true } })
    expect(first).toMatchObject({ atMs: 6_000, error: { notExecuted: false } })
    expect(server.stats().totals.requestsReceived).toBe(1)
  })

  it('are told to the handler by what remains', async () => {
    const { clock, serving, endpoint } = world()
    const server = await serving()
    const remaining: number[] = []
    server.handle('ask', async (body, _from, call) => {
      remaining.push(call.remainingMs())
      await clock.sleep(300)
      remaining.push(call.remainingMs())
      await clock.sleep(800)
      remaining.push(call.remainingMs())
      return body
    })
    const rpc = endpoint()
    void rpc.request(SERVER, 'ask', NOTHING, { timeoutMs: 1_000 }).catch(() => undefined)
    await clock.advanceAsync(2_000)
    expect(remaining).toEqual([1_000, 700, 0])
  })

  it('that pass in the turn of the call, before a byte was written, say so', async () => {
    const { clock, serving, endpoint } = world()
    const server = await serving()
    const rpc = endpoint()
    await rpc.request(SERVER, 'echo', NOTHING)
    const outcome = watch(clock, rpc.request(SERVER, 'echo', NOTHING, { timeoutMs: 10 }))
    clock.advance(10)
    await clock.advanceAsync(0)
    expect(outcome).toMatchObject({ error: { code: 'DEADLINE_EXCEEDED', notExecuted: true } })
    expect(server.stats().totals.requestsReceived).toBe(1)
  })
})

describe('dialling (CONN-1, CONN-3)', () => {
  it('gives up after connectTimeoutMs', async () => {
    const { clock, sockets, endpoint } = world()
    sockets.mode = 'ignore'
    const rpc = endpoint()
    const outcome = watch(clock, rpc.request(SERVER, 'm', NOTHING))
    await clock.advanceAsync(30_000)
    expect(outcome).toMatchObject({ atMs: 5_000, error: { code: 'CONNECT_FAILED', notExecuted: true } })
    expect(sockets.dialled[0]?.destroyed).toBe(true)
    expect(rpc.stats().connections.dialing).toBe(0)
  })

  it('gives up on a peer that accepts and stays silent after handshakeTimeoutMs', async () => {
    const { clock, endpoint, rawServer } = world()
    await rawServer(() => undefined)
    const rpc = endpoint({ handshakeTimeoutMs: 2_000 })
    const outcome = watch(clock, rpc.request(SERVER, 'm', NOTHING))
    await clock.advanceAsync(30_000)
    expect(outcome).toMatchObject({ atMs: 2_000, error: { code: 'CONNECT_FAILED', notExecuted: true } })
    expect(rpc.stats().rejected.handshakeTimeout).toBe(1)
  })

  it('gives up on a HELLO that drips', async () => {
    const { clock, endpoint, rawServer } = world()
    await rawServer((socket) => {
      const bytes = hello()
      const drip = (at: number) => {
        if (socket.destroyed || at === bytes.length) return
        socket.write(bytes.subarray(at, at + 1))
        clock.setTimer(100, () => drip(at + 1))
      }
      drip(0)
    })
    const rpc = endpoint({ handshakeTimeoutMs: 2_000 })
    const outcome = watch(clock, rpc.request(SERVER, 'm', NOTHING))
    await clock.advanceAsync(30_000)
    expect(outcome).toMatchObject({ atMs: 2_000, error: { code: 'CONNECT_FAILED' } })
  })

  it('of a peer that fails waits longer each time, within [0.5, 1) of the doubled base, up to the maximum', async () => {
    const { clock, sockets, endpoint } = world()
    sockets.mode = 'refuse'
    const rpc = endpoint({ reconnectBaseMs: 100, reconnectMaxMs: 1_000 })
    const waits: number[] = []
    for (let failures = 1; failures <= 8; failures++) {
      const dialled = watch(clock, rpc.request(SERVER, 'm', NOTHING))
      await clock.advanceAsync(0)
      expect(dialled.error).toMatchObject({ code: 'CONNECT_FAILED', notExecuted: true })
      expect(dialled.error?.retryAfterMs).toBeUndefined()
      const waiting = watch(clock, rpc.request(SERVER, 'm', NOTHING))
      await clock.advanceAsync(0)
      const { retryAfterMs = 0 } = waiting.error ?? {}
      expect(waiting.error).toMatchObject({ code: 'CONNECT_FAILED', notExecuted: true })
      waits.push(retryAfterMs)
      const d = Math.min(1_000, 100 * 2 ** (failures - 1))
      expect(retryAfterMs).toBeGreaterThanOrEqual(d / 2)
      expect(retryAfterMs).toBeLessThanOrEqual(d)
      await clock.advanceAsync(retryAfterMs)
    }
    expect(sockets.dialled).toHaveLength(8)
    expect(new Set(waits).size).toBeGreaterThan(5)
  })

  it('forgets the failures with the first success', async () => {
    const { clock, sockets, endpoint, serving } = world()
    sockets.mode = 'refuse'
    const rpc = endpoint()
    for (let i = 0; i < 4; i++) {
      watch(clock, rpc.request(SERVER, 'm', NOTHING))
      await clock.advanceAsync(6_000)
    }
    sockets.mode = 'accept'
    await serving()
    await rpc.request(SERVER, 'echo', NOTHING)
    sockets.dialled.at(-1)?.destroy()
    await clock.advanceAsync(0)
    sockets.mode = 'refuse'
    watch(clock, rpc.request(SERVER, 'm', NOTHING))
    await clock.advanceAsync(0)
    const waiting = watch(clock, rpc.request(SERVER, 'm', NOTHING))
    await clock.advanceAsync(0)
    expect(waiting.error?.retryAfterMs).toBeLessThanOrEqual(100)
  })

  it('is refused meanwhile as the peer had refused: PEER_REJECTED with its reason', async () => {
    const { clock, endpoint, serving } = world()
    await serving({ label: 'other' })
    const rpc = endpoint()
    const first = watch(clock, rpc.request(SERVER, 'm', NOTHING))
    await clock.advanceAsync(0)
    expect(first.error).toMatchObject({ code: 'PEER_REJECTED', details: { reason: 'label' } })
    const second = watch(clock, rpc.request(SERVER, 'm', NOTHING))
    await clock.advanceAsync(0)
    expect(second.error).toMatchObject({ code: 'PEER_REJECTED', details: { reason: 'label' }, notExecuted: true })
    expect(second.error?.retryAfterMs).toBeGreaterThan(0)
  })

  it('remembers a bounded number of peers that failed', async () => {
    const { clock, sockets, endpoint } = world()
    sockets.mode = 'refuse'
    const rpc = endpoint({ reconnectBaseMs: 100_000, reconnectMaxMs: 100_000 })
    for (let port = 10_000; port < 11_100; port++) watch(clock, rpc.request(`127.0.0.1:${port}`, 'm', NOTHING))
    await clock.advanceAsync(0)
    const dials = sockets.dialled.length
    // The first was forgotten and is dialled again, the last is remembered.
    const last = watch(clock, rpc.request('127.0.0.1:11023', 'm', NOTHING))
    const first = watch(clock, rpc.request('127.0.0.1:10000', 'm', NOTHING))
    await clock.advanceAsync(0)
    expect(dials).toBe(1_024)
    expect(last.error?.retryAfterMs).toBeGreaterThan(0)
    expect(first.error?.retryAfterMs).toBeGreaterThan(0)
    watch(clock, rpc.request('127.0.0.1:11500', 'm', NOTHING))
    await clock.advanceAsync(0)
    watch(clock, rpc.request('127.0.0.1:10000', 'm', NOTHING))
    await clock.advanceAsync(0)
    expect(sockets.dialled.length).toBe(dials + 2)
  })
})

describe('the acceptor', () => {
  it('drops peers that connect and say nothing after handshakeTimeoutMs, one timer each', async () => {
    const { clock, sockets, serving } = world()
    const server = await serving()
    const idle = clock.pendingTimers
    for (let i = 0; i < 50; i++) sockets.dial('127.0.0.1', 7_000).on('error', () => undefined)
    await clock.advanceAsync(4_999)
    expect(server.stats().connections.inbound).toBe(50)
    expect(clock.pendingTimers - idle).toBeLessThanOrEqual(1)
    await clock.advanceAsync(1)
    expect(server.stats()).toMatchObject({ connections: { inbound: 0 }, rejected: { handshakeTimeout: 50 } })
  })

  it('drops a peer whose frame takes longer than frameTimeoutMs, however it drips', async () => {
    const { clock, sockets, serving } = world()
    const server = await serving({ frameTimeoutMs: 3_000 })
    const raw = sockets.dial('127.0.0.1', 7_000)
    raw.on('error', () => undefined)
    await clock.advanceAsync(0)
    raw.write(hello())
    const bytes = frame(FRAME_TYPES.notify, 0, notifyPayload('m', new Uint8Array(100)))
    let closedAt = -1
    raw.on('close', () => (closedAt = clock.now()))
    raw.resume()
    // Whole frames may come at any pace.
    for (let i = 0; i < 5; i++) {
      raw.write(bytes)
      await clock.advanceAsync(1_000)
    }
    for (let at = 0; at < bytes.length && closedAt < 0; at++) {
      raw.write(bytes.subarray(at, at + 1))
      await clock.advanceAsync(100)
    }
    expect(closedAt).toBe(8_000)
    expect(server.stats()).toMatchObject({ rejected: { frameTimeout: 1 }, totals: { notifiesReceived: 5 } })
  })
})

describe('keepalive (CONN-2)', () => {
  it('finds a peer that is gone within keepaliveMs + keepaliveTimeoutMs, and fails its requests', async () => {
    const { clock, sockets, serving, endpoint } = world()
    await serving()
    const rpc = endpoint()
    const outcome = watch(clock, rpc.request(SERVER, 'stuck', NOTHING))
    await clock.advanceAsync(1_000)
    const [near] = sockets.dialled
    near!.silent = true
    near!.other!.silent = true
    await clock.advanceAsync(30_000)
    expect(outcome).toMatchObject({ atMs: 15_000, error: { code: 'CONNECTION_LOST', notExecuted: false } })
    expect(rpc.stats().rejected.keepaliveTimeout).toBe(1)
    expect(near!.destroyed).toBe(true)
  })

  it('works on idle connections too, at both ends', async () => {
    const { clock, sockets, serving, endpoint } = world()
    const server = await serving()
    const rpc = endpoint()
    await rpc.connect(SERVER)
    await clock.advanceAsync(60_000)
    expect(rpc.stats().connections.outbound).toBe(1)
    const [near] = sockets.dialled
    near!.silent = true
    near!.other!.silent = true
    await clock.advanceAsync(15_000)
    expect(rpc.stats()).toMatchObject({ connections: { outbound: 0 }, rejected: { keepaliveTimeout: 1 } })
    expect(server.stats()).toMatchObject({ connections: { inbound: 0 }, rejected: { keepaliveTimeout: 1 } })
  })

  it('costs an idle connection one PING and one PONG a keepaliveMs, not one of each from both ends', async () => {
    const { clock, sockets, serving, endpoint } = world()
    const server = await serving()
    const rpc = endpoint({ idleTimeoutMs: 3_600_000 })
    await rpc.connect(SERVER)
    const [near] = sockets.dialled
    for (const end of [near!, near!.other!]) end.cross = (arrive) => void clock.setTimer(1, arrive)
    const sent = () => [rpc.stats().totals.bytesSent, server.stats().totals.bytesSent]
    const before = sent()
    await clock.advanceAsync(605_000)
    const frameBytes = HEADER_BYTES + PING_BYTES
    expect(sent().map((bytes, i) => bytes - (before[i] ?? 0))).toEqual([60 * frameBytes, 60 * frameBytes])
  })

  it('takes any byte for a sign of life, and pings only after silence', async () => {
    const { clock, endpoint, rawServer } = world()
    const received: Buffer[] = []
    let peer: MemorySocket | undefined
    await rawServer((socket) => {
      peer = socket
      socket.on('data', (chunk: Buffer) => received.push(chunk))
      socket.write(hello())
    })
    const rpc = endpoint({ keepaliveMs: 1_000, keepaliveTimeoutMs: 500 })
    await rpc.connect(SERVER)
    received.length = 0
    const slow = frame(FRAME_TYPES.notify, 0, notifyPayload('m'))
    for (const byte of slow) {
      await clock.advanceAsync(900)
      peer!.write(Buffer.of(byte))
    }
    await clock.advanceAsync(0)
    expect(received).toEqual([])
    await clock.advanceAsync(1_000)
    expect(received.map((chunk) => chunk[4])).toEqual([FRAME_TYPES.ping])
    await clock.advanceAsync(499)
    peer!.write(slow)
    await clock.advanceAsync(999)
    expect(rpc.stats().connections.outbound).toBe(1)
    expect(received).toHaveLength(1)
    await clock.advanceAsync(501)
    expect(received).toHaveLength(2)
    expect(rpc.stats().connections.outbound).toBe(0)
  })
})

describe('a slow peer (LIM-2)', () => {
  it('is dropped when nothing drains for writeTimeoutMs, not because it is slow but takes some', async () => {
    const { clock, endpoint, rawServer } = world()
    let peer: MemorySocket | undefined
    await rawServer((socket) => {
      peer = socket
      socket.write(hello())
    })
    const rpc = endpoint({ writeTimeoutMs: 1_000, keepaliveMs: 100_000 })
    await rpc.connect(SERVER)
    for (let i = 0; i < 20; i++) watch(clock, rpc.notify(SERVER, 'm', new Uint8Array(100_000)))
    await clock.advanceAsync(0)
    for (let i = 0; i < 10; i++) {
      await clock.advanceAsync(900)
      // Reads what lies there, and so lets the next bytes come.
      while (peer!.read() !== null) await clock.advanceAsync(0)
      expect(rpc.stats().connections.outbound).toBe(1)
      for (let j = 0; j < 20; j++) watch(clock, rpc.notify(SERVER, 'm', new Uint8Array(100_000)))
      await clock.advanceAsync(0)
    }
    await clock.advanceAsync(999)
    expect(rpc.stats().connections.outbound).toBe(1)
    await clock.advanceAsync(1)
    expect(rpc.stats()).toMatchObject({ connections: { outbound: 0 }, rejected: { slowPeer: 1 } })
  })
})

describe('idleness (CONN-4)', () => {
  it('closes at the dialler, in order, after idleTimeoutMs without a request; keepalive does not count', async () => {
    const { clock, serving, endpoint } = world()
    const server = await serving()
    const rpc = endpoint({ idleTimeoutMs: 60_000 })
    await rpc.request(SERVER, 'echo', NOTHING)
    await clock.advanceAsync(59_999)
    expect(rpc.stats().connections.outbound).toBe(1)
    await rpc.request(SERVER, 'echo', NOTHING)
    await clock.advanceAsync(59_999)
    expect(rpc.stats().connections.outbound).toBe(1)
    await clock.advanceAsync(1)
    expect(rpc.stats()).toMatchObject({ connections: { outbound: 0 }, totals: { idleClosed: 1 } })
    expect(server.stats()).toMatchObject({ connections: { inbound: 0 }, totals: { idleClosed: 0 } })
    await rpc.request(SERVER, 'echo', NOTHING)
  })

  it('is not while a request is in flight, or the peer asks', async () => {
    const { clock, serving, endpoint } = world()
    const server = await serving()
    const rpc = endpoint({ idleTimeoutMs: 1_000, requestTimeoutMs: 100_000 })
    rpc.handle('echo', (body) => body)
    let from = ''
    server.handle('whoami', (body, peer) => {
      from = peer.address
      return body
    })
    await rpc.request(SERVER, 'whoami', NOTHING)
    for (let i = 0; i < 5; i++) {
      await clock.advanceAsync(900)
      await server.request(from, 'echo', NOTHING)
    }
    const stuck = watch(clock, rpc.request(SERVER, 'stuck', NOTHING, { timeoutMs: 10_000 }))
    await clock.advanceAsync(9_999)
    expect(rpc.stats().connections.outbound).toBe(1)
    await clock.advanceAsync(2_001)
    expect(stuck.error?.code).toBe('DEADLINE_EXCEEDED')
    expect(rpc.stats().connections.outbound).toBe(0)
  })
})

describe('stop (CONN-5)', () => {
  it('grants drainTimeoutMs, then ends what is left; no timer remains', async () => {
    const { clock, serving, endpoint } = world()
    const server = await serving({ drainTimeoutMs: 4_000 })
    const rpc = endpoint()
    const stuck = watch(clock, rpc.request(SERVER, 'stuck', NOTHING))
    await clock.advanceAsync(1_000)
    const stopped = watch(clock, server.stop())
    await clock.advanceAsync(3_999)
    expect([stuck.atMs, stopped.atMs]).toEqual([null, null])
    await clock.advanceAsync(1)
    expect(stuck).toMatchObject({ atMs: 5_000, error: { code: 'CONNECTION_LOST', notExecuted: false } })
    expect(stopped.atMs).toBe(5_000)
    await rpc.stop()
    expect(clock.pendingTimers).toBe(0)
  })

  it('with drainTimeoutMs 0 grants nothing', async () => {
    const { clock, serving, endpoint } = world()
    const server = await serving({ drainTimeoutMs: 0 })
    const rpc = endpoint()
    const stuck = watch(clock, rpc.request(SERVER, 'stuck', NOTHING))
    await clock.advanceAsync(0)
    await server.stop()
    await clock.advanceAsync(0)
    expect(stuck.error).toMatchObject({ code: 'CONNECTION_LOST' })
    await rpc.stop()
    expect(clock.pendingTimers).toBe(0)
  })
})
