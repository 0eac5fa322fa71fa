import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import type { TcpTransportOptions } from '../src/index.js'
import { RawPeer, TYPE } from './raw-peer.js'
import { bytes, client, failure, NOTHING, text, until } from './tcp-scene.js'

const children: ChildProcess[] = []

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

async function serveInChild(options: TcpTransportOptions = {}): Promise<{ child: ChildProcess; address: string }> {
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const child = fork(fileURLToPath(new URL('tcp-child.ts', import.meta.url)), [JSON.stringify(options)], {
    execArgv: ['--expose-gc', '--import', loader],
  })
  children.push(child)
  const [address] = (await once(child, 'message')) as [string]
  return { child, address }
}

describe('a peer in another process (section 7)', () => {
  it('that is killed mid-request: CONNECTION_LOST, and it may have run', async () => {
    const { child, address } = await serveInChild()
    const rpc = client()
    expect(text(await rpc.request(address, 'echo', bytes('x')))).toBe('x')
    const waiting = failure(rpc.request(address, 'stuck', NOTHING))
    await until(() => rpc.stats().inFlight.outbound === 1)
    child.kill('SIGKILL')
    expect(await waiting).toMatchObject({ code: 'CONNECTION_LOST', notExecuted: false })
    await once(child, 'exit')
    expect(await failure(rpc.request(address, 'echo', NOTHING))).toMatchObject({
      code: 'CONNECT_FAILED',
      notExecuted: true,
    })
  })

  it('that freezes mid-request: CONNECTION_LOST after keepalive, and it may have run', async () => {
    const { child, address } = await serveInChild()
    const rpc = client({ keepaliveMs: 200, keepaliveTimeoutMs: 200 })
    await rpc.connect(address)
    const waiting = failure(rpc.request(address, 'stuck', NOTHING))
    await until(() => rpc.stats().inFlight.outbound === 1)
    child.kill('SIGSTOP')
    expect(await waiting).toMatchObject({ code: 'CONNECTION_LOST', notExecuted: false })
    expect(rpc.stats()).toMatchObject({ connections: { outbound: 0 }, rejected: { keepaliveTimeout: 1 } })
    // The system still accepts for it: that is not HELLO.
    const again = client({ handshakeTimeoutMs: 200 })
    expect(await failure(again.request(address, 'echo', NOTHING))).toMatchObject({
      code: 'CONNECT_FAILED',
      notExecuted: true,
    })
    child.kill('SIGCONT')
    expect(text(await rpc.request(address, 'echo', bytes('alive')))).toBe('alive')
  })
})

describe('ten thousand idle connections (section 6)', () => {
  it('cost at most 4 KiB of heap each, and none is lost', { timeout: 120_000 }, async () => {
    // The peers here answer no PING.
    const { child, address } = await serveInChild({ maxInboundPerIp: 10_000, keepaliveMs: 600_000 })
    const peers: RawPeer[] = []
    const open = async (count: number) => {
      for (let i = 0; i < count; i += 100) {
        peers.push(...(await Promise.all(Array.from({ length: 100 }, () => RawPeer.greeted(address)))))
      }
    }
    const measure = async () => {
      child.send('measure')
      const [found] = (await once(child, 'message')) as [{ heapUsed: number; inbound: number }]
      return found
    }
    try {
      await open(500)
      const before = await measure()
      await open(9_500)
      const after = await measure()
      expect(after.inbound).toBe(10_000)
      expect((after.heapUsed - before.heapUsed) / 9_500).toBeLessThanOrEqual(4_096)
      const last = peers.at(-1) as RawPeer
      last.request(1, 'echo', bytes('still here'))
      expect((await last.next(TYPE.response)).payload.toString()).toBe('still here')
    } finally {
      for (const peer of peers) peer.destroy()
    }
  })
})
