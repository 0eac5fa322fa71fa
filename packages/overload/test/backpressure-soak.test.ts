/** A million destinations, sources and calls: memory is that of the bounds, and no timer is left. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { SeededRandom, VirtualClock } from '@hs/core/testing'
import { BackpressureMeter, BackpressureView, ClientThrottle, DestinationQueues } from '@hs/overload'
import { describe, expect, it } from 'vitest'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const MILLION = 1_000_000

/** Bytes that `work` leaves behind, after a first part that warms it up. */
async function growth(work: (count: number) => Promise<void> | void): Promise<number> {
  const used = () => {
    collect()
    collect()
    return process.memoryUsage().heapUsed
  }
  await work(MILLION / 20)
  const before = used()
  await work(MILLION)
  return used() - before
}

describe('Soak (OVER-20, OVER-22, OVER-23)', () => {
  it('keeps no memory of a million destinations, however few of them it may know', { timeout: 60_000 }, async () => {
    let sent = 0
    const queues = new DestinationQueues<string>({
      maxDestinations: 100,
      send: async (_, items) => {
        sent += items.length
      },
    })
    let next = 0
    const grown = await growth(async (count) => {
      for (let i = 0; i < count; i++) {
        const destination = `destination-${next++}`
        queues.enqueue(destination, 'first')
        if (i % 10 === 0) for (let more = 0; more < 3; more++) queues.enqueue(destination, 'more', 'low')
        if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      await new Promise((resolve) => setImmediate(resolve))
    })
    expect(grown).toBeLessThan(1_000_000)
    const snapshot = queues.snapshot()
    expect(snapshot).toMatchObject({ destinations: 100, sent, failed: 0, dropped: 0 })
    expect(sent).toBe(1.3 * next)
  })

  it('keeps no memory of a million destinations that never answer', { timeout: 60_000 }, async () => {
    const queues = new DestinationQueues<string>({ send: () => new Promise(() => {}) })
    let next = 0
    const grown = await growth((count) => {
      for (let i = 0; i < count; i++) queues.enqueue(`destination-${next++}`, 'x')
    })
    expect(grown).toBeLessThan(1_000_000)
    expect(queues.snapshot()).toMatchObject({ destinations: 1_000, sent: 0, dropped: next - 1_000 })
  })

  it('keeps no memory of a million sources', { timeout: 60_000 }, async () => {
    const clock = new VirtualClock()
    const view = new BackpressureView({ clock })
    const meter = new BackpressureMeter({ clock })
    const dice = new SeededRandom(1)
    let next = 0
    const grown = await growth((count) => {
      for (let i = 0; i < count; i++) {
        meter.update(dice.next())
        view.receive(`source-${next++}`, meter.signal())
        if (i % 100 === 0) {
          clock.advance(10)
          view.action('low')
        }
      }
    })
    expect(grown).toBeLessThan(1_000_000)
    expect([view.size, clock.pendingTimers]).toEqual([1_000, 0])
  })

  it('keeps no memory of a million calls', async () => {
    const clock = new VirtualClock()
    const throttle = new ClientThrottle({ clock, random: new SeededRandom(2) })
    const grown = await growth((count) => {
      for (let i = 0; i < count; i++) {
        if (throttle.allow() && i % 3 === 0) throttle.accepted()
        else throttle.rejected()
        clock.advance(1)
      }
    })
    expect(grown).toBeLessThan(200_000)
    expect(throttle.snapshot().requests).toBeLessThanOrEqual(30_000)
  })
})
