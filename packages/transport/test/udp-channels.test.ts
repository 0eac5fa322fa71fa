import { DatagramChannels } from '@hs/core'
import { describe, expect, it } from 'vitest'
import { bytesOf, inboxOf, openUdp } from './udp-helpers.js'

describe('UdpTransport under DatagramChannels', () => {
  it('carries several protocols on one socket', async () => {
    const a = await openUdp()
    const b = await openUdp()
    const [fromA, fromB] = [new DatagramChannels(a), new DatagramChannels(b)]
    const swim = inboxOf(fromB.channel(0))
    const probes = inboxOf(fromB.channel(1))

    fromA.channel(1).send(b.address, bytesOf('probe'))
    fromA.channel(0).send(b.address, bytesOf('gossip'))

    expect(await swim.take()).toEqual({ from: a.address, text: 'gossip' })
    expect(await probes.take()).toEqual({ from: a.address, text: 'probe' })
    expect(fromA.channel(2).maxMessageBytes).toBe(1_393)
  })
})
