import { createHash } from 'node:crypto'
import { Socket } from 'node:dgram'
import { HsError, type RuntimeOptions } from '@hs/core'
import { MemoryLogger, VirtualClock } from '@hs/core/testing'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { UdpTransport, type UdpEvents } from '../src/index.js'
import { brokenLogger } from './broken-logger.js'
import { Inbox, bytesOf, inboxOf, openRaw, openUdp, track, type Message } from './udp-helpers.js'

const NOTHING_REJECTED = {
  malformed: 0,
  unknownKey: 0,
  auth: 0,
  replay: 0,
  stale: 0,
  sendersFull: 0,
  plaintext: 0,
  wrongLabel: 0,
}

function tagOf(label: string): Buffer {
  return createHash('sha256').update(`hs-label${label}`).digest().subarray(0, 4)
}

function plain(label: string, body: Uint8Array | string): Uint8Array {
  return Buffer.concat([Buffer.of(0, 0), tagOf(label), Buffer.from(body)])
}

/** Of this process: other test files may have left some in it. */
const openSockets = () => process.getActiveResourcesInfo().filter((name) => name === 'UDPWrap').length

function runtime(): { clock: VirtualClock; logger: MemoryLogger } & RuntimeOptions {
  return { clock: new VirtualClock(), logger: new MemoryLogger() }
}

afterEach(() => {
  vi.restoreAllMocks()
})

describe('UdpTransport: wire', () => {
  it('writes 0, 0, the first four bytes of SHA-256 of "hs-label" and the label, then the body', async () => {
    const raw = await openRaw()
    const udp = await openUdp({ label: 'prod' })

    udp.send(raw.address, bytesOf('hello'))

    const datagram = await raw.receive()
    expect(Buffer.from(datagram).toString('hex')).toBe(
      `0000${tagOf('prod').toString('hex')}${Buffer.from('hello').toString('hex')}`,
    )
  })

  it.each([
    ['', '0000e2d97bd8'],
    ['prod', '0000b677fcb1'],
    ['zürich', '00000d2f7247'],
  ])('begins a datagram of label "%s" with %s, in every release', async (label, header) => {
    const raw = await openRaw()
    const udp = await openUdp({ label })

    udp.send(raw.address, new Uint8Array())

    expect(Buffer.from(await raw.receive()).toString('hex')).toBe(header)
  })

  it('hands over what a foreign sender framed the same way, from the address it was observed at', async () => {
    const raw = await openRaw()
    const udp = await openUdp({ label: 'prod' })
    const inbox = inboxOf(udp)

    await raw.send(udp.address, plain('prod', 'answer me at 10.9.9.9:1'))

    expect(await inbox.take()).toEqual({ from: raw.address, text: 'answer me at 10.9.9.9:1' })
  })

  it('carries messages both ways, answered at the address that the handler was given', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const atA = inboxOf(a)
    b.onMessage((from, bytes) => b.send(from, bytes))

    a.send(b.address, bytesOf('ping'))

    expect(await atA.take()).toEqual({ from: b.address, text: 'ping' })
  })

  it('carries empty messages', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const inbox = inboxOf(b)

    a.send(b.address, new Uint8Array())

    expect(await inbox.take()).toEqual({ from: a.address, text: '' })
  })
})

