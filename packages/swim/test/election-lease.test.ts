import { describe, expect, it } from 'vitest'
import { ElectionLease } from '../src/election-lease.js'
import { FlapDamper } from '../src/election-flapping.js'
import { compareLists, faultOfVoters, hasQuorum, quorumOf } from '../src/election-voters.js'

describe('ElectionLease (SWIM-47)', () => {
  it('runs from the sending of the newest heartbeat that a quorum has acknowledged', () => {
    const lease = new ElectionLease(3_000, 5)
    const sent = [0, 1_000, 2_000].map((at) => lease.send(at))
    expect(sent).toEqual([1, 2, 3])
    lease.ack('a', 3)
    lease.extendBySize(3)
    expect(lease.untilMs).toBe(-Infinity)
    lease.ack('b', 1)
    lease.extendBySize(3)
    expect(lease.untilMs).toBe(3_000)
    lease.ack('c', 2)
    lease.extendBySize(3)
    expect(lease.untilMs).toBe(4_000)
  })

  it('takes no acknowledgement of what was not sent, nor an older one', () => {
    const lease = new ElectionLease(3_000, 5)
    lease.send(0)
    expect(lease.ack('a', 2)).toBe(false)
    expect(lease.ack('a', 1)).toBe(true)
    expect(lease.ack('a', 1)).toBe(false)
  })

  it('needs a quorum of both lists while voters change', () => {
    const lease = new ElectionLease(3_000, 5)
    lease.send(0)
    for (const name of ['a', 'c', 'd']) lease.ack(name, 1)
    lease.extendByLists([
      ['a', 'b'],
      ['a', 'c', 'd'],
    ])
    expect(lease.untilMs).toBe(-Infinity)
    lease.ack('b', 1)
    lease.extendByLists([
      ['a', 'b'],
      ['a', 'c', 'd'],
    ])
    expect(lease.untilMs).toBe(3_000)
  })

  it('forgets heartbeats that are older than any lease, and never becomes shorter', () => {
    const lease = new ElectionLease(3_000, 3)
    for (let i = 0; i < 10; i++) lease.send(i * 1_000)
    lease.ack('a', 9)
    lease.ack('b', 9)
    lease.extendBySize(2)
    expect(lease.untilMs).toBe(11_000)
    const late = new ElectionLease(3_000, 3)
    for (let i = 0; i < 10; i++) late.send(i * 1_000)
    late.ack('a', 2)
    late.extendBySize(1)
    expect(late.untilMs).toBe(-Infinity)
  })
})

describe('FlapDamper (SWIM-55)', () => {
  it('starts with the fifth change in a minute, grows by half and ends at a minute', () => {
    const damper = new FlapDamper(3_000)
    const told = Array.from({ length: 14 }, (_, i) => damper.change(i * 1_000)?.cooldownMs)
    expect(told.slice(0, 7)).toEqual([undefined, undefined, undefined, undefined, 3_000, 4_500, 6_750])
    expect(told.at(-1)).toBe(60_000)
    expect(damper.cooldownMs(72_999)).toBe(60_000)
    expect(damper.cooldownMs(73_000)).toBe(0)
    expect(damper.change(73_000)).toBeUndefined()
  })

  it('does not count changes that are further apart', () => {
    const damper = new FlapDamper(3_000)
    for (let i = 0; i < 100; i++) expect(damper.change(i * 15_001)).toBeUndefined()
  })
})

describe('lists of voters (SWIM-51)', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [7, 4],
  ])('of %d have a quorum of %d', (n, quorum) => {
    expect(quorumOf(n)).toBe(quorum)
  })

  it('are ordered by term, then version', () => {
    const list = (term: number, version: number) => ({ voters: ['a'], term, version })
    expect(compareLists(list(2, 0), list(1, 9))).toBeGreaterThan(0)
    expect(compareLists(list(2, 1), list(2, 0))).toBeGreaterThan(0)
    expect(compareLists(list(2, 1), list(2, 1))).toBe(0)
  })

  it('count only those on them', () => {
    const list = { voters: ['a', 'b', 'c'], term: 1, version: 0 }
    expect(hasQuorum(list, new Set(['a', 'x', 'y']))).toBe(false)
    expect(hasQuorum(list, new Set(['a', 'c']))).toBe(true)
  })

  it.each([
    [[], 'at least one'],
    [['a', 'a'], 'each voter once'],
    [['a b'], 'names of members'],
    [Array.from({ length: 32 }, (_, i) => `n${i}`), 'at most 31'],
    [Array.from({ length: 20 }, (_, i) => `${'x'.repeat(60)}${i}`), 'bytes together'],
  ])('cannot be %o', (voters, why) => {
    expect(faultOfVoters(voters)).toContain(why)
  })
})
