import { describe, expect, it } from 'vitest'
import { ConfigError, DecodeError } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import { JobTimeout, type JobTimeoutOptions, type TimeoutWire } from '@hs/jobs'

function setUp(options: Partial<JobTimeoutOptions> = {}) {
  const clock = new VirtualClock({ startMs: 5_000 })
  return { clock, timeout: new JobTimeout({ timeoutMs: 1_000, clock, ...options }) }
}

describe('local timeout (JOBS-25, JOBS-26)', () => {
  it('expires at the deadline, once', () => {
    const { clock, timeout } = setUp()
    expect(timeout.check()).toEqual({ kind: 'ok', nextCheckMs: 1_000 })
    clock.advance(999)
    expect(timeout.check()).toEqual({ kind: 'ok', nextCheckMs: 1 })
    clock.advance(1)
    expect(timeout.check()).toEqual({ kind: 'expire', reason: 'deadline' })
    expect(timeout.check()).toEqual({ kind: 'done' })
  })

  it('moves its deadline with what is granted', () => {
    const { clock, timeout } = setUp()
    timeout.extend(500)
    clock.advance(1_499)
    expect(timeout.check().kind).toBe('ok')
    clock.advance(1)
    expect(timeout.check().kind).toBe('expire')
  })

  it('does not take silence for trouble unless asked to', () => {
    const { clock, timeout } = setUp({ timeoutMs: 1_000_000 })
    clock.advance(999_999)
    expect(timeout.check().kind).toBe('ok')
  })

  it('is stuck after a silence, which progress and extensions end', () => {
    const { clock, timeout } = setUp({ timeoutMs: 100_000, stuckMs: 300 })
    clock.advance(299)
    timeout.progress()
    clock.advance(299)
    expect(timeout.check()).toEqual({ kind: 'ok', nextCheckMs: 1 })
    timeout.extend(0)
    clock.advance(299)
    expect(timeout.check().kind).toBe('ok')
    clock.advance(1)
    expect(timeout.check()).toEqual({ kind: 'expire', reason: 'stuck' })
  })

  it('is over when it is stopped, and holds no timer at any time (B7, 6.2)', () => {
    const { clock, timeout } = setUp()
    timeout.check()
    expect(clock.pendingTimers).toBe(0)
    timeout.stop()
    expect(timeout.check()).toEqual({ kind: 'done' })
    expect(timeout.declare(1)).toBe(false)
  })
})

describe('coordinated timeout (JOBS-25)', () => {
  const coordinated = { mode: 'coordinated', fallbackMs: 2_000 } as const

  it('reports once, waits, and decides alone when nobody answers', () => {
    const { clock, timeout } = setUp(coordinated)
    clock.advance(1_000)
    expect(timeout.check()).toEqual({ kind: 'report', reason: 'deadline' })
    expect(timeout.check()).toEqual({ kind: 'reported', nextCheckMs: 2_000 })
    clock.advance(1_999)
    expect(timeout.check()).toEqual({ kind: 'reported', nextCheckMs: 1 })
    clock.advance(1)
    expect(timeout.check()).toEqual({ kind: 'expire', reason: 'coordinator-unreachable' })
    expect(timeout.check()).toEqual({ kind: 'done' })
  })

  it('takes the decision of the coordinator, before or after its own report', () => {
    const { timeout } = setUp(coordinated)
    expect(timeout.declare(3)).toBe(true)
    expect(timeout.check()).toEqual({ kind: 'done' })
    expect(timeout.declare(4)).toBe(false)
  })

  it('refuses a decision below the highest it has seen', () => {
    const { clock, timeout } = setUp(coordinated)
    const known = JobTimeout.fromWire({ ...timeout.toWire(), fence: 7 }, { clock })
    expect(known.declare(6)).toBe(false)
    expect(known.check().kind).toBe('ok')
    expect(known.declare(7)).toBe(true)
  })

  it('goes on when time was granted after the report, and reports anew', () => {
    const { clock, timeout } = setUp(coordinated)
    clock.advance(1_000)
    timeout.check()
    timeout.extend(500)
    expect(timeout.check()).toEqual({ kind: 'ok', nextCheckMs: 500 })
    clock.advance(500)
    expect(timeout.check()).toEqual({ kind: 'report', reason: 'deadline' })
  })

  it('goes on when what was reported as stuck moves again', () => {
    const { clock, timeout } = setUp({ ...coordinated, timeoutMs: 100_000, stuckMs: 100 })
    clock.advance(100)
    expect(timeout.check()).toEqual({ kind: 'report', reason: 'stuck' })
    timeout.progress()
    expect(timeout.check()).toEqual({ kind: 'ok', nextCheckMs: 100 })
  })
})

describe('between machines (JOBS-26)', () => {
  it('goes on where it stood, though the clocks have nothing in common', () => {
    const { clock, timeout } = setUp({ timeoutMs: 10_000, stuckMs: 4_000, mode: 'coordinated' })
    clock.advance(1_000)
    const elsewhere = new VirtualClock({ startMs: 77_000_000 })
    const wire = JSON.parse(JSON.stringify(timeout.toWire())) as TimeoutWire
    const moved = JobTimeout.fromWire(wire, { clock: elsewhere })
    expect(moved.check()).toEqual({ kind: 'ok', nextCheckMs: 3_000 })
    elsewhere.advance(3_000)
    expect(moved.check()).toEqual({ kind: 'report', reason: 'stuck' })
    elsewhere.advance(500)
    const again = JobTimeout.fromWire(moved.toWire(), { clock: new VirtualClock() })
    expect(again.check()).toEqual({ kind: 'reported', nextCheckMs: 299_500 })
    expect(again.toWire()).toMatchObject({ remainingMs: 5_500, silentMs: 4_500, reportedForMs: 500, fence: -1 })
  })

  it('stays over', () => {
    const { clock, timeout } = setUp()
    timeout.declare(2)
    expect(JobTimeout.fromWire(timeout.toWire(), { clock }).check()).toEqual({ kind: 'done' })
  })

  it('ignores unknown fields and refuses malformed ones', () => {
    const { clock, timeout } = setUp()
    const wire = timeout.toWire()
    expect(JobTimeout.fromWire({ ...wire, later: 1 } as TimeoutWire, { clock }).check().kind).toBe('ok')
    for (const bad of [{ ...wire, remainingMs: 'soon' }, { ...wire, mode: 'other' }, null, 7]) {
      expect(() => JobTimeout.fromWire(bad as unknown as TimeoutWire, { clock })).toThrow(DecodeError)
    }
  })
})

describe('options of JobTimeout', () => {
  it('are checked', () => {
    expect(() => setUp({ timeoutMs: 0 })).toThrow(ConfigError)
    expect(() => setUp({ stuckMs: -1 })).toThrow(ConfigError)
    const { timeout } = setUp()
    expect(() => timeout.extend(-1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => timeout.declare(0.5)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})
