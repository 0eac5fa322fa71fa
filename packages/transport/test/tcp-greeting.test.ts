import type { PeerIdentity } from '@hs/core'
import { MemoryLogger } from '@hs/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TcpTransport } from '../src/index.js'
import { type TcpEvents, type TcpRejections } from '../src/index.js'
import { frame, json, parse, RawPeer, RawServer, requestPayload, TYPE } from './raw-peer.js'
import { bytes, client, failure, NOTHING, serve, text, turns, until, use } from './tcp-scene.js'

const refusals = ['label', 'version', 'authorize'] as const

function rejections(transport: TcpTransport): TcpEvents['rejected'][0][] {
  const seen: TcpEvents['rejected'][0][] = []
  transport.events.on('rejected', (event) => seen.push(event))
  return seen
}

function nonZero(rejected: Readonly<TcpRejections>): Record<string, number> {
  return Object.fromEntries(Object.entries(rejected).filter(([, count]) => count > 0))
}

describe('HELLO (TCP-1)', () => {
  it('is said first by the dialler, then by the acceptor, as the table says', async () => {
    const raw = use(await RawServer.listen())
    const options = { nodeId: 'n@1', label: 'prod', protocol: { major: 3, minor: 4 }, features: ['b', 'a'] }
    const rpc = client({ ...options, maxFrameBytes: 5_000, maxInFlight: 7, compression: { thresholdBytes: 100 } })
    void rpc.connect(raw.address).catch(() => undefined)
    const peer = await raw.peer()
    const hello = await peer.next()
    expect(hello).toMatchObject({ type: TYPE.hello, flags: 0, id: 0 })
    expect(parse(hello.payload)).toEqual({
      v: 1,
      label: 'prod',
      major: 3,
      minor: 4,
      features: ['b', 'a'],
      node: 'n@1',
      class: 'bulk',
      maxFrameBytes: 5_000,
      maxInFlight: 7,
      deflate: true,
    })

    const server = await serve()
    const dialler = use(await RawPeer.dial(server.address))
    await turns(5)
    expect(dialler.frames).toEqual([])
    dialler.hello({ class: 'control' })
    expect(parse((await dialler.next()).payload)).toEqual({
      v: 1,
      label: '',
      major: 1,
      minor: 0,
      features: [],
      class: 'control',
      maxFrameBytes: 4_194_304,
      maxInFlight: 1_024,
    })
  })

  it('agrees on the lower minor and the common features, which reach the handlers', async () => {
    const server = await serve({ protocol: { major: 1, minor: 5 }, features: ['x', 'b', 'a'] })
    const seen: PeerIdentity[] = []
    server.handle('m', (body, from) => {
      seen.push(from)
      return body
    })
    const rpc = client({ protocol: { major: 1, minor: 2 }, features: ['a', 'b', 'c'] })
    const agreed = await rpc.connect(server.address)
    expect(agreed).toMatchObject({ address: server.address, protocol: { major: 1, minor: 2 }, features: ['a', 'b'] })
    await rpc.request(server.address, 'm', NOTHING)
    expect(seen[0]).toMatchObject({ protocol: { major: 1, minor: 2 }, features: ['a', 'b'] })
  })

  it('may lack what is optional, and have fields that are unknown', async () => {
    const server = await serve()
    server.handle('echo', (body) => body)
    const raw = use(await RawPeer.greeted(server.address, { future: { nested: [1] } }))
    raw.request(1, 'echo', bytes('x'))
    expect((await raw.next(TYPE.response)).payload.toString()).toBe('x')
  })

  it('may come in pieces, with requests right behind it', async () => {
    const server = await serve()
    server.handle('echo', (body) => body)
    const raw = use(await RawPeer.dial(server.address))
    const hello = frame(TYPE.hello, 0, json({ v: 1, label: '', major: 1, minor: 0, features: [], class: 'bulk' }))
    const stream = Buffer.concat([hello, frame(TYPE.request, 1, requestPayload('echo', bytes('x')))])
    for (const byte of stream) {
      raw.socket.write(Buffer.of(byte))
      await turns(1)
    }
    expect((await raw.next(TYPE.response)).payload.toString()).toBe('x')
  })
})