describe('UdpTransport: sizes (UDP-1)', () => {
  it('takes maxDatagramBytes less the six bytes of the header', async () => {
    expect(new UdpTransport().maxMessageBytes).toBe(1_394)
    const a = await openUdp({ maxDatagramBytes: 100 })
    const b = await openUdp()
    const inbox = inboxOf(b)

    expect(a.maxMessageBytes).toBe(94)
    a.send(b.address, bytesOf('x'.repeat(94)))

    expect((await inbox.take()).text).toBe('x'.repeat(94))
  })

  it('throws for one byte more, and sends nothing', async () => {
    const a = await openUdp({ maxDatagramBytes: 100 })
    const b = await openUdp()

    expect(() => a.send(b.address, new Uint8Array(95))).toThrow(
      expect.objectContaining({ code: 'MESSAGE_TOO_LARGE', notExecuted: true }),
    )
    expect(a.stats()).toMatchObject({ sent: 0, bytesSent: 0, sendErrors: 0 })
  })

  it('sends the largest datagram that UDP has', async () => {
    const a = await openUdp({ maxDatagramBytes: 65_507 })
    const b = await openUdp()
    const inbox = inboxOf(b)

    a.send(b.address, bytesOf('y'.repeat(65_501)))

    expect((await inbox.take()).text).toHaveLength(65_501)
  })

  it('receives what a peer with a larger maxDatagramBytes sends', async () => {
    const a = await openUdp({ maxDatagramBytes: 9_000 })
    const b = await openUdp({ maxDatagramBytes: 200 })
    const inbox = inboxOf(b)

    a.send(b.address, bytesOf('z'.repeat(8_000)))

    expect((await inbox.take()).text).toHaveLength(8_000)
  })
})

describe('UdpTransport: addresses (UDP-2)', () => {
  it.each([
    'localhost:7000',
    'node-1.example:7000',
    '10.0.0.5',
    '10.0.0.5:0',
    '10.0.0.5:65536',
    '::1:7000',
    '',
    '300.0.0.1:7',
  ])('refuses "%s", which is no IP literal with a port', async (to) => {
    const udp = await openUdp()

    expect(() => udp.send(to, bytesOf('x'))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', notExecuted: true }),
    )
    expect(udp.stats()).toMatchObject({ sent: 0, sendErrors: 0 })
  })

  it('has the bound address after start(), and none before', async () => {
    const udp = track(new UdpTransport())
    expect(udp.address).toBe('')

    await udp.start()

    expect(udp.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
  })

  it('says what it was told to advertise', async () => {
    const udp = await openUdp({ advertise: 'node-1.example:7000' })

    expect(udp.address).toBe('node-1.example:7000')
  })

  it('binds a name by looking it up once', async () => {
    const udp = await openUdp({ bind: 'localhost:0' })

    expect(udp.address).toMatch(/^(127\.0\.0\.1|\[::1\]):\d+$/)
  })

  it('rejects start() for a name that does not exist', async () => {
    const udp = track(new UdpTransport({ bind: 'no-such-host.invalid:0' }))

    await expect(udp.start()).rejects.toMatchObject({
      message: expect.stringContaining('no-such-host.invalid') as string,
    })
  })

  it('sends in the turn of the call: an IP literal is not looked up', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const inbox = inboxOf(b)
    const dispatched = vi.spyOn(Socket.prototype, 'send')

    a.send(b.address, bytesOf('last words'))
    await a.stop() // a datagram that still waited for a look-up would be lost with the socket

    expect(dispatched).toHaveBeenCalledOnce()
    expect((await inbox.take()).text).toBe('last words')
  })

  it('forgets destinations when there are many, but not how to reach them', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const inbox = inboxOf(b)

    a.send(b.address, bytesOf('first'))
    for (let i = 1; i <= 5_000; i++) a.send(`[2001:db8::${i.toString(16)}]:7000`, bytesOf('x')) // stays in the system
    a.send(b.address, bytesOf('last'))

    expect([(await inbox.take()).text, (await inbox.take()).text]).toEqual(['first', 'last'])
    expect(a.stats()).toMatchObject({ sent: 5_002, sendErrors: 5_000 })
  })
})

const hasIpv6 = await openUdp({ bind: '[::1]:0' }).then(
  (udp) => udp.stop().then(() => true),
  (error: unknown) => {
    if (HsError.is(error)) return false
    throw error
  },
)

