import { SeededRandom } from '@hs/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeElectionMessage,
  encodeElectionMessage,
  listFields,
  listOf,
  MAX_TERM,
  type ElectionMessage,
} from '../src/election-message.js'

const term = fc.integer({ min: 1, max: MAX_TERM })
const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/)
const list = fc.option(
  fc.record({ voters: fc.uniqueArray(name, { minLength: 1, maxLength: 31 }), term, version: fc.nat() }),
  { nil: undefined },
)
const withList = <T extends object>(shape: fc.Arbitrary<T>) =>
  fc.tuple(shape, list).map(([m, l]) => ({ ...m, ...listFields(l) }))
const message = fc.oneof(
  withList(fc.record({ k: fc.constantFrom('pre', 'vote', 'refuse', 'query'), t: term })),
  withList(fc.record({ k: fc.constant('pre-answer'), t: term, f: term, g: fc.boolean() })),
  withList(fc.record({ k: fc.constant('vote-answer'), t: term, g: fc.boolean() })),
  withList(
    fc.record({
      k: fc.constant('beat'),
      t: term,
      s: fc.integer({ min: 1, max: 2 ** 40 }),
      r: fc.double({ min: 0, max: 1e6, noNaN: true }),
    }),
  ),
  fc.record({ k: fc.constant('ack'), t: term, s: fc.integer({ min: 1, max: 2 ** 40 }), y: term, x: fc.nat() }),
  fc.record({ k: fc.constant('resign'), t: term, n: fc.option(name) }),
) as fc.Arbitrary<ElectionMessage>

describe('ElectionMessage (SWIM-46)', () => {
  it('is what was encoded', () => {
    fc.assert(
      fc.property(message, (m) => {
        expect(decodeElectionMessage(encodeElectionMessage(m))).toEqual(m)
      }),
    )
  })

  it('is nothing when cut anywhere', () => {
    fc.assert(
      fc.property(message, fc.nat(), (m, at) => {
        const bytes = encodeElectionMessage(m)
        expect(decodeElectionMessage(bytes.subarray(0, at % bytes.length))).toBeUndefined()
      }),
    )
  })

  it('is a message or nothing after 100,000 mutations', () => {
    const dice = new SeededRandom(5)
    const originals = fc.sample(message, { numRuns: 50, seed: 5 }).map((m) => encodeElectionMessage(m))
    let refused = 0
    for (let i = 0; i < 100_000; i++) {
      const bytes = dice.pick(originals).slice()
      for (let flips = 1 + dice.int(3); flips > 0; flips--) bytes[dice.int(bytes.length)] = dice.int(256)
      const decoded = decodeElectionMessage(bytes)
      if (decoded === undefined) refused++
      else expect(decoded.t).toBeLessThanOrEqual(MAX_TERM)
    }
    expect(refused).toBeGreaterThan(50_000)
  })

  it.each([
    { k: 'pre', t: -1 },
    { k: 'pre', t: 1.5 },
    { k: 'pre', t: MAX_TERM + 1 },
    { k: 'beat', t: 0, s: 1, r: 1 },
    { k: 'beat', t: 1, s: 0, r: 1 },
    { k: 'beat', t: 1, s: 1, r: -1 },
    { k: 'resign', t: 1, n: '' },
    { k: 'coup', t: 1 },
  ])('is not %o', (m) => {
    expect(decodeElectionMessage(encodeElectionMessage(m as ElectionMessage))).toBeUndefined()
  })

  it('carries a list only whole, and each name once', () => {
    expect(listOf({ v: ['a', 'b'], y: 1, x: 2 })).toEqual({ voters: ['a', 'b'], term: 1, version: 2 })
    expect(listOf({ v: ['a', 'b'], y: 1 })).toBeUndefined()
    expect(listOf({ v: ['a', 'a'], y: 1, x: 2 })).toBeUndefined()
    expect(listOf({})).toBeUndefined()
  })
})