describe('a refusal (NEG-1, NEG-2, TLS-3)', () => {
  const cases = {
    label: { label: 'other' },
    version: { protocol: { major: 2, minor: 0 } },
    authorize: {},
  } as const

  it.each(refusals)('by the acceptor for %s is PEER_REJECTED, told by GOAWAY, counted there', async (reason) => {
    const logger = new MemoryLogger()
    const authorize = () => {
      throw new Error('secret list says no')
    }
    const server = await serve(reason === 'authorize' ? { authorize, logger } : { logger })
    const seen = rejections(server)
    const rpc = client(cases[reason])
    const error = await failure(rpc.request(server.address, 'm', NOTHING))
    expect(error).toMatchObject({ code: 'PEER_REJECTED', notExecuted: true, details: { reason } })
    expect(JSON.stringify(error.toJSON())).not.toContain('secret list')
    expect(nonZero(server.stats().rejected)).toEqual({ [reason]: 1 })
    expect(seen).toEqual([{ reason, from: expect.stringMatching(/^127\.0\.0\.1:/) as string, direction: 'inbound' }])
    expect(logger.at('error')).toHaveLength(reason === 'authorize' ? 1 : 0)
    await until(() => server.stats().connections.inbound === 0)
  })

  it.each(refusals)('by the dialler for %s is PEER_REJECTED, told by GOAWAY, counted there', async (reason) => {
    const hello = { label: { label: 'other' }, version: { major: 2 }, authorize: {} }[reason]
    const raw = use(await RawServer.greeting(hello))
    const authorize = () => {
      throw new Error('no')
    }
    const rpc = client(reason === 'authorize' ? { authorize } : {})
    const seen = rejections(rpc)
    const error = await failure(rpc.connect(raw.address))
    expect(error).toMatchObject({ code: 'PEER_REJECTED', notExecuted: true, details: { reason } })
    expect(nonZero(rpc.stats().rejected)).toEqual({ [reason]: 1 })
    expect(seen).toEqual([{ reason, from: raw.address, direction: 'outbound' }])
    const peer = await raw.peer()
    expect(parse((await peer.next(TYPE.goaway)).payload)).toMatchObject({ reason })
    await peer.closed()
  })

  it.each([{ major: '1' }, { minor: -1 }, { features: 'all' }, { features: [1] }, { major: undefined }])(
    'meets the malformed offer %j as version',
    async (fields) => {
      const server = await serve()
      const raw = use(await RawPeer.dial(server.address))
      raw.hello(fields)
      expect(parse((await raw.next(TYPE.goaway)).payload)).toMatchObject({ reason: 'version' })
      await raw.closed()
      expect(nonZero(server.stats().rejected)).toEqual({ version: 1 })
    },
  )

  it('compares labels byte by byte', async () => {
    const server = await serve({ label: 'é' })
    for (const label of ['e', 'É', 'e\u0301', '', 'é ']) {
      expect((await failure(client({ label }).connect(server.address))).details).toEqual({ reason: 'label' })
    }
    await client({ label: 'é' }).connect(server.address)
  })

  it('lets authorize see who it is, once a connection, before any request at either end', async () => {
    const order: string[] = []
    const server = await serve({
      nodeId: 's',
      authorize: (peer, direction) => order.push(`server ${peer.nodeId} ${direction} ${String(peer.certificate)}`),
    })
    server.handle('m', (body) => {
      order.push('handled')
      return body
    })
    const rpc = client({
      nodeId: 'c',
      authorize: (peer, direction) => order.push(`client ${peer.nodeId} ${direction}`),
    })
    await Promise.all([rpc.request(server.address, 'm', NOTHING), rpc.request(server.address, 'm', NOTHING)])
    expect(order).toEqual(['server c inbound undefined', 'client s outbound', 'handled', 'handled'])
  })

  it('meets an authorize that wants to decide later, for it would let everyone in', async () => {
    const logger = new MemoryLogger()
    const later = (): unknown => Promise.reject(new Error('no'))
    const server = await serve({ logger, authorize: later })
    expect((await failure(client().connect(server.address))).details).toEqual({ reason: 'authorize' })
    await until(() => logger.at('error').length === 2)
  })

  it('meets an authorize whose promise is of another make', async () => {
    const later = (): unknown => ({
      then: (_resolve: unknown, reject: (error: Error) => void) => reject(new Error('no')),
    })
    const server = await serve({ authorize: later })
    expect((await failure(client().connect(server.address))).details).toEqual({ reason: 'authorize' })
  })
})

