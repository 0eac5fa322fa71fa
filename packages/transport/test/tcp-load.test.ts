import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { TcpTransport } from '../src/index.js'
import { RawPeer } from './raw-peer.js'
import { client, NOTHING, serve, until, use } from './tcp-scene.js'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

function heapUsed(): number {
  gc()
  gc()
  return process.memoryUsage().heapUsed
}

describe('many requests', () => {
  it('leave nothing in flight, and the heap where it was', { timeout: 60_000 }, async () => {
    const server = await serve()
    server.handle('echo', (body) => body)
    server.handle('later', async (body, _from, call) => {
      if (call.signal.aborted) throw new Error('too early')
      await Promise.resolve()
      return body
    })
    const rpc = client()
    const wave = async (count: number) => {
      for (let done = 0; done < count; done += 500) {
        const body = new Uint8Array(100)
        const requests = Array.from({ length: 500 }, (_, i) =>
          rpc.request(server.address, i % 2 === 0 ? 'echo' : 'later', body),
        )
        const notes = Array.from({ length: 50 }, () => rpc.notify(server.address, 'echo', body))
        await Promise.all([...requests, ...notes])
      }
    }
    await wave(10_000)
    const before = heapUsed()
    await wave(50_000)
    const after = heapUsed()
    expect(after - before).toBeLessThan(1_000_000)
    for (const { inFlight, queued, totals } of [rpc.stats(), server.stats()]) {
      expect(inFlight).toEqual({ outbound: 0, inbound: 0 })
      expect(queued.bytes).toBe(0)
      expect(totals).toMatchObject({ lateResponses: 0, handlerErrors: 0 })
    }
    expect(server.stats().totals.requestsReceived).toBe(60_000)
  })

  it('that are all different methods leave no names behind', async () => {
    const server = await serve()
    const raw = use(await RawPeer.greeted(server.address))
    const before = heapUsed()
    for (let id = 0; id < 20_000; id++) {
      raw.request(id, `${'x'.repeat(200)}${id}`)
      if (id % 500 === 499) {
        await until(() => raw.frames.length >= 500)
        raw.frames.length = 0
      }
    }
    expect(heapUsed() - before).toBeLessThan(2_000_000)
  })

  it('through connections that come and go leave no connection', async () => {
    const server = await serve()
    server.handle('echo', (body) => body)
    const wave = async () => {
      for (let i = 0; i < 100; i++) {
        const rpc = new TcpTransport()
        await rpc.request(server.address, 'echo', NOTHING)
        await rpc.stop()
      }
      await until(() => server.stats().connections.inbound === 0)
    }
    await wave()
    const before = heapUsed()
    await wave()
    expect(heapUsed() - before).toBeLessThan(500_000)
  })
})
