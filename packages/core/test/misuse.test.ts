/** What callers without types may pass: refused at the call, so that it does not fail later, far from its cause. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  DatagramChannels,
  ErrorReporter,
  formatAddress,
  msgpackCodec,
  systemClock,
  TaskScope,
  TimingWheel,
  TypedEmitter,
  withTimeout,
  type ConfigIssue,
  type Disk,
  type TransportError,
} from '@hs/core'
import { NodeDisk } from '@hs/core/node'
import { MemoryDisk, MemoryLogger, MemoryNetwork, VirtualClock } from '@hs/core/testing'

const clock = new VirtualClock()
const logger = new MemoryLogger()
const reporter = new ErrorReporter({ clock, logger })
const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
/** Stands where a function or bytes should. */
const none = undefined as never

describe('a function that is none is INVALID_ARGUMENT', () => {
  const scope = new TaskScope('node', { clock, logger })
  const events = new TypedEmitter<{ joined: [] }>('cluster', reporter)
  const wheel = new TimingWheel({ clock, logger })
  const network = new MemoryNetwork({ clock, logger })

  it.each<[string, () => unknown]>([
    ['SystemClock.setTimer', () => systemClock.setTimer(1, none)],
    ['VirtualClock.setTimer', () => clock.setTimer(1, none)],
    ['a skewed clock', () => clock.skewed().setTimer(1, none)],
    ['ErrorReporter.guard', () => reporter.guard('x', none)],
    ['TypedEmitter.on', () => events.on('joined', none)],
    ['TypedEmitter.once', () => events.once('joined', none)],
    ['TaskScope.spawn', () => scope.spawn('x', none)],
    ['TaskScope.every', () => scope.every('x', 10, none)],
    ['TimingWheel.schedule', () => wheel.schedule(10, none)],
    ['DatagramTransport.onMessage', () => network.datagram('a:1').onMessage(none)],
    ['a channel', () => new DatagramChannels(network.datagram('b:1')).channel(0).onMessage(none)],
    ['RpcTransport.handle', () => network.rpc('a:1').handle('m', none)],
  ])('%s', (_, call) => {
    expect(call).toThrow(invalid)
    expect(clock.pendingTimers).toBe(0)
    expect(scope.snapshot().tasks).toEqual([])
    expect(events.listenerCount('joined')).toBe(0)
  })

  it('withTimeout', async () => {
    await expect(withTimeout('read', 10, none, { clock })).rejects.toThrow(invalid)
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('bytes that are none are INVALID_ARGUMENT', () => {
  const others = [none, null, 'text', [1, 2], new Uint16Array(2), new ArrayBuffer(2)] as never[]
  const network = new MemoryNetwork({ clock, logger })
  const datagram = network.datagram('a:1')
  const channel = new DatagramChannels(network.datagram('b:1')).channel(0)
  const rpc = network.rpc('a:1')
  const refusal = expect.objectContaining({ code: 'INVALID_ARGUMENT', notExecuted: true }) as TransportError

  it.each(others)('a message %o', async (bytes) => {
    expect(() => datagram.send('b:1', bytes)).toThrow(refusal)
    expect(() => channel.send('a:1', bytes)).toThrow(refusal)
    await expect(rpc.request('b:1', 'm', bytes)).rejects.toThrow(refusal)
    await expect(rpc.notify('b:1', 'm', bytes)).rejects.toThrow(refusal)
  })

  async function refusesWrites(disk: Disk): Promise<void> {
    const file = await disk.open('a', { create: true })
    for (const bytes of others) await expect(file.write(0, bytes)).rejects.toThrow(invalid)
    expect(await file.size()).toBe(0)
    await file.close()
  }

  it('a write to MemoryDisk', () => refusesWrites(new MemoryDisk()))

  it('a write to NodeDisk', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hs-disk-'))
    try {
      await refusesWrites(await NodeDisk.open(folder))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

describe('other arguments', () => {
  it('formatAddress takes text only', () => {
    expect(() => formatAddress(none, 80)).toThrow(invalid)
  })

  it('msgpackCodec finds out at once that it was given no schema of zod 4', () => {
    const issues = [expect.objectContaining({ path: 'schema' }) as ConfigIssue]
    const refusal = expect.objectContaining({ code: 'CONFIG_INVALID', issues }) as Error
    for (const schema of [none, {}, null, { parse: () => 1, safeParse: () => 1 }] as never[])
      expect(() => msgpackCodec(schema)).toThrow(refusal)
  })
})
