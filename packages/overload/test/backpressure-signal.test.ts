import { HsError, msgpackCodec } from '@hs/core'
import { BackpressureMeter, decodeBackpressureSignal } from '@hs/overload'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'

const good = { level: 'batch', delayMs: 250.5, epoch: 3, seq: 9 } as const

describe('decodeBackpressureSignal (OVER-19, OVER-20)', () => {
  it('takes what a meter signals, after the wire, and leaves unknown fields out', () => {
    const codec = msgpackCodec(z.unknown())
    const meter = new BackpressureMeter({ epoch: 2 ** 53 - 1 })
    meter.update(1)
    const signal = meter.signal()
    expect(decodeBackpressureSignal(codec.decode(codec.encode(signal)))).toEqual(signal)
    const decoded = decodeBackpressureSignal({ ...good, later: true })
    expect(decoded).toEqual(good)
    expect(Object.isFrozen(decoded)).toBe(true)
  })

  it.each([
    ['level', undefined],
    ['level', 'REJECT'],
    ['level', 3],
    ['level', '__proto__'],
    ['delayMs', undefined],
    ['delayMs', -1],
    ['delayMs', NaN],
    ['delayMs', Infinity],
    ['delayMs', '100'],
    ['epoch', undefined],
    ['epoch', -1],
    ['epoch', 0.5],
    ['epoch', 2 ** 53],
    ['epoch', 3n],
    ['seq', undefined],
    ['seq', -1],
    ['seq', NaN],
    ['seq', '9'],
  ])('refuses a %s of %s, and names it', (path, value) => {
    const decode = () => decodeBackpressureSignal({ ...good, [path]: value })
    expect(decode).toThrow(expect.objectContaining({ code: 'DECODE_ERROR', reason: 'schema', path }) as Error)
  })

  it.each([undefined, null, 7, 'none', [], () => good])('refuses %s', (value) => {
    expect(() => decodeBackpressureSignal(value)).toThrow(expect.objectContaining({ code: 'DECODE_ERROR' }) as Error)
  })

  it('refuses what throws when it is read, with what it threw as the cause', () => {
    const cause = new Error('hostile')
    const hostile = {
      ...good,
      get seq(): number {
        throw cause
      },
    }
    const decode = () => decodeBackpressureSignal(hostile)
    expect(decode).toThrow(expect.objectContaining({ code: 'DECODE_ERROR', cause }) as Error)
  })

  it('returns a signal or throws a DecodeError, whatever it is given', () => {
    const field = fc.oneof(fc.anything(), fc.constantFrom('none', 'reject'), fc.nat())
    fc.assert(
      fc.property(fc.record({ level: field, delayMs: field, epoch: field, seq: field }), (value) => {
        try {
          const signal = decodeBackpressureSignal(value)
          expect(signal).toEqual(value)
        } catch (error) {
          expect(HsError.is(error, 'DECODE_ERROR')).toBe(true)
        }
      }),
    )
  })
})
