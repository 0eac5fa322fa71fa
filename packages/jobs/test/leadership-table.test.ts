import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError, LimitError } from '@hs/core'
import { LeadershipTable, type LeadershipClaim } from '@hs/jobs'

const claim = (jobId: string, leaderId: string, fence: number): LeadershipClaim => ({
  jobId,
  leaderId,
  address: `${leaderId}:1`,
  fence,
})

describe('LeadershipTable (JOBS-36)', () => {
  it('lets the higher fence win, and at the same fence the smaller id', () => {
    const table = new LeadershipTable({ nodeId: 'b' })
    expect(table.claim(claim('j', 'b', 1))).toBe('accepted')
    expect(table.isLeader('j')).toBe(true)
    expect(table.claim(claim('j', 'b', 1))).toBe('same')
    expect(table.claim(claim('j', 'c', 1))).toBe('stale')
    expect(table.claim(claim('j', 'a', 1))).toBe('accepted')
    expect(table.claim(claim('j', 'c', 2))).toBe('accepted')
    expect(table.claim(claim('j', 'a', 1))).toBe('stale')
    expect(table.leaderOf('j')).toEqual(claim('j', 'c', 2))
    expect(table.isLeader('j')).toBe(false)
  })

  it('lists what a node leads, and forgets a job that is over', () => {
    const table = new LeadershipTable({ nodeId: 'a' })
    expect(table.merge([claim('j1', 'a', 1), claim('j2', 'b', 1), claim('j3', 'a', 1), claim('j1', 'b', 1)])).toBe(3)
    expect(table.ledBy('a')).toEqual(['j1', 'j3'])
    expect(table.ledBy('x')).toEqual([])
    expect(table.release('j1')).toBe(true)
    expect(table.release('j1')).toBe(false)
    expect([table.size, table.leaderOf('j1'), table.isLeader('j1')]).toEqual([2, undefined, false])
  })

  it('agrees everywhere, in whatever order claims are heard', () => {
    const claims = fc.array(
      fc.record({
        jobId: fc.constantFrom('j1', 'j2'),
        leaderId: fc.constantFrom('a', 'b', 'c'),
        address: fc.constantFrom('x:1', 'y:1'),
        fence: fc.integer({ min: 0, max: 3 }),
      }),
    )
    fc.assert(
      fc.property(
        claims.chain((heard) => fc.tuple(fc.constant(heard), fc.shuffledSubarray(heard, { minLength: heard.length }))),
        ([heard, shuffled]) => {
          const one = new LeadershipTable({ nodeId: 'a' })
          const other = new LeadershipTable({ nodeId: 'b' })
          for (const each of heard) one.claim(each)
          other.merge(shuffled)
          for (const jobId of ['j1', 'j2']) expect(one.leaderOf(jobId)).toEqual(other.leaderOf(jobId))
          expect(one.merge(other.toWire())).toBe(0)
        },
      ),
    )
  })

  it('carries its claims to another table', () => {
    const table = new LeadershipTable({ nodeId: 'a' })
    table.merge([claim('j1', 'a', 1), claim('j2', 'b', 7)])
    const other = new LeadershipTable({ nodeId: 'x' })
    expect(other.merge(JSON.parse(JSON.stringify(table.toWire())) as LeadershipClaim[])).toBe(2)
    expect(other.toWire()).toEqual(table.toWire())
  })

  it('takes no more jobs than allowed, but any claim of those it has', () => {
    const table = new LeadershipTable({ nodeId: 'a', maxJobs: 1 })
    table.claim(claim('j1', 'a', 1))
    expect(() => table.claim(claim('j2', 'a', 1))).toThrow(LimitError)
    expect(table.claim(claim('j1', 'b', 2))).toBe('accepted')
  })

  it('refuses what is no claim, and changes nothing', () => {
    const table = new LeadershipTable({ nodeId: 'a' })
    for (const bad of [
      { fence: -1 },
      { fence: 0.5 },
      { jobId: '' },
      { leaderId: '' },
      { address: 7 as unknown as string },
    ]) {
      const list = [claim('j2', 'a', 1), { ...claim('j1', 'a', 1), ...bad }]
      expect(() => table.merge(list)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
    expect(table.size).toBe(0)
    expect(() => new LeadershipTable({ nodeId: '' })).toThrow(ConfigError)
  })
})
