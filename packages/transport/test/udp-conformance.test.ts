import type { DatagramTransport } from '@hs/core'
import { datagramConformance, type Fixture } from '@hs/core/testing'
import { describe, it } from 'vitest'
import { UdpTransport } from '../src/index.js'

/** Loopback delivers while it sends, so a turn of the event loop brings what is there. */
function fixture(label: string): Fixture<DatagramTransport> {
  const opened: UdpTransport[] = []
  return {
    async create() {
      const udp = new UdpTransport({ label })
      opened.push(udp)
      await udp.start()
      return udp
    },
    settle: () => new Promise((resolve) => setImmediate(resolve)),
    async close() {
      await Promise.all(opened.map((udp) => udp.close()))
    },
  }
}

describe.each(['', 'prod'])('UdpTransport with label "%s" is a DatagramTransport (CORE-35)', (label) => {
  for (const example of datagramConformance(async () => fixture(label))) it(example.name, () => example.run())
})
