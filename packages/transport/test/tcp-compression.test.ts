import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { parseRequest, RawPeer, RawServer, requestPayload, TYPE } from './raw-peer.js'
import { client, NOTHING, serve, turns, until, use } from './tcp-scene.js'

const compression = { thresholdBytes: 100 }
const dull = (size: number) => new Uint8Array(size).fill(97)

describe('compression (ZIP-1)', () => {
  it('is used when both ends say so, in both directions', async () => {
    const server = await serve({ compression })
    server.handle('echo', (body) => body)
    const rpc = client({ compression })
    const body = dull(100_000)
    expect(Buffer.compare(await rpc.request(server.address, 'echo', body), body)).toBe(0)
    await rpc.notify(server.address, 'echo', body)
    await until(() => server.stats().totals.notifiesReceived === 1)
    for (const { bytesSent, bytesReceived } of [rpc.stats().totals, server.stats().totals]) {
      expect(bytesSent).toBeLessThan(5_000)
      expect(bytesReceived).toBeLessThan(5_000)
    }
  })

  it.each([
    [{ compression }, {}],
    [{}, { compression }],
    [{}, {}],
  ])('is not used by %j with %j', async (one, other) => {
    const server = await serve(one)
    server.handle('echo', (body) => body)
    const rpc = client(other)
    expect(await rpc.request(server.address, 'echo', dull(10_000))).toHaveLength(10_000)
    expect(rpc.stats().totals.bytesSent).toBeGreaterThan(10_000)
    expect(rpc.stats().totals.bytesReceived).toBeGreaterThan(10_000)
  })

  it('is for bodies from thresholdBytes to 256 KiB, and only if they become smaller', async () => {
    const raw = use(await RawServer.greeting({ deflate: true }))
    const rpc = client({ compression })
    const bodies = [dull(99), dull(100), randomBytes(5_000), dull(262_144), dull(262_145)]
    for (const body of bodies) void rpc.request(raw.address, 'm', body).catch(() => undefined)
    const peer = await raw.peer()
    const flags: number[] = []
    for (const body of bodies) {
      const frame = await peer.next(TYPE.request)
      const { method, body: wired } = parseRequest(frame.payload)
      expect(method).toBe('m')
      expect(Buffer.compare(frame.flags === 1 ? inflateRawSync(wired) : wired, body)).toBe(0)
      flags.push(frame.flags)
    }
    expect(flags).toEqual([0, 1, 0, 1, 0])
  })

  it('leaves answers of an end alone that has it off', async () => {
    const server = await serve({ compression })
    server.handle('echo', (body) => body)
    const raw = use(await RawPeer.greeted(server.address))
    raw.request(1, 'echo', dull(1_000))
    expect(await raw.next(TYPE.response)).toMatchObject({ flags: 0, payload: Buffer.from(dull(1_000)) })
  })
})

describe('inflation (ZIP-2)', () => {
  const compressed = (method: string, body: Uint8Array) => requestPayload(method, body)

  it.each([
    ['beyond maxFrameBytes', deflateRawSync(Buffer.alloc(100_001))],
    ['of a bomb', deflateRawSync(Buffer.alloc(100_000_000))],
    ['of what is no deflate', Buffer.from([0xff, 0xfe, 0xfd])],
    ['of nothing', Buffer.alloc(0)],
  ])('%s is a protocol error and runs nothing', async (_what, body) => {
    const server = await serve({ compression, maxFrameBytes: 100_000 })
    let ran = 0
    server.handle('m', (received) => {
      ran++
      return received
    })
    const raw = use(await RawPeer.greeted(server.address, { deflate: true }))
    const before = process.memoryUsage().arrayBuffers
    raw.send(TYPE.request, 1, compressed('m', body), 1)
    await raw.closed()
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000)
    expect(server.stats().rejected.protocolError).toBe(1)
    expect(ran).toBe(0)
  })

  it('up to maxFrameBytes is fine, in requests, answers and notifications', async () => {
    const server = await serve({ compression, maxFrameBytes: 100_000 })
    const sizes: number[] = []
    server.handle('m', (body) => {
      sizes.push(body.length)
      return NOTHING
    })
    const raw = use(await RawPeer.greeted(server.address, { deflate: true }))
    const body = deflateRawSync(Buffer.alloc(100_000))
    raw.send(TYPE.request, 1, compressed('m', body), 1)
    await raw.next(TYPE.response)
    raw.send(TYPE.notify, 0, compressed('m', body).subarray(4), 1)
    await until(() => sizes.length === 2)
    expect(sizes).toEqual([100_000, 100_000])

    const answer = server.request(raw.address, 'ask', NOTHING)
    const { id } = await raw.next(TYPE.request)
    raw.send(TYPE.response, id, body, 1)
    expect(await answer).toHaveLength(100_000)
  })

  it('of an answer that is none ends the connection as well', async () => {
    const raw = use(await RawServer.greeting({ deflate: true }))
    const rpc = client({ compression })
    const waiting = rpc.request(raw.address, 'm', NOTHING)
    const peer = await raw.peer()
    const { id } = await peer.next(TYPE.request)
    peer.send(TYPE.response, id, Buffer.from([0xff]), 1)
    await expect(waiting).rejects.toMatchObject({ code: 'CONNECTION_LOST', notExecuted: false })
    await turns(1)
    expect(rpc.stats().rejected.protocolError).toBe(1)
  })
})
