import { describe, it } from 'vitest'
import {
  datagramConformance,
  diskConformance,
  MemoryDisk,
  MemoryLogger,
  MemoryNetwork,
  rpcConformance,
  VirtualClock,
  type ConformanceCase,
} from '@hs/core/testing'
import { DatagramChannels } from '@hs/core'

function all(cases: readonly ConformanceCase[]): void {
  for (const { name, run } of cases) it(name, run)
}

function network(latencyMs: number) {
  const clock = new VirtualClock()
  const net = new MemoryNetwork({ clock, latencyMs, logger: new MemoryLogger() })
  return { net, settle: () => clock.advanceAsync(50), close: async () => undefined }
}

describe.each([0, 7])('MemoryNetwork with a latency of %i ms keeps the datagram contract (CORE-35)', (latencyMs) => {
  all(
    datagramConformance(async () => {
      const { net, ...fixture } = network(latencyMs)
      return { ...fixture, create: async (name) => net.datagram(`${name}:1`) }
    }),
  )
})

describe.each([0, 7])('MemoryNetwork with a latency of %i ms keeps the RPC contract (CORE-35)', (latencyMs) => {
  all(
    rpcConformance(async () => {
      const { net, ...fixture } = network(latencyMs)
      return { ...fixture, create: async (name) => net.rpc(`${name}:1`) }
    }),
  )
})

describe('a channel of DatagramChannels keeps the datagram contract (CORE-35)', () => {
  all(
    datagramConformance(async () => {
      const { net, ...fixture } = network(1)
      return { ...fixture, create: async (name) => new DatagramChannels(net.datagram(`${name}:1`)).channel(7) }
    }),
  )
})

describe('MemoryDisk keeps the disk contract (CORE-36)', () => {
  all(
    diskConformance(async () => ({
      create: async () => new MemoryDisk(),
      settle: async () => undefined,
      close: async () => undefined,
    })),
  )
})
