import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HsError } from '@hs/core'
import { SequenceGate, fenceTerm, fenceToken, parseShardKey, shardKey } from '@hs/jobs'

const id = fc.stringMatching(/^[A-Za-z0-9._:-]{1,128}$/)

describe('shardKey', () => {
  it('is read back as it was written', () => {
    fc.assert(
      fc.property(id, id, fc.nat(), (jobId, workflowId, shard) => {
        expect(parseShardKey(shardKey(jobId, workflowId, shard))).toEqual({ jobId, workflowId, shard })
      }),
    )
  })

  it('is jobId/workflowId/index', () => {
    expect(shardKey('j1', 'load', 3)).toBe('j1/load/3')
  })

  it.each([
    ['a slash in an id', () => shardKey('a/b', 'w', 0)],
    ['an empty id', () => shardKey('', 'w', 0)],
    ['an id of 129 characters', () => shardKey('a'.repeat(129), 'w', 0)],
    ['a negative index', () => shardKey('j', 'w', -1)],
    ['an index that is no integer', () => shardKey('j', 'w', 0.5)],
    ['a key of two parts', () => parseShardKey('j/w')],
    ['a key of four parts', () => parseShardKey('j/w/0/1')],
    ['a key with a leading zero', () => parseShardKey('j/w/01')],
    ['a key with a sign', () => parseShardKey('j/w/-1')],
    ['an empty key', () => parseShardKey('')],
  ])('refuses %s', (_what, call) => {
    expect(call).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})

describe('fenceToken (JOBS-15)', () => {
  const term = fc.nat(2 ** 21 - 1)
  const sequence = fc.integer({ min: 0, max: 2 ** 32 - 1 })

  it('is an exact integer that orders by term, then by sequence', () => {
    fc.assert(
      fc.property(term, sequence, term, sequence, (t1, s1, t2, s2) => {
        const a = fenceToken(t1, s1)
        const b = fenceToken(t2, s2)
        expect(Number.isSafeInteger(a)).toBe(true)
        expect(Math.sign(a - b)).toBe(Math.sign(t1 - t2 || s1 - s2))
        expect(fenceTerm(a)).toBe(t1)
      }),
    )
  })

  it('reaches to the last term and sequence', () => {
    expect(fenceToken(2 ** 21 - 1, 2 ** 32 - 1)).toBe(Number.MAX_SAFE_INTEGER)
    expect(fenceTerm(Number.MAX_SAFE_INTEGER)).toBe(2 ** 21 - 1)
  })

  it.each([
    [-1, 0],
    [0, -1],
    [2 ** 21, 0],
    [0, 2 ** 32],
    [0.5, 0],
    [0, 0.5],
    [NaN, 0],
    [0, Infinity],
  ])('refuses term %s with sequence %s', (t, s) => {
    expect(() => fenceToken(t, s)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it('has no term for what is no token', () => {
    for (const token of [-1, 0.5, NaN, 2 ** 53]) expect(() => fenceTerm(token)).toThrow(HsError)
  })
})

describe('SequenceGate (JOBS-22, JOBS-33)', () => {
  it('lets the first of an epoch set the base', () => {
    const gate = new SequenceGate()
    expect(gate.admit(1, 17)).toBe('new')
    expect([gate.epoch, gate.sequence, gate.gaps]).toEqual([1, 17, 0])
  })

  it('counts what was passed over, and refuses what comes late or twice', () => {
    const gate = new SequenceGate()
    gate.admit(1, 1)
    expect(gate.admit(1, 4)).toBe('new')
    expect(gate.gaps).toBe(2)
    expect(gate.admit(1, 4)).toBe('duplicate')
    expect(gate.admit(1, 2)).toBe('stale')
    expect(gate.sequence).toBe(4)
  })

  it('begins anew with a higher epoch and never believes the old one again', () => {
    const gate = new SequenceGate()
    gate.admit(1, 100)
    expect(gate.admit(2, 1)).toBe('new')
    expect(gate.admit(1, 101)).toBe('stale')
    expect([gate.epoch, gate.sequence, gate.gaps]).toEqual([2, 1, 0])
  })

  it('lets through a strictly growing sequence whatever comes in', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(9))), (messages) => {
        const gate = new SequenceGate()
        const seen = messages.filter(([epoch, sequence]) => gate.admit(epoch, sequence) === 'new')
        for (let at = 1; at < seen.length; at++) {
          const [epoch, sequence] = seen[at]!
          const [lastEpoch, lastSequence] = seen[at - 1]!
          expect(epoch > lastEpoch || (epoch === lastEpoch && sequence > lastSequence)).toBe(true)
        }
      }),
    )
  })

  it('refuses what is no sequence', () => {
    expect(() => new SequenceGate().admit(0, 0.5)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => new SequenceGate().admit(-1, 0)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})