describe.runIf(hasIpv6)('UdpTransport: IPv6', () => {
  it('speaks to IPv6 literals, in brackets', async () => {
    const a = await openUdp({ bind: '[::1]:0' })
    const b = await openUdp({ bind: '[::1]:0' })
    const inbox = inboxOf(b)

    a.send(b.address, bytesOf('six'))

    expect(a.address).toMatch(/^\[::1\]:\d+$/)
    expect(await inbox.take()).toEqual({ from: a.address, text: 'six' })
  })

  it('knows IPv4 peers of a dual-stack socket by their IPv4 address, both ways', async () => {
    const four = await openUdp()
    const both = await openUdp({ bind: '[::]:0' })
    const atFour = inboxOf(four)
    const atBoth = new Inbox<Message>()
    both.onMessage((from) => {
      atBoth.put({ from, text: '' })
      both.send(from, bytesOf('from six'))
    })
    const port = both.address.slice(both.address.lastIndexOf(':') + 1)

    four.send(`127.0.0.1:${port}`, bytesOf('from four'))

    expect((await atBoth.take()).from).toBe(four.address)
    expect(await atFour.take()).toEqual({ from: `127.0.0.1:${port}`, text: 'from six' })
  })
})

describe('UdpTransport: life', () => {
  it('refuses to send before start() and after stop()', async () => {
    const peer = await openUdp()
    const udp = track(new UdpTransport())
    expect(() => udp.send(peer.address, bytesOf('x'))).toThrow(
      expect.objectContaining({ code: 'CLOSED', notExecuted: true }),
    )

    await udp.start()
    udp.send(peer.address, bytesOf('x'))
    await udp.stop()

    expect(() => udp.send(peer.address, bytesOf('x'))).toThrow(
      expect.objectContaining({ code: 'CLOSED', notExecuted: true }),
    )
  })

  it('refuses from the moment stop() is called, and hands nothing over any more', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const inbox = inboxOf(b)
    a.send(b.address, bytesOf('in the kernel already'))

    const stopping = b.stop()

    expect(() => b.send(a.address, bytesOf('x'))).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    await stopping
    expect(inbox.size).toBe(0)
    expect(b.stats().received).toBe(0)
  })

  it('stops in the middle of a burst when a handler says so', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const stopped = new Inbox<number>()
    let handled = 0
    b.onMessage(() => {
      handled++
      void b.stop().then(() => stopped.put(handled))
    })

    for (let i = 0; i < 10; i++) a.send(b.address, bytesOf('x'))

    expect(await stopped.take()).toBe(1)
    expect(handled).toBe(1)
  })

  it('starts once, however often it is asked', async () => {
    const udp = track(new UdpTransport())
    await Promise.all([udp.start(), udp.start()])
    const { address } = udp

    await udp.start()

    expect(udp.address).toBe(address)
  })

  it('stops as often as asked, before start too, and does not start again', async () => {
    const udp = new UdpTransport()
    await Promise.all([udp.stop(), udp.stop()])
    await udp.close()
    await udp[Symbol.asyncDispose]()

    await expect(udp.start()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('leaves no socket, as the process counts them', async () => {
    const before = openSockets()
    const udp = await openUdp()
    await udp.stop()

    expect(openSockets()).toBeLessThanOrEqual(before)
  })

  it('does not start again after it was started and stopped', async () => {
    const udp = await openUdp()
    await udp.stop()

    await expect(udp.start()).rejects.toMatchObject({ code: 'CLOSED', notExecuted: true })
  })

  it.each(['localhost:0', '127.0.0.1:0'])('leaves no socket when stopped while it starts on %s', async (bind) => {
    const before = openSockets()
    const udp = new UdpTransport({ bind })
    const starting = udp.start()
    const refused = expect(starting).rejects.toMatchObject({ code: 'CLOSED' })

    await udp.stop()

    await refused
    expect(udp.address).toBe('')
    expect(openSockets()).toBeLessThanOrEqual(before)
  })

  it('rejects start() if the port is in use, says so, and can be started when it is free', async () => {
    const owner = await openUdp()
    const udp = track(new UdpTransport({ bind: owner.address }))

    await expect(udp.start()).rejects.toMatchObject({
      code: 'EADDRINUSE',
      message: expect.stringMatching(new RegExp(`${owner.address}.*in use`)) as string,
    })
    await owner.stop()
    await udp.start()

    expect(udp.address).toBe(owner.address)
  })

  it('rejects start() for an address that is not of this machine', async () => {
    const udp = track(new UdpTransport({ bind: '192.0.2.1:0' }))

    await expect(udp.start()).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' })
  })

  it('asks the system for the receive buffer, and lives with a refusal', async () => {
    const asked = vi.spyOn(Socket.prototype, 'setRecvBufferSize')
    await openUdp()
    await openUdp({ receiveBufferBytes: 65_536 })
    expect(asked.mock.calls).toEqual([[2_097_152], [65_536]])

    asked.mockImplementation(() => {
      throw new Error('ENOBUFS')
    })
    const { logger } = runtime()
    const a = await openUdp({ logger })
    const inbox = inboxOf(a)
    a.send(a.address, bytesOf('works'))

    expect((await inbox.take()).text).toBe('works')
    expect(logger.entries).toMatchObject([{ level: 'warn', fields: { receiveBufferBytes: 2_097_152 } }])
  })

  it('reports what the socket itself complains about, and goes on', async () => {
    const { logger } = runtime()
    const dispatched = vi.spyOn(Socket.prototype, 'send')
    const a = await openUdp({ logger })
    const inbox = inboxOf(a)
    a.send(a.address, bytesOf('one'))
    const socket = dispatched.mock.contexts[0] as Socket

    socket.emit('error', Object.assign(new Error('recvmsg ENOMEM'), { code: 'ENOMEM' }))
    a.send(a.address, bytesOf('two'))

    expect([(await inbox.take()).text, (await inbox.take()).text]).toEqual(['one', 'two'])
    expect(logger.entries).toMatchObject([{ level: 'error', fields: { source: 'UdpTransport.socket' } }])
    expect(a.stats().callbackErrors).toBe(0)
  })
})

describe('UdpTransport: bytes have one owner (CORE-35)', () => {
  it('lets the caller reuse the bytes at once', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const inbox = inboxOf(b)
    const bytes = bytesOf('first')

    a.send(b.address, bytes)
    bytes.set(bytesOf('other'))
    a.send(b.address, bytes)
    bytes.fill(0)

    expect([(await inbox.take()).text, (await inbox.take()).text]).toEqual(['first', 'other'])
  })

  it('gives the handler bytes that no other message shares', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const inbox = new Inbox<Uint8Array>()
    b.onMessage((_from, bytes) => inbox.put(bytes))

    a.send(b.address, bytesOf('one'))
    a.send(b.address, bytesOf('two'))
    const one = await inbox.take()
    const two = await inbox.take()
    one.fill(0xff)

    expect(one.buffer).not.toBe(two.buffer)
    expect(two).toEqual(bytesOf('two'))
  })

  it('keeps a burst of unequal messages apart, beyond the buffers it keeps for reuse', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const inbox = inboxOf(b)
    const texts = Array.from({ length: 150 }, (_, i) => `${i}:`.padEnd((i * 37) % 400, '.'))

    for (let round = 0; round < 2; round++) {
      for (const text of texts) a.send(b.address, bytesOf(text))
      const received: string[] = []
      while (received.length < texts.length) received.push((await inbox.take()).text)
      expect(received).toEqual(texts)
    }
  })

  it('has sent the whole of a burst before it stops', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const inbox = inboxOf(b)

    for (let i = 0; i < 20; i++) a.send(b.address, bytesOf(`${i}`))
    await a.stop()

    for (let i = 0; i < 20; i++) expect((await inbox.take()).text).toBe(`${i}`)
  })

  it('replaces the handler by a second onMessage', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const first = inboxOf(b)
    const second = inboxOf(b)

    a.send(b.address, bytesOf('x'))

    expect((await second.take()).text).toBe('x')
    expect(first.size).toBe(0)
  })

  it('drops what arrives while nobody listens', async () => {
    const a = await openUdp()
    const b = await openUdp({ logger: new MemoryLogger() })
    const rejected = new Inbox<unknown>()
    const raw = await openRaw()
    b.events.on('rejected', (event) => rejected.put(event))

    a.send(b.address, bytesOf('x'))
    await raw.send(b.address, bytesOf('noise after it'))
    await rejected.take()

    expect(b.stats().received).toBe(1)
  })
})

