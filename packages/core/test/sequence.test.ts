import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError, HsError, LimitError } from '../src/errors.js'
import { Sequence } from '../src/sequence.js'

const MAX = Number.MAX_SAFE_INTEGER

describe('Sequence (CORE-28)', () => {
  it('begins at 0 or where it is told to, and next adds one', () => {
    const sequence = new Sequence()
    expect([sequence.current, sequence.next(), sequence.next(), sequence.current]).toEqual([0, 1, 2, 2])
    expect(new Sequence(41).next()).toBe(42)
  })

  it('ends at 2^53 - 1 with a LimitError instead of giving a number twice', () => {
    const sequence = new Sequence(MAX - 1)
    expect(sequence.next()).toBe(MAX)
    expect(() => sequence.next()).toThrow(LimitError)
    expect(sequence.current).toBe(MAX)
  })

  it('raises to at least what it observes', () => {
    const sequence = new Sequence(5)
    expect([sequence.observe(3), sequence.observe(9), sequence.next()]).toEqual([5, 9, 10])
  })

  it('accepts only what is above current, in one step', () => {
    const sequence = new Sequence(5)
    expect([sequence.accept(5), sequence.accept(7), sequence.accept(7), sequence.accept(6)]).toEqual([
      false,
      true,
      false,
      false,
    ])
    expect(sequence.current).toBe(7)
  })

  it.each([-1, 1.5, Number.NaN, Infinity, -Infinity, MAX + 1, '7', undefined, null, 7n])(
    'refuses %s and changes nothing',
    (bad) => {
      const sequence = new Sequence(5)
      for (const call of [() => sequence.observe(bad as number), () => sequence.accept(bad as number)]) {
        expect(call).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
        expect(call).toThrow(HsError)
      }
      expect(sequence.current).toBe(5)
    },
  )

  it.each([-1, 1.5, Number.NaN, MAX + 1, '7', null])('does not begin at %s', (bad) => {
    expect(() => new Sequence(bad as number)).toThrow(ConfigError)
  })

  it('never falls, and never gives a number of next twice, whatever it is told', () => {
    const step = fc.oneof(
      fc.constant({ kind: 'next' as const, n: 0 }),
      fc.record({ kind: fc.constantFrom('observe' as const, 'accept' as const), n: fc.nat(200) }),
    )
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const sequence = new Sequence()
        let known = 0
        for (const { kind, n } of steps) {
          if (kind === 'next') expect(sequence.next()).toBe(known + 1)
          if (kind === 'observe') expect(sequence.observe(n)).toBe(Math.max(known, n))
          if (kind === 'accept') expect(sequence.accept(n)).toBe(n > known)
          known = kind === 'next' ? known + 1 : Math.max(known, n)
          expect(sequence.current).toBe(known)
        }
      }),
    )
  })
})
