import { HsError } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { TcpTransport } from '../src/index.js'
import { RawPeer, TYPE } from './raw-peer.js'
import { failure, NOTHING, serve, until } from './tcp-scene.js'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

/** `HS_SOAK_ROUNDS=20000` is about ten minutes. */
const ROUNDS = Number(process.env['HS_SOAK_ROUNDS'] ?? 200)

describe('peers that join, work and die at random', () => {
  it('leave neither heap nor handles behind', { timeout: 3_600_000 }, async () => {
    const random = new SeededRandom('soak')
    const hub = await serve({ priorities: { critical: 'critical' }, drainTimeoutMs: 20 })
    for (const method of ['critical', 'echo']) hub.handle(method, (body) => body)
    hub.handle('stuck', (_body, _from, call) => {
      return new Promise((_resolve, reject) => call.signal.addEventListener('abort', () => reject(call.signal.reason)))
    })
    let peers: TcpTransport[] = []

    const round = async () => {
      if (peers.length < 5) peers.push(new TcpTransport({ priorities: { critical: 'critical' }, drainTimeoutMs: 1 }))
      const outcomes = peers.flatMap((peer) =>
        ['critical', 'echo', 'stuck'].map((method) =>
          peer
            .request(hub.address, method, new Uint8Array(random.int(5_000)), { timeoutMs: 1 + random.int(20) })
            .catch((error: unknown) => {
              if (!HsError.is(error)) throw error
            }),
        ),
      )
      if (random.int(3) === 0) {
        const raw = await RawPeer.greeted(hub.address)
        raw.request(1, 'stuck')
        if (random.int(2) === 0) await failure(hub.request(raw.address, 'm', NOTHING, { timeoutMs: 5 }))
        else raw.send(TYPE.hello, 0, NOTHING)
        raw.destroy()
      }
      if (random.int(2) === 0) await peers.splice(random.int(peers.length), 1)[0]?.stop()
      await Promise.all(outcomes)
    }
    const rounds = async (count: number) => {
      for (let i = 0; i < count; i++) await round()
      await Promise.all(peers.map((peer) => peer.stop()))
      peers = []
      await until(() => hub.stats().connections.inbound === 0)
      gc()
      return { heap: process.memoryUsage().heapUsed, handles: process.getActiveResourcesInfo().length }
    }

    await rounds(ROUNDS / 2)
    const before = await rounds(ROUNDS / 2)
    const after = await rounds(ROUNDS)
    expect(after.handles).toBeLessThanOrEqual(before.handles + 2)
    expect(after.heap - before.heap).toBeLessThan(4_000_000)
    expect(hub.stats()).toMatchObject({ inFlight: { inbound: 0, outbound: 0 }, queued: { bytes: 0 } })
  })
})
