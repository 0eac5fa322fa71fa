import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Fault } from '@hs/sim'
import { shrink } from '../src/shrink.js'

const pause = (id: number, forMs = 1_000): Fault => ({ atMs: id, forMs, kind: 'pause', node: 'a' })
const plan = (size: number) => Array.from({ length: size }, (_, id) => pause(id))
const ids = (faults: readonly Fault[]) => faults.map((fault) => fault.atMs)

describe('shrink (SIM-23)', () => {
  it('finds the faults that are needed, wherever they stand', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.array(fc.nat(), { maxLength: 4 }), async (size, picks) => {
        const needed = new Set(picks.map((pick) => pick % size))
        const fails = async (candidate: readonly Fault[]) => [...needed].every((id) => ids(candidate).includes(id))
        const { faults } = await shrink(plan(size), fails, 10_000)
        expect(ids(faults)).toEqual([...needed].sort((a, b) => a - b))
      }),
    )
  })

  it('returns a part of the plan that still fails and cannot do without any fault, whatever makes it fail', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 12 }), fc.integer(), async (size, salt) => {
        // Any deterministic verdict that holds for the whole plan; it need not be monotonic.
        const fails = async (candidate: readonly Fault[]) =>
          candidate.length === size || ids(candidate).reduce((sum, id) => (sum * 31 + id + salt) % 7, 3) < 3
        const { faults } = await shrink(plan(size), fails, 10_000)
        expect(await fails(faults)).toBe(true)
        expect(ids(plan(size))).toEqual(expect.arrayContaining(ids(faults)))
        if (faults.length > 0)
          for (const left of faults) expect(await fails(faults.filter((fault) => fault !== left))).toBe(false)
      }),
    )
  })

  it('asks for the empty plan first, and is done if that fails', async () => {
    const shrunk = await shrink(plan(20), async () => true, 200)
    expect(shrunk).toEqual({ faults: [], runs: 1 })
  })

  it('halves what durations are left as long as it fails', async () => {
    const fails = async (candidate: readonly Fault[]) =>
      candidate.some((fault) => fault.atMs === 3 && fault.forMs >= 120)
    const { faults } = await shrink(plan(10), fails, 200)
    expect(faults).toEqual([pause(3, 125)])
  })

  it('halves down to a millisecond at the least', async () => {
    const { faults } = await shrink([pause(1)], async (candidate) => candidate.length === 1, 200)
    expect(faults).toEqual([pause(1, 1)])
  })

  it('asks no more often than allowed, and then returns what failed last', async () => {
    for (const maxRuns of [0, 1, 2, 5, 9]) {
      let asked = 0
      const fails = async (candidate: readonly Fault[]) => {
        asked++
        return ids(candidate).includes(7)
      }
      const { faults, runs } = await shrink(plan(30), fails, maxRuns)
      expect(asked).toBeLessThanOrEqual(maxRuns)
      expect(runs).toBe(asked)
      expect(ids(faults)).toContain(7)
    }
  })

  it('asks for no plan twice', async () => {
    const asked: string[] = []
    await shrink(
      plan(12),
      async (candidate) => {
        asked.push(JSON.stringify(candidate))
        return ids(candidate).includes(2) && ids(candidate).includes(9)
      },
      1_000,
    )
    expect(new Set(asked).size).toBe(asked.length)
  })

  it('keeps a plan without faults, unasked', async () => {
    expect(await shrink([], async () => true, 10)).toEqual({ faults: [], runs: 0 })
  })
})
