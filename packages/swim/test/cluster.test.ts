import { describe, expect, it } from 'vitest'
import { MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import { Cluster } from '../src/index.js'

describe('Cluster: many members in one process (SWIM-1)', () => {
  it('brings fifty members together within ten minutes of virtual time', async () => {
    const clock = new VirtualClock()
    const net = new MemoryNetwork({ clock, latencyMs: 1 })
    const dice = new SeededRandom(7)
    const all = Array.from(
      { length: 50 },
      (_, i) =>
        new Cluster({
          name: `n${i}`,
          clock,
          random: dice.fork(`n${i}`),
          datagram: net.datagram(`n${i}:1`),
          rpc: net.rpc(`n${i}:1`),
          seeds: ['n0:1'],
        }),
    )
    for (const c of all) await c.start()
    await clock.advanceAsync(600_000)
    expect(all.map((c) => c.size)).toEqual(all.map(() => 50))
    expect(all.every((c) => c.localHealth === 0)).toBe(true)
    for (const c of all) await c.stop()
    expect(clock.pendingTimers).toBe(0)
  })
})
