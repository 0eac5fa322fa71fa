import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InstantCounts } from '../src/instant-counts.js'

describe('InstantCounts (SIM-9)', () => {
  it('counts each pair of an instant for itself, and begins anew at the next', () => {
    const call = fc.record({
      later: fc.boolean(),
      from: fc.constantFrom('a', 'b', 'c'),
      to: fc.constantFrom('a', 'b', 'c'),
    })
    fc.assert(
      fc.property(fc.array(call, { maxLength: 100 }), (calls) => {
        const counts = new InstantCounts<string>()
        let now = 0
        let model = new Map<string, number>()
        for (const { later, from, to } of calls) {
          if (later) {
            now++
            model = new Map()
          }
          const key = `${from}>${to}`
          const before = model.get(key) ?? 0
          model.set(key, before + 1)
          expect(counts.next(now, from, to)).toBe(before)
        }
      }),
      { seed: 1 },
    )
  })
})