describe('UdpTransport: failures of sending (UDP-3)', () => {
  it.each(['[::1]:7000', '255.255.255.255:7000'])(
    'counts what the system refuses to send to %s, and goes on',
    async (to) => {
      const a = await openUdp()
      const b = await openUdp()
      const inbox = inboxOf(b)

      a.send(to, bytesOf('x'))
      a.send(b.address, bytesOf('y'))
      await inbox.take()

      expect(a.stats()).toMatchObject({ sent: 2, sendErrors: 1 })
    },
  )

  it('is silent about a port where nobody listens', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const inbox = inboxOf(b)
    const gone = await openUdp()
    await gone.stop()

    a.send(gone.address, bytesOf('x'))
    a.send(b.address, bytesOf('y'))

    expect((await inbox.take()).text).toBe('y')
    expect(a.stats().sendErrors).toBe(0)
  })

  it('drops and counts beyond 1,024 datagrams that wait for the kernel', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const waiting = vi.spyOn(Socket.prototype, 'getSendQueueCount').mockReturnValue(1_024)

    for (let i = 0; i < 1_030; i++) a.send(b.address, bytesOf('x'))
    expect(a.stats()).toMatchObject({ sent: 1_024, sendErrors: 6 })

    waiting.mockReturnValue(0) // the kernel has taken them all: a burst in one turn is no reason to drop
    a.send(b.address, bytesOf('x'))
    expect(a.stats()).toMatchObject({ sent: 1_025, sendErrors: 6 })
  })
})

