import { describe, expect, it } from 'vitest'
import { DatagramChannels, type DatagramTransport } from '@hs/core'
import { MemoryLogger, MemoryNetwork, VirtualClock } from '@hs/core/testing'

function setup() {
  const clock = new VirtualClock()
  const logger = new MemoryLogger()
  const network = new MemoryNetwork({ clock, logger, latencyMs: 1 })
  const [a, b] = [network.datagram('a:1'), network.datagram('b:1')]
  const channels = new DatagramChannels(b, { clock, logger })
  return { clock, logger, a, b, channels }
}

function record(transport: DatagramTransport): string[] {
  const seen: string[] = []
  transport.onMessage((from, bytes) => seen.push(`${from} ${String(bytes)}`))
  return seen
}

describe('DatagramChannels (CORE-35)', () => {
  it('puts one byte before each message and hands what arrives to the channel of that byte', () => {
    const { clock, a, channels } = setup()
    const atA = record(a)
    const zero = channels.channel(0)
    const last = channels.channel(255)
    const [atZero, atLast] = [record(zero), record(last)]
    zero.send('a:1', Uint8Array.of(7, 8))
    last.send('a:1', new Uint8Array(0))
    a.send('b:1', Uint8Array.of(255, 1))
    a.send('b:1', Uint8Array.of(0, 2, 3))
    a.send('b:1', Uint8Array.of(0))
    clock.advance(1)
    expect(atA).toEqual(['b:1 0,7,8', 'b:1 255'])
    expect(atZero).toEqual(['a:1 2,3', 'a:1 '])
    expect(atLast).toEqual(['a:1 1'])
  })

  it('counts and drops the empty message and the one for a channel that nobody holds', () => {
    const { clock, a, channels } = setup()
    const seen = record(channels.channel(1))
    expect(channels.snapshot()).toEqual({ channels: 1, unknown: 0 })
    for (const message of [[], [2], [2, 1], [1, 5]]) a.send('b:1', Uint8Array.from(message))
    clock.advance(1)
    expect(seen).toEqual(['a:1 5'])
    expect(channels.snapshot()).toEqual({ channels: 1, unknown: 3 })
    expect(Object.isFrozen(channels.snapshot())).toBe(true)
  })

  it('lets messages be one byte shorter, and shows the address of its transport', () => {
    const { b, channels } = setup()
    const channel = channels.channel(1)
    expect(channel.maxMessageBytes).toBe(b.maxMessageBytes - 1)
    expect(channel.address).toBe('b:1')
    channel.send('a:1', new Uint8Array(channel.maxMessageBytes))
    expect(() => channel.send('a:1', new Uint8Array(channel.maxMessageBytes + 1))).toThrow(
      expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }),
    )
  })

  it('asks its transport for the address each time, for that may be known only later', () => {
    let address = ''
    const transport: DatagramTransport = {
      get address() {
        return address
      },
      maxMessageBytes: 100,
      send: () => undefined,
      onMessage: () => undefined,
      close: async () => undefined,
    }
    const channel = new DatagramChannels(transport).channel(0)
    address = 'late:1'
    expect(channel.address).toBe('late:1')
    expect(channel.maxMessageBytes).toBe(99)
  })

  it('gives a channel to one holder, and again when that has closed it', async () => {
    const { clock, a, b, channels } = setup()
    const first = channels.channel(3)
    const atFirst = record(first)
    expect(() => channels.channel(3)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    await first.close()
    expect(channels.snapshot().channels).toBe(0)
    const second = channels.channel(3)
    const atSecond = record(second)
    await first.close()
    expect(channels.snapshot().channels).toBe(1)
    expect(() => first.send('a:1', Uint8Array.of(1))).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    a.send('b:1', Uint8Array.of(3, 9))
    clock.advance(1)
    expect([atFirst, atSecond]).toEqual([[], ['a:1 9']])
    // Its end is its own: the transport lives on.
    await second.close()
    b.send('a:1', Uint8Array.of(1))
  })

  it('refuses numbers that are no channel', () => {
    const { channels } = setup()
    for (const id of [-1, 256, 0.5, NaN])
      expect(() => channels.channel(id)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(channels.snapshot().channels).toBe(0)
  })

  it('passes on what its transport says of an address, and of its end', async () => {
    const { b, channels } = setup()
    const channel = channels.channel(1)
    expect(() => channel.send('nowhere', Uint8Array.of(1))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    await b.close()
    expect(() => channel.send('a:1', Uint8Array.of(1))).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  })

  it('reports what a handler throws, and the other channels go on', () => {
    const { clock, logger, a, channels } = setup()
    channels.channel(1).onMessage(() => {
      throw new Error('boom')
    })
    const seen = record(channels.channel(2))
    a.send('b:1', Uint8Array.of(1))
    a.send('b:1', Uint8Array.of(2))
    clock.advance(1)
    expect(seen).toEqual(['a:1 '])
    expect(logger.at('error')[0]?.fields).toMatchObject({ source: 'DatagramChannels.onMessage', channel: 1 })
  })

  it('drops what arrives before a channel has a handler', () => {
    const { clock, a, channels } = setup()
    const channel = channels.channel(1)
    a.send('b:1', Uint8Array.of(1, 1))
    clock.advance(1)
    const seen = record(channel)
    a.send('b:1', Uint8Array.of(1, 2))
    clock.advance(1)
    expect(seen).toEqual(['a:1 2'])
    expect(channels.snapshot().unknown).toBe(0)
  })

  it('refuses options that it does not know', () => {
    const { a } = setup()
    expect(() => new DatagramChannels(a, { channels: 3 } as object)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    )
  })
})
