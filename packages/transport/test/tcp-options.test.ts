import { ConfigError } from '@hs/core'
import { describe, expect, it } from 'vitest'
import { TcpTransport, TransportError } from '../src/index.js'
import { client, failure, NOTHING, serve } from './tcp-scene.js'

function issuesOf(options: object): { path: string; message: string }[] {
  try {
    new TcpTransport(options)
  } catch (error) {
    if (error instanceof ConfigError) return [...error.issues]
    throw error
  }
  return []
}

describe('options', () => {
  it.each([
    [{ listen: 'nowhere' }, 'listen'],
    [{ listen: '127.0.0.1:70000' }, 'listen'],
    [{ advertise: '10.0.0.1:0' }, 'advertise'],
    [{ label: 'é'.repeat(128) }, 'label'],
    [{ protocol: { major: -1, minor: 0 } }, 'protocol.major'],
    [{ protocol: { major: 1 } }, 'protocol.minor'],
    [{ features: [''] }, 'features.0'],
    [{ features: Array.from({ length: 2_000 }, (_, i) => `feature-${i}`) }, 'features'],
    [{ priorities: { m: 'urgent' } }, 'priorities.m'],
    [{ authorize: true }, 'authorize'],
    [{ compression: true }, 'compression'],
    [{ maxFrameBytes: 63 }, 'maxFrameBytes'],
    [{ tls: { key: 'k', cert: 'c', ca: 'c' } }, 'tls'],
    [{ keys: {} }, 'keys'],
    [{ maxInFlight: 0 }, 'maxInFlight'],
    [{ maxQueued: -1 }, 'maxQueued'],
    [{ maxQueuedBytes: 0 }, 'maxQueuedBytes'],
    [{ maxConnections: 1.5 }, 'maxConnections'],
    [{ maxInbound: 0 }, 'maxInbound'],
    [{ maxInboundPerIp: NaN }, 'maxInboundPerIp'],
    [{ connectTimeoutMs: 0 }, 'connectTimeoutMs'],
    [{ handshakeTimeoutMs: -5 }, 'handshakeTimeoutMs'],
    [{ requestTimeoutMs: Infinity }, 'requestTimeoutMs'],
    [{ frameTimeoutMs: '10' }, 'frameTimeoutMs'],
    [{ writeTimeoutMs: 0 }, 'writeTimeoutMs'],
    [{ keepaliveMs: 0 }, 'keepaliveMs'],
    [{ keepaliveTimeoutMs: 0 }, 'keepaliveTimeoutMs'],
    [{ idleTimeoutMs: 0 }, 'idleTimeoutMs'],
    [{ reconnectBaseMs: 0 }, 'reconnectBaseMs'],
    [{ reconnectBaseMs: 200, reconnectMaxMs: 100 }, 'reconnectMaxMs'],
    [{ drainTimeoutMs: -1 }, 'drainTimeoutMs'],
    [{ maxInflight: 5 }, 'maxInflight'],
  ])('like %j are a ConfigError at %s', (options, path) => {
    expect(issuesOf(options).map((issue) => issue.path)).toEqual([path])
  })

  it('are reported all at once', () => {
    expect(issuesOf({ maxInFlight: 0, keepaliveMs: -1, colour: 'red' })).toHaveLength(3)
  })

  it('may be left out', () => {
    expect(new TcpTransport().address).toBe('')
    expect(new TcpTransport({}).stats().connections).toEqual({ inbound: 0, outbound: 0, dialing: 0 })
  })
})

describe('stats', () => {
  it('are frozen plain data', async () => {
    const server = await serve()
    server.handle('echo', (body) => body)
    const rpc = client()
    await rpc.request(server.address, 'echo', NOTHING)
    await rpc.notify(server.address, 'echo', NOTHING)
    expect((await failure(rpc.request(server.address, 'none', NOTHING))) instanceof TransportError).toBe(true)
    const stats = rpc.stats()
    expect(JSON.parse(JSON.stringify(stats))).toEqual(stats)
    expect([stats, ...Object.values<unknown>({ ...stats })].every((part) => Object.isFrozen(part))).toBe(true)
    const hello = Buffer.byteLength(
      '{"v":1,"label":"","major":1,"minor":0,"features":[],"class":"bulk","maxFrameBytes":4194304,"maxInFlight":1024}',
    )
    expect(stats).toEqual({
      connections: { inbound: 0, outbound: 1, dialing: 0 },
      inFlight: { outbound: 0, inbound: 0 },
      queued: { critical: 0, high: 0, normal: 0, low: 0, bytes: 0 },
      totals: {
        requestsSent: 2,
        requestsReceived: 0,
        notifiesSent: 1,
        notifiesReceived: 0,
        bytesSent: 10 + hello + (10 + 5 + 4) * 2 + (10 + 1 + 4),
        bytesReceived: expect.any(Number) as number,
        lateResponses: 0,
        unknownFrames: 0,
        handlerErrors: 0,
        idleClosed: 0,
      },
      shed: { queueFull: { critical: 0, high: 0, normal: 0, low: 0 }, resourceExhausted: 0 },
      rejected: {
        capacity: 0,
        tls: 0,
        label: 0,
        version: 0,
        authorize: 0,
        handshakeTimeout: 0,
        frameTooLarge: 0,
        frameTimeout: 0,
        protocolError: 0,
        keepaliveTimeout: 0,
        slowPeer: 0,
      },
    })
    expect(server.stats().totals).toMatchObject({ requestsReceived: 2, notifiesReceived: 1 })
    expect(server.stats().totals.bytesReceived).toBe(stats.totals.bytesSent)
    expect(server.stats().totals.bytesSent).toBe(stats.totals.bytesReceived)
  })
})
