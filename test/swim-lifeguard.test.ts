/**
 * The Lifeguard paper's experiments, reduced: few members, few cells, one seed. `pnpm bench:lifeguard` runs them whole
 * and prints the paper's tables beside ours.
 */
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { configurations, LIFEGUARD, SWIM } from '../bench/lifeguard/configurations.js'
import { exhaust, type Distress } from '../bench/lifeguard/exhaustion.js'
import { runCell, type Outcome } from '../bench/lifeguard/interval.js'
import { crashLatencies } from '../bench/lifeguard/latency.js'

// On a machine that does much else.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const MEMBERS = 24
const cells = [
  { members: MEMBERS, held: 4, heldMs: 16_384, releasedMs: 4, seed: 1 },
  { members: MEMBERS, held: 8, heldMs: 32_768, releasedMs: 64, seed: 1 },
]

describe('members whose messages are held (SWIM-16..19)', () => {
  const sums = new Map<string, Outcome>()
  const of = (name: string) => {
    const sum = sums.get(name)
    if (sum === undefined) throw new Error(`${name} was not run`)
    return sum
  }

  beforeAll(async () => {
    for (const configuration of configurations.slice(0, 5)) {
      const sum = { falsePositives: 0, healthyFalsePositives: 0, messages: 0, bytes: 0 }
      for (const cell of cells) {
        const outcome = await runCell(cell, configuration)
        for (const key of ['falsePositives', 'healthyFalsePositives', 'messages', 'bytes'] as const)
          sum[key] += outcome[key]
      }
      sums.set(configuration.name, sum)
    }
  })

  it('plain SWIM takes members for dead that were never held', () => {
    expect(of('SWIM').falsePositives).toBeGreaterThan(1_000)
    expect(of('SWIM').healthyFalsePositives).toBeGreaterThan(500)
  })

  it('LHA-Probe and LHA-Suspicion each accuse less', () => {
    expect(of('LHA-Probe').falsePositives).toBeLessThan(0.677 * of('SWIM').falsePositives)
    expect(of('LHA-Suspicion').falsePositives).toBeLessThan(0.3 * of('SWIM').falsePositives)
  })

  it('all of Lifeguard accuses at most a twentieth, with no more messages', () => {
    expect(of('Lifeguard').falsePositives).toBeLessThan(0.05 * of('SWIM').falsePositives)
    expect(of('Lifeguard').healthyFalsePositives).toBeLessThan(0.05 * of('SWIM').healthyFalsePositives)
    expect(of('Lifeguard').messages).toBeLessThan(1.106 * of('SWIM').messages)
    expect(of('Lifeguard').bytes).toBeLessThan(0.98 * of('SWIM').bytes)
  })
})

describe('members whose event loop stands still (SWIM-20)', () => {
  it.each([3, 12])('accuse nobody who never did, also %i of 24 at a time', async (distressed) => {
    const distress: Distress = { members: MEMBERS, distressed, distressMs: 90_000, seed: 1, manner: 'paused' }
    expect(await exhaust(distress, LIFEGUARD)).toMatchObject({ byDistressed: 0, byHealthy: 0 })
    expect((await exhaust(distress, SWIM)).byDistressed).toBe(0)
  })

  it('would accuse, were only their messages held', async () => {
    const { byDistressed } = await exhaust(
      { members: MEMBERS, distressed: 6, distressMs: 90_000, seed: 1, manner: 'held' },
      SWIM,
    )
    expect(byDistressed).toBeGreaterThan(0)
  })
})

describe('true crashes (SWIM-18)', () => {
  it('are found no later than by plain SWIM', async () => {
    const crashes = { members: MEMBERS, crashes: 8, seed: 1 }
    const median = (all: readonly number[]) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? NaN
    const swim = await crashLatencies(crashes, SWIM)
    const lifeguard = await crashLatencies(crashes, LIFEGUARD)
    expect(swim.full).toHaveLength(8)
    expect(median(lifeguard.first)).toBeLessThanOrEqual(1.25 * median(swim.first))
    expect(median(lifeguard.full)).toBeLessThanOrEqual(1.25 * median(swim.full))
  })
})
