import { decideCompletion, type CompletionState } from '@hs/retry-budget'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

describe('decideCompletion (RB-22)', () => {
  const three = { targets: 3, succeeded: 0, failed: 0, minSuccesses: 1 }
  const table: [Partial<CompletionState>, ReturnType<typeof decideCompletion>][] = [
    [{}, null],
    [{ succeeded: 3 }, 'all-reported'],
    [{ failed: 3 }, 'all-reported'],
    [{ succeeded: 1, failed: 2, minSuccesses: 2 }, 'all-reported'],
    [{ succeeded: 3, deadlinePassed: true }, 'all-reported'],
    [{ failed: 2, minSuccesses: 2 }, 'unreachable-minimum'],
    [{ failed: 2, minSuccesses: 2, deadlinePassed: true }, 'unreachable-minimum'],
    [{ failed: 1, minSuccesses: 2 }, null],
    [{ deadlinePassed: true }, 'deadline'],
    [{ succeeded: 1, deadlinePassed: true, stragglersPassed: true }, 'deadline'],
    [{ succeeded: 1, stragglersPassed: true }, 'minimum-reached'],
    [{ succeeded: 1 }, null],
    [{ succeeded: 1, minSuccesses: 2, stragglersPassed: true }, null],
  ]
  it.each(table)('%j: %s', (state, expected) => {
    expect(decideCompletion({ ...three, ...state })).toBe(expected)
  })

  it('is over at the deadline at the latest, and when all have reported', () => {
    const counts = fc.tuple(fc.nat(10), fc.nat(10), fc.nat(10), fc.integer({ min: 1, max: 10 }))
    fc.assert(
      fc.property(counts, fc.boolean(), fc.boolean(), ([succeeded, failed, open, min], deadline, stragglersPassed) => {
        const targets = succeeded + failed + open
        const state = { targets, succeeded, failed, minSuccesses: Math.min(min, targets), stragglersPassed }
        const reason = decideCompletion({ ...state, deadlinePassed: deadline })
        if (deadline || open === 0) expect(reason).not.toBeNull()
        if (reason === 'minimum-reached') expect(succeeded).toBeGreaterThanOrEqual(state.minSuccesses)
        if (reason === 'unreachable-minimum') expect(succeeded + open).toBeLessThan(state.minSuccesses)
      }),
    )
  })

  it.each([{ targets: -1 }, { succeeded: 0.5 }, { failed: NaN }, { minSuccesses: Infinity }])('refuses %j', (bad) => {
    expect(() => decideCompletion({ ...three, ...bad })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})
