import { HsError, type MessagePriority } from '@hs/core'
import { describe, expect, it } from 'vitest'
import { parse, parseRequest, RawServer, TYPE, type RawFrame } from './raw-peer.js'
import { bytes, client, NOTHING, serve, text, turns, until, use } from './tcp-scene.js'

const priorities: Record<string, MessagePriority> = {
  'job.cancel': 'critical',
  'leader.*': 'critical',
  'state.*': 'high',
  'stats.*': 'low',
}

const ignored = (promise: Promise<unknown>) => {
  void promise.catch((error: unknown) => {
    if (!HsError.is(error)) throw error
  })
}

function nameOf(frame: RawFrame): string {
  if (frame.type === TYPE.request) return parseRequest(frame.payload).method
  return frame.payload.subarray(1, 1 + (frame.payload[0] as number)).toString()
}

describe('critical messages (PRIO-2)', () => {
  it('travel on a second connection of class control, dialled with the first of them', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client({ priorities })
    await rpc.notify(raw.address, 'stats.cpu', NOTHING)
    expect(raw.peers).toHaveLength(1)
    await rpc.notify(raw.address, 'job.cancel', NOTHING)
    await rpc.notify(raw.address, 'leader.claim', NOTHING)
    await rpc.notify(raw.address, 'state.set', NOTHING)
    expect(raw.peers).toHaveLength(2)
    const [bulk, control] = [await raw.peer(0), await raw.peer(1)]
    await until(() => bulk.frames.length === 3 && control.frames.length === 3)
    expect(bulk.frames.slice(1).map(nameOf)).toEqual(['stats.cpu', 'state.set'])
    expect(control.frames.slice(1).map(nameOf)).toEqual(['job.cancel', 'leader.claim'])
    expect(raw.peers.map((p) => (parse(p.frames[0]!.payload) as { class: string }).class)).toEqual(['bulk', 'control'])
    expect(rpc.stats().connections.outbound).toBe(2)
  })

  it('pass though the peer does not read the bulk connection at all', async () => {
    const server = use(
      await RawServer.listen((peer) => {
        void peer.next(TYPE.hello).then(({ payload }) => {
          const connectionClass = (parse(payload) as { class: string }).class
          peer.hello({ class: connectionClass })
          if (connectionClass === 'bulk') peer.socket.pause()
          else peer.answerAll(bytes('done'))
        })
      }),
    )
    const rpc = client({ priorities, maxQueuedBytes: 2_000_000 })
    await rpc.connect(server.address)
    while (rpc.stats().shed.queueFull.low < 3) {
      ignored(rpc.notify(server.address, 'stats.cpu', new Uint8Array(200_000)))
      await turns(1)
    }
    for (let i = 0; i < 20; i++) expect(text(await rpc.request(server.address, 'job.cancel', NOTHING))).toBe('done')
    expect(rpc.stats().queued.bytes).toBeGreaterThan(1_000_000)
    for (const peer of server.peers) peer.destroy()
  })

  it('overtake 200 large messages of low priority', async () => {
    const server = await serve({ priorities })
    const order: string[] = []
    server.handle('stats.cpu', (body) => {
      order.push('low')
      return body.subarray(0, 1)
    })
    server.handle('job.cancel', (body) => {
      order.push('critical')
      return body
    })
    const rpc = client({ priorities, maxQueuedBytes: 100_000_000 })
    await rpc.request(server.address, 'job.cancel', NOTHING)
    await rpc.connect(server.address)
    order.length = 0
    const lows = Array.from({ length: 200 }, () => rpc.request(server.address, 'stats.cpu', new Uint8Array(262_144)))
    await rpc.request(server.address, 'job.cancel', NOTHING)
    expect(order.indexOf('critical')).toBeLessThan(60)
    await Promise.all(lows)
    expect(order).toHaveLength(201)
  })

  it('to an accepted connection go on that one, whatever its class', async () => {
    const server = await serve({ priorities })
    const from: string[] = []
    server.handle('m', (body, peer) => {
      from.push(peer.address)
      return body
    })
    const rpc = client({ priorities })
    rpc.handle('leader.push', () => bytes('pushed'))
    await rpc.request(server.address, 'm', NOTHING)
    expect(text(await server.request(from[0] as string, 'leader.push', NOTHING))).toBe('pushed')
    expect(server.stats().connections).toEqual({ inbound: 1, outbound: 0, dialing: 0 })
  })
})

describe('frames that wait (PRIO-3)', () => {
  it('go by priority, high before normal before low, also within one turn', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client({ priorities })
    await rpc.connect(raw.address)
    for (const method of ['stats.a', 'plain', 'state.a', 'stats.b', 'state.b']) {
      ignored(rpc.request(raw.address, method, NOTHING))
      ignored(rpc.notify(raw.address, method, NOTHING))
    }
    const peer = await raw.peer()
    await until(() => peer.frames.length === 11)
    expect(peer.frames.slice(1).map((f) => `${f.type === TYPE.request ? 'request' : 'notify'} ${nameOf(f)}`)).toEqual([
      'notify state.a',
      'notify state.b',
      'request state.a',
      'request state.b',
      'notify plain',
      'request plain',
      'notify stats.a',
      'notify stats.b',
      'request stats.a',
      'request stats.b',
    ])
  })

  it('in front of a peer that reads slowly: what is of higher priority waits for 64 KiB of ours at most', async () => {
    const raw = use(await RawServer.greeting())
    const rpc = client({ priorities })
    await rpc.connect(raw.address)
    const peer = await raw.peer()
    peer.socket.pause()
    // Until user space is where they wait.
    while (rpc.stats().queued.low < 20) {
      ignored(rpc.notify(raw.address, 'stats.cpu', new Uint8Array(100_000)))
      await turns(1)
    }
    const lowsBefore = rpc.stats().totals.notifiesSent
    ignored(rpc.notify(raw.address, 'state.set', NOTHING))
    peer.socket.resume()
    await until(() => peer.frames.some((f) => f.type === TYPE.notify && nameOf(f) === 'state.set'))
    const position = peer.frames.findIndex((f) => f.type === TYPE.notify && nameOf(f) === 'state.set')
    // HELLO, and what the sockets held; the frame that was cut comes before it too.
    expect(position).toBeLessThanOrEqual(lowsBefore + 1)
    await until(() => rpc.stats().queued.bytes === 0)
  })

  it('answer by the priority of the request, as the answering end has it', async () => {
    const server = await serve({ priorities })
    const order: string[] = []
    for (const method of ['stats.cpu', 'state.get', 'plain']) server.handle(method, () => bytes(method))
    const rpc = client()
    await rpc.connect(server.address)
    const asked = ['stats.cpu', 'plain', 'state.get'].map(async (method) => {
      order.push(text(await rpc.request(server.address, method, NOTHING)))
    })
    await Promise.all(asked)
    expect(order).toEqual(['state.get', 'plain', 'stats.cpu'])
  })
})