describe('UdpTransport: misuse', () => {
  it.each([['text'], [[1, 2]], [new ArrayBuffer(2)], [undefined], [null]])('refuses to send %s', async (bytes) => {
    const udp = await openUdp()

    expect(() => udp.send(udp.address, bytes as never)).toThrow(
      expect.objectContaining({ name: 'TransportError', code: 'INVALID_ARGUMENT', notExecuted: true }),
    )
    expect(udp.stats().sent).toBe(0)
  })

  it('refuses a handler that is no function', async () => {
    const udp = await openUdp()

    expect(() => udp.onMessage(undefined as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})

describe('UdpTransport: callbacks', () => {
  it('counts and logs what the handler throws or rejects with, and hands over what follows', async () => {
    const { logger, clock } = runtime()
    const a = await openUdp()
    const b = await openUdp({ logger, clock })
    const inbox = new Inbox<string>()
    const handler: (from: string, bytes: Uint8Array) => unknown = (_from, bytes) => {
      if (bytes.length === 1) throw new Error('thrown')
      if (bytes.length === 2) return Promise.reject(new Error('rejected'))
      return inbox.put('handled')
    }
    b.onMessage(handler)

    for (const text of ['1', '22', '333']) a.send(b.address, bytesOf(text))

    expect(await inbox.take()).toBe('handled')
    expect(b.stats()).toMatchObject({ received: 3, callbackErrors: 2 })
    expect(logger.entries.map(({ level, message }) => [level, message])).toEqual([
      ['error', 'UdpTransport.onMessage: thrown'],
      ['error', 'UdpTransport.onMessage: rejected'],
    ])
  })

  it('goes on though the logger fails on what was rejected', async () => {
    const lines = vi.spyOn(console, 'error').mockReturnValue()
    const raw = await openRaw()
    const udp = await openUdp({ logger: brokenLogger() })
    const inbox = inboxOf(udp)
    const peer = await openUdp()

    await raw.send(udp.address, bytesOf('noise'))
    peer.send(udp.address, bytesOf('heard'))

    expect((await inbox.take()).text).toBe('heard')
    expect(udp.stats().rejected.malformed).toBe(1)
    expect(lines).toHaveBeenCalled()
    lines.mockRestore()
  })

  it('counts what a listener throws', async () => {
    const { logger } = runtime()
    const raw = await openRaw()
    const udp = await openUdp({ logger })
    const rejected = new Inbox<unknown>()
    udp.events.on('rejected', () => {
      throw new Error('listener')
    })
    udp.events.on('rejected', (event) => rejected.put(event))

    await raw.send(udp.address, bytesOf('noise'))
    await rejected.take()

    expect(udp.stats().callbackErrors).toBe(1)
  })
})

describe('UdpTransport: hostile datagrams (SEAL-6 for plain ones)', () => {
  type Rejected = UdpEvents['rejected'][0]

  async function rejecting(options: RuntimeOptions = {}) {
    const raw = await openRaw()
    const udp = await openUdp({ label: 'prod', logger: new MemoryLogger(), ...options })
    const rejected = new Inbox<Rejected>()
    udp.events.on('rejected', (event) => rejected.put(event))
    return { raw, udp, rejected, inbox: inboxOf(udp) }
  }

  it('rejects another label', async () => {
    const { udp, rejected, inbox } = await rejecting()
    const stranger = await openUdp({ label: 'staging' })

    stranger.send(udp.address, bytesOf('hello'))

    expect(await rejected.take()).toEqual({ reason: 'wrongLabel', from: stranger.address })
    expect(udp.stats()).toMatchObject({
      received: 0,
      bytesReceived: 0,
      rejected: { ...NOTHING_REJECTED, wrongLabel: 1 },
    })
    expect(inbox.size).toBe(0)
  })

  it.each([
    ['nothing at all', Buffer.alloc(0)],
    ['a header cut short', plain('prod', '').subarray(0, 5)],
    ['an unknown form', Buffer.concat([Buffer.of(2, 0), tagOf('prod'), Buffer.from('x')])],
    ['a reserved byte that is not 0', Buffer.concat([Buffer.of(0, 1), tagOf('prod'), Buffer.from('x')])],
    ['a sealed datagram cut short', Buffer.concat([Buffer.of(1, 0), Buffer.alloc(43)])],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: 10.0.0.5\r\n\r\n')],
  ])('rejects %s as malformed', async (_what, bytes) => {
    const { raw, udp, rejected, inbox } = await rejecting()

    await raw.send(udp.address, bytes)

    expect(await rejected.take()).toEqual({ reason: 'malformed', from: raw.address })
    expect(udp.stats().rejected).toEqual({ ...NOTHING_REJECTED, malformed: 1 })
    expect(inbox.size).toBe(0)
  })

  it('rejects a sealed datagram as unknownKey: it has no key', async () => {
    const { raw, udp, rejected, inbox } = await rejecting()

    await raw.send(udp.address, Buffer.concat([Buffer.of(1, 0), Buffer.alloc(44)]))

    expect(await rejected.take()).toEqual({ reason: 'unknownKey', from: raw.address })
    expect(udp.stats().rejected).toEqual({ ...NOTHING_REJECTED, unknownKey: 1 })
    expect(inbox.size).toBe(0)
  })

  it('hands over only what begins with its header, whatever arrives, and counts the rest', async () => {
    const { raw, udp, inbox } = await rejecting()
    const header = plain('prod', '')
    let accepted = 0
    let sent = 0
    const datagram = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.uint8Array({ minLength: 4, maxLength: 64 }).map((bytes) => Buffer.concat([Buffer.of(0, 0), bytes])),
      fc.tuple(fc.nat(7), fc.nat(7)).map(([byte, bit]) => {
        const flipped = Buffer.from(plain('prod', 'xy'))
        flipped[byte] = (flipped[byte] ?? 0) ^ (1 << bit)
        return flipped
      }),
    )

    await fc.assert(
      fc.asyncProperty(fc.array(datagram, { maxLength: 20 }), async (datagrams) => {
        const good = datagrams.filter((bytes) => Buffer.from(bytes.subarray(0, 6)).equals(header))
        for (const bytes of datagrams) await raw.send(udp.address, bytes)
        await raw.send(udp.address, plain('prod', 'the end'))
        accepted += good.length + 1
        sent += datagrams.length + 1

        for (const bytes of good) expect((await inbox.take()).text).toBe(Buffer.from(bytes.subarray(6)).toString())
        expect((await inbox.take()).text).toBe('the end')
        const { received, rejected } = udp.stats()
        expect(received).toBe(accepted)
        expect(Object.values(rejected).reduce((sum, n) => sum + n, 0)).toBe(sent - accepted)
      }),
      { numRuns: 50 },
    )
  })

  it('logs one line per reason and 10 s, with the number since the line before, and the rest when it stops', async () => {
    const { clock, logger } = runtime()
    const { raw, udp, rejected } = await rejecting({ clock, logger })
    const noise = async (count: number, bytes: Uint8Array = bytesOf('noise')) => {
      for (let i = 0; i < count; i++) {
        await raw.send(udp.address, bytes)
        await rejected.take()
      }
    }
    const lines = () => logger.entries.map(({ level, fields }) => ({ level, ...fields }))
    const from = raw.address

    await noise(5)
    expect(lines()).toEqual([{ level: 'warn', reason: 'malformed', count: 1, from }])
    await noise(1, plain('staging', ''))
    expect(lines().slice(1)).toEqual([{ level: 'warn', reason: 'wrongLabel', count: 1, from }])

    clock.advance(9_999)
    await noise(1)
    expect(lines()).toHaveLength(2)
    clock.advance(1)
    await noise(1)
    expect(lines().slice(2)).toEqual([{ level: 'warn', reason: 'malformed', count: 6, from }])

    await noise(3)
    await udp.stop()
    expect(lines().slice(3)).toEqual([{ level: 'warn', reason: 'malformed', count: 3, from }])
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('UdpTransport: options', () => {
  it.each([
    ['keys', { keys: {} }],
    ['requireSealed', { requireSealed: true }],
    ['sendSealed', { sendSealed: true }],
    ['bnid', { bnid: '127.0.0.1:0' }],
    ['bind', { bind: '127.0.0.1' }],
    ['advertise', { advertise: '10.0.0.5:0' }],
    ['label', { label: 'é'.repeat(128) }],
    ['maxDatagramBytes', { maxDatagramBytes: 6 }],
    ['maxDatagramBytes', { maxDatagramBytes: 65_508 }],
    ['receiveBufferBytes', { receiveBufferBytes: 0 }],
    ['clock', { clock: {} }],
  ])('refuses what it cannot use: %s', (path, options) => {
    expect(() => new UdpTransport(options as object)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', issues: [expect.objectContaining({ path })] }),
    )
  })

  it('takes a label of 255 bytes', () => {
    expect(new UdpTransport({ label: `é`.repeat(127) + 'e' }).maxMessageBytes).toBe(1_394)
  })
})

describe('UdpTransport: stats', () => {
  it('counts datagrams and their bytes, header included, in frozen plain data', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const inbox = inboxOf(b)

    a.send(b.address, bytesOf('12345'))
    a.send(b.address, bytesOf('1'))
    await inbox.take()
    await inbox.take()

    const empty = {
      sent: 0,
      bytesSent: 0,
      received: 0,
      bytesReceived: 0,
      sendErrors: 0,
      callbackErrors: 0,
      senders: 0,
      rejected: NOTHING_REJECTED,
    }
    expect(a.stats()).toEqual({ ...empty, sent: 2, bytesSent: 18 })
    expect(b.stats()).toEqual({ ...empty, received: 2, bytesReceived: 18 })
    expect(JSON.parse(JSON.stringify(b.stats()))).toEqual(b.stats())
    expect(Object.isFrozen(b.stats()) && Object.isFrozen(b.stats().rejected)).toBe(true)
  })
})