describe('what ends a connection (TCP-3, TCP-4)', () => {
  const goodHello = json({ v: 1, label: '', major: 1, minor: 0, features: [], class: 'bulk' })
  const before: [string, Buffer, keyof TcpRejections][] = [
    ['a request before HELLO', frame(TYPE.request, 1, requestPayload('m')), 'protocolError'],
    ['PING before HELLO', frame(TYPE.ping, 0, Buffer.alloc(8)), 'protocolError'],
    ['an unknown type before HELLO', frame(77, 0), 'protocolError'],
    ['GOAWAY before HELLO', frame(TYPE.goaway, 0, json({ reason: 'x' })), 'protocolError'],
    ['HELLO that is no JSON', frame(TYPE.hello, 0, Buffer.from('{')), 'protocolError'],
    ['HELLO that is an array', frame(TYPE.hello, 0, json([1])), 'protocolError'],
    ['HELLO of another wire version', frame(TYPE.hello, 0, json({ v: 2, label: '' })), 'protocolError'],
    ['HELLO with a flag', frame(TYPE.hello, 0, goodHello, 1), 'protocolError'],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'frameTooLarge'],
    ['a TLS greeting', Buffer.from('160301020001', 'hex'), 'frameTooLarge'],
    ['HELLO above 8 KiB', frame(TYPE.hello, 0, Buffer.alloc(8_192)), 'frameTooLarge'],
    ['a length of 5', Buffer.of(0, 0, 0, 5), 'frameTooLarge'],
    ['4 GiB', Buffer.of(0xff, 0xff, 0xff, 0xff), 'frameTooLarge'],
  ]
  it.each(before)('%s', async (_what, sent, reason) => {
    const server = await serve()
    let ran = 0
    server.handle('m', (body) => {
      ran++
      return body
    })
    const seen = rejections(server)
    const raw = use(await RawPeer.dial(server.address))
    raw.socket.write(sent)
    await raw.closed()
    expect(nonZero(server.stats().rejected)).toEqual({ [reason]: 1 })
    expect(seen.map((event) => event.reason)).toEqual([reason])
    expect(ran).toBe(0)
  })

  const after: [string, Buffer, keyof TcpRejections][] = [
    ['a second HELLO', frame(TYPE.hello, 0, goodHello), 'protocolError'],
    ['flag bit 1', frame(TYPE.request, 1, requestPayload('m'), 2), 'protocolError'],
    ['flag bit 7 beside bit 0', frame(TYPE.request, 1, requestPayload('m'), 0x81), 'protocolError'],
    ['deflate that was not agreed', frame(TYPE.request, 1, requestPayload('m'), 1), 'protocolError'],
    ['a flag on PING', frame(TYPE.ping, 0, Buffer.alloc(8), 1), 'protocolError'],
    ['a REQUEST without its timeout', frame(TYPE.request, 1, Buffer.of(0, 0, 1)), 'protocolError'],
    ['a REQUEST without its method', frame(TYPE.request, 1, Buffer.of(0, 0, 1, 0, 4, 109)), 'protocolError'],
    ['a REQUEST with a method of no bytes', frame(TYPE.request, 1, Buffer.of(0, 0, 1, 0, 0, 109)), 'protocolError'],
    ['an empty REQUEST', frame(TYPE.request, 1), 'protocolError'],
    ['an empty NOTIFY', frame(TYPE.notify, 0), 'protocolError'],
    ['a NOTIFY without its method', frame(TYPE.notify, 0, Buffer.of(9, 109)), 'protocolError'],
    ['PING of 7 bytes', frame(TYPE.ping, 0, Buffer.alloc(7)), 'protocolError'],
    ['PONG of 9 bytes', frame(TYPE.pong, 0, Buffer.alloc(9)), 'protocolError'],
    ['a frame above maxFrameBytes', frame(TYPE.notify, 0, Buffer.alloc(1_024)).subarray(0, 4), 'frameTooLarge'],
  ]
  it.each(after)('after HELLO: %s', async (_what, sent, reason) => {
    const server = await serve({ maxFrameBytes: 1_024 })
    let ran = 0
    server.handle('m', (body) => {
      ran++
      return body
    })
    const other = client()
    await other.request(server.address, 'm', NOTHING)
    const raw = use(await RawPeer.greeted(server.address))
    raw.socket.write(sent)
    await raw.closed()
    expect(nonZero(server.stats().rejected)).toEqual({ [reason]: 1 })
    await other.request(server.address, 'm', NOTHING)
    expect(ran).toBe(2)
    expect(other.stats().connections.outbound).toBe(1)
  })

  it('a REQUEST whose id is in flight, even when both come at once and are answered at once', async () => {
    const server = await serve()
    server.handle('now', (body) => body)
    server.handle('never', () => new Promise(() => undefined))
    for (const method of ['now', 'never']) {
      const raw = use(await RawPeer.greeted(server.address))
      const twice = frame(TYPE.request, 5, requestPayload(method))
      raw.socket.write(Buffer.concat([twice, twice]))
      await raw.closed()
    }
    expect(server.stats().rejected.protocolError).toBe(2)
    expect(server.stats().inFlight.inbound).toBe(0)
  })

  it('is not an unknown type, which is skipped and counted', async () => {
    const server = await serve()
    server.handle('echo', (body) => body)
    const raw = use(await RawPeer.greeted(server.address))
    raw.send(0, 3, bytes('?'))
    raw.send(10, 4, bytes('?'), 6)
    raw.send(255, 5)
    raw.request(1, 'echo', bytes('x'))
    expect((await raw.next(TYPE.response)).payload.toString()).toBe('x')
    expect(server.stats().totals.unknownFrames).toBe(3)
  })

  it('PING is answered by its own 8 bytes', async () => {
    const server = await serve()
    const raw = use(await RawPeer.greeted(server.address))
    raw.send(TYPE.ping, 0, bytes('abcdefgh'))
    expect((await raw.next(TYPE.pong)).payload.toString()).toBe('abcdefgh')
  })

  it('aborts the handlers that it served, and fails the requests that it carried', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client()
    const reasons: unknown[] = []
    rpc.handle('wait', (_body, _from, call) => {
      call.signal.addEventListener('abort', () => reasons.push(call.signal.reason))
      return new Promise(() => undefined)
    })
    const waiting = failure(rpc.request(raw.address, 'm', NOTHING))
    const peer = await raw.peer()
    await peer.next(TYPE.request)
    peer.request(1, 'wait')
    await until(() => rpc.stats().inFlight.inbound === 1)
    peer.send(TYPE.hello, 0, goodHello)
    expect(await waiting).toMatchObject({ code: 'CONNECTION_LOST', notExecuted: false })
    expect(reasons).toEqual([expect.objectContaining({ code: 'CONNECTION_LOST' })])
    expect(rpc.stats().inFlight).toEqual({ outbound: 0, inbound: 0 })
  })
})

