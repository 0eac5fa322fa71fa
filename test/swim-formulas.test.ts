/**
 * What the SWIM paper proves of clusters of any size, measured: a reduced run of the table that
 * `pnpm bench:swim --only formulas` prints up to 2,048 members. Virtual time and fixed seeds: the figures do not depend
 * on the machine.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import {
  copiesBound,
  FIRST_PROBE_BOUND,
  meanOf,
  measureFormulas,
  PACKETS_BOUND,
  roundsBound,
  type Formulas,
} from '../bench/swim/formulas.js'

const firstProbes: number[] = []

describe.each([8, 16, 32, 64, 128, 256])('The formulas of SWIM, %i members', { timeout: 300_000 }, (n) => {
  let measured: Formulas
  beforeAll(async () => {
    measured = await measureFormulas({ n, crashes: 32, news: 4, seed: n })
    firstProbes.push(...measured.firstProbes)
  }, 300_000)

  it('has the dead probed within e/(e-1) periods on average', () => {
    expect(measured.firstProbe.samples).toBeGreaterThanOrEqual(32)
    expect(measured.firstProbe.mean).toBeGreaterThan(0.5)
    expect(measured.firstProbe.mean).toBeLessThanOrEqual(FIRST_PROBE_BOUND)
  })

  it('costs two packets a member and period at rest', () => {
    expect(measured.packets).toBeCloseTo(PACKETS_BOUND, 1)
  })

  it('has a news known by all within 3 log2 n gossip rounds, sent at most retransmitLimit times by each', () => {
    expect(measured.rounds.samples).toBe(4)
    expect(measured.mostRounds).toBeGreaterThan(0)
    expect(measured.mostRounds).toBeLessThanOrEqual(roundsBound(n))
    expect(measured.mostCopies).toBeGreaterThan(1)
    expect(measured.mostCopies).toBeLessThanOrEqual(copiesBound(n))
  })

  it('has a death known by all within 3 log2 n gossip rounds of its first report', () => {
    const { firstDetection, fullDetection, mostDeathRounds } = measured
    expect(mostDeathRounds).toBeLessThanOrEqual(roundsBound(n))
    expect(fullDetection.mean).toBeGreaterThanOrEqual(firstDetection.mean)
  })
})

describe('The formulas of SWIM, crashes at all sizes', () => {
  it('has the dead probed within e/(e-1) periods on average, with 95 % confidence', () => {
    const { mean, halfWidth } = meanOf(firstProbes)
    expect(mean + halfWidth).toBeLessThanOrEqual(FIRST_PROBE_BOUND)
  })
})