describe('noise (section 4)', () => {
  it('never crashes, never reaches a handler, and never harms another connection', async () => {
    const server = await serve()
    const handled: Uint8Array[] = []
    server.handle('m', (body) => {
      handled.push(body)
      return body
    })
    const good = client()
    const hello = frame(TYPE.hello, 0, json({ v: 1, label: '', major: 1, minor: 0, features: [], class: 'bulk' }))
    const mutated = fc
      .tuple(
        fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
      )
      .map(([flips, greeted]) => {
        const stream = Buffer.concat([hello, frame(TYPE.request, 1, requestPayload('m', bytes('sent')))])
        const from = greeted ? hello.length : 0
        for (const [at, bits] of flips) {
          const place = from + (at % (stream.length - from))
          stream[place] = (stream[place] as number) ^ bits
        }
        return stream
      })
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 400 }), mutated), async (stream) => {
        handled.length = 0
        const raw = await RawPeer.dial(server.address)
        raw.socket.end(stream)
        await raw.closed()
        // A mutated body is another body; what must not happen is a call with bytes that were not sent.
        for (const body of handled) expect(Buffer.from(stream).includes(Buffer.from(body))).toBe(true)
        handled.length = 0
        expect(text(await good.request(server.address, 'm', bytes('fine')))).toBe('fine')
      }),
      { numRuns: 150 },
    )
    await until(() => server.stats().connections.inbound === 1)
    expect(good.stats().connections.outbound).toBe(1)
  })
})
