import { msgpackCodec } from '@hs/core'
import { JobStats, type DatacenterReport, type JobStatsWire } from '@hs/crdt'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'

const MAX = Number.MAX_SAFE_INTEGER
const code = (code: string): unknown => expect.objectContaining({ code })
const report = (change: Partial<DatacenterReport> = {}): DatacenterReport => ({
  completed: 100,
  failed: 2,
  rate: 10,
  status: 'running',
  time: 5,
  ...change,
})

describe('JobStats (CRDT-19..21)', () => {
  it('counts the same report through two gates, twice each, once', () => {
    const gates = [new JobStats('job'), new JobStats('job')]
    for (let i = 0; i < 2; i++) for (const gate of gates) gate.observe('east', report())
    for (const gate of gates) for (const other of gates) gate.merge(JobStats.fromWire(other.toWire()))
    for (const gate of gates) expect([gate.totalCompleted, gate.totalFailed, gate.totalRate]).toEqual([100, 2, 10])
  })

  it('raises each count by itself, and takes rate and status together', () => {
    const stats = new JobStats('job')
    expect(stats.observe('east', report())).toBe(true)
    expect(stats.observe('east', report())).toBe(false)
    expect(stats.observe('east', report({ time: 4, completed: 150, failed: 1, rate: 99, status: 'old' }))).toBe(true)
    expect(stats.datacenter('east')).toEqual({ name: 'east', ...report({ completed: 150 }) })
    expect(stats.observe('east', report({ time: 6, completed: 0, rate: 3, status: 'done' }))).toBe(true)
    expect(stats.datacenter('east')).toEqual({
      name: 'east',
      ...report({ completed: 150, time: 6, rate: 3, status: 'done' }),
    })
    expect(stats.datacenter('unknown')).toBeUndefined()
    expect(Object.isFrozen(stats.datacenter('east'))).toBe(true)
  })

  it('settles two values of one time, whichever side merges', () => {
    const [a, b] = [new JobStats('job'), new JobStats('job')]
    a.observe('east', report({ rate: 5, status: 'x' }))
    b.observe('east', report({ rate: 10, status: 'a' }))
    const ab = a.clone()
    ab.merge(b)
    b.merge(a)
    expect(ab.equals(b)).toBe(true)
    expect(ab.datacenter('east')).toMatchObject({ rate: 5, status: 'x' })
  })

  it('adds rates in order of name, so that all gates show the same last digit', () => {
    const rates = [0.1, 0.2, 0.3, 1e16, 0.7]
    const [a, b] = [new JobStats('job'), new JobStats('job')]
    for (const [i, rate] of rates.entries()) a.observe(`dc${i}`, report({ rate }))
    for (const [i, rate] of [...rates.entries()].reverse()) b.observe(`dc${i}`, report({ rate }))
    expect(a.totalRate).toBe(rates.reduce((sum, rate) => sum + rate, 0))
    expect(b.totalRate).toBe(a.totalRate)
    a.observe('dc0', report({ rate: Number.MAX_VALUE, time: 9 }))
    a.observe('dc1', report({ rate: Number.MAX_VALUE, time: 9 }))
    expect(a.totalRate).toBe(Number.MAX_VALUE)
  })

  it.each<[string, unknown]>([
    ['no report', undefined],
    ['a negative count', report({ completed: -1 })],
    ['a fraction', report({ failed: 0.5 })],
    ['a count beyond 2^53 - 1', report({ completed: 2 ** 53 })],
    ['a rate below 0', report({ rate: -1 })],
    ['an infinite rate', report({ rate: Infinity })],
    ['no rate', report({ rate: NaN })],
    ['an empty status', report({ status: '' })],
    ['a long status', report({ status: 'x'.repeat(65) })],
    ['time 0', report({ time: 0 })],
  ])('refuses %s, and changes nothing', (_, bad) => {
    const stats = new JobStats('job')
    stats.observe('east', report())
    stats.takeDelta()
    const wire = stats.toWire()
    expect(() => stats.observe('east', bad as DatacenterReport)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => stats.observe('new', bad as DatacenterReport)).toThrow(code('INVALID_ARGUMENT'))
    expect([stats.toWire(), stats.takeDelta()]).toEqual([wire, null])
  })

  it('refuses bad names', () => {
    const stats = new JobStats('job')
    for (const bad of ['', '~gate', 'x'.repeat(257), 5] as string[]) {
      expect(() => stats.observe(bad, report())).toThrow(code('INVALID_ARGUMENT'))
      expect(() => stats.retire(bad, 1, 'gate')).toThrow(code('INVALID_ARGUMENT'))
      expect(() => stats.forget(bad)).toThrow(code('INVALID_ARGUMENT'))
    }
    expect(() => stats.retire('east', 1, '')).toThrow(code('INVALID_ARGUMENT'))
    expect(() => stats.retire('east', 0, 'gate')).toThrow(code('INVALID_ARGUMENT'))
    expect(() => new JobStats('')).toThrow(code('INVALID_ARGUMENT'))
    expect(stats.takeDelta()).toBeNull()
  })

  it('merges stats of its own job only', () => {
    const stats = new JobStats('job')
    const other = new JobStats('other')
    other.observe('east', report())
    expect(() => stats.merge(other)).toThrow(code('CRDT_MISMATCH'))
    expect([stats.totalCompleted, stats.takeDelta(), stats.equals(new JobStats('other'))]).toEqual([0, null, false])
  })

  it('half-merges nothing: a limit in the last field leaves snapshot, wire and delta as they were', () => {
    const stats = new JobStats('job', { maxEntries: 1 })
    stats.observe('east', report())
    stats.retire('east', 6, 'gate-1')
    const before = { wire: stats.toWire(), snapshot: stats.snapshot(), delta: stats.clone() }
    const other = stats.clone()
    const wide = JobStats.fromWire(other.toWire(), { maxEntries: 9 })
    wide.observe('east', report({ completed: 900, time: 9, rate: 77 }))
    wide.retire('east', 10, 'gate-2') // the second gate is what is too much
    expect(() => stats.merge(wide)).toThrow(code('LIMIT_EXCEEDED'))
    expect(() => stats.observe('west', report())).toThrow(code('LIMIT_EXCEEDED'))
    expect(() => stats.retire('west', 1, 'gate-1')).toThrow(code('LIMIT_EXCEEDED'))
    expect({ wire: stats.toWire(), snapshot: stats.snapshot() }).toMatchObject({
      wire: before.wire,
      snapshot: before.snapshot,
    })
    expect(stats.takeDelta()?.equals(before.delta)).toBe(true)
  })

  it('takes 1,024 datacenters by default', () => {
    const stats = new JobStats('job')
    for (let i = 0; i < 1_024; i++) stats.observe(`dc${i}`, report())
    expect(() => stats.observe('one more', report())).toThrow(code('LIMIT_EXCEEDED'))
    expect(stats.snapshot().datacenters.length).toBe(1_024)
  })

  it('saturates totals', () => {
    const stats = new JobStats('job')
    stats.observe('east', report({ completed: MAX, failed: MAX }))
    stats.observe('west', report({ completed: MAX }))
    expect([stats.totalCompleted, stats.totalFailed]).toEqual([MAX, MAX])
  })

  it('has a delta of one row in 64 bytes', () => {
    const stats = new JobStats('job-1')
    for (const name of ['dc-a', 'dc-b', 'dc-c', 'dc-d', 'dc-e']) stats.observe(name, report())
    stats.takeDelta()
    stats.observe('dc-c', report({ completed: 1_200_000, rate: 410.25, time: 7_000 }))
    const wire = stats.takeDelta()?.toWire()
    expect(wire).toEqual({ j: 'job-1', d: ['dc-c', 1_200_000, 2, 7_000, 410.25, 'running'] })
    expect(msgpackCodec(z.unknown()).encode(wire).length).toBeLessThanOrEqual(64)
  })
})

describe('retiring a datacenter (CRDT-22)', () => {
  it('keeps its counts and drops its rate', () => {
    const stats = new JobStats('job')
    stats.observe('east', report())
    stats.observe('west', report({ completed: 1, failed: 0, rate: 3 }))
    expect(stats.retire('east', 6, 'gate')).toBe(true)
    expect([stats.totalCompleted, stats.totalFailed, stats.totalRate]).toEqual([101, 2, 3])
    expect(stats.datacenter('east')).toBeUndefined()
    expect(stats.snapshot()).toEqual({
      jobId: 'job',
      completed: 101,
      failed: 2,
      rate: 3,
      datacenters: [{ name: 'west', completed: 1, failed: 0, rate: 3, status: 'running', time: 5 }],
      retired: { completed: 100, failed: 2 },
    })
    expect(stats.retire('east', 6, 'gate')).toBe(false)
    expect(stats.toWire()).toEqual({
      j: 'job',
      d: ['west', 1, 0, 5, 3, 'running'],
      g: ['east', 100, 2, 6],
      k: ['gate', 100, 2],
      f: ['east', 'gate', 100, 2],
    })
  })

  it('has no effect where a report that is not older is here', () => {
    const stats = new JobStats('job')
    stats.observe('east', report())
    stats.takeDelta()
    expect([stats.retire('east', 4, 'gate'), stats.retire('east', 5, 'gate')]).toEqual([false, false])
    expect([stats.totalRate, stats.takeDelta(), stats.toWire().k]).toEqual([10, null, undefined])
  })

  it('is undone by a later report, and what it counts more is counted once', () => {
    const stats = new JobStats('job')
    stats.observe('east', report())
    stats.retire('east', 6, 'gate')
    expect(stats.observe('east', report({ completed: 130, time: 6 }))).toBe(true) // a value beats a deletion
    expect([stats.totalCompleted, stats.totalRate]).toEqual([130, 10])
    expect(stats.snapshot()).toMatchObject({ completed: 130, retired: { completed: 0 } })
    expect(stats.datacenter('east')?.completed).toBe(130)
    expect(stats.retire('east', 7, 'gate')).toBe(true)
    expect([stats.totalCompleted, stats.snapshot().retired]).toEqual([130, { completed: 130, failed: 2 }])
  })

  it('is exact when two gates retire at once, and when counts surface late', () => {
    const a = new JobStats('job')
    a.observe('east', report())
    const b = a.clone()
    a.retire('east', 6, 'gate-a')
    b.retire('east', 7, 'gate-b')
    a.merge(b)
    b.merge(a)
    expect(a.equals(b)).toBe(true)
    expect([a.totalCompleted, a.snapshot().retired.completed]).toEqual([100, 100])
    expect(a.observe('east', report({ completed: 120, time: 1 }))).toBe(true)
    expect([a.totalCompleted, a.totalRate, a.snapshot().retired.completed]).toEqual([120, 0, 120])
  })

  it('never lets a peer count twice, though the delta of a retirement was lost', () => {
    const gate = new JobStats('job')
    gate.observe('east', report())
    gate.observe('west', report())
    const peer = gate.clone()
    gate.takeDelta()
    gate.retire('east', 6, 'gate')
    gate.takeDelta() // lost
    gate.retire('west', 6, 'gate')
    peer.merge(gate.takeDelta() ?? gate)
    expect(peer.totalCompleted).toBe(200)
  })

  it('knows a retirement before the first report', () => {
    const stats = new JobStats('job')
    expect(stats.retire('east', 6, 'gate')).toBe(true)
    stats.observe('east', report())
    expect([stats.datacenter('east'), stats.totalCompleted]).toEqual([undefined, 100])
    expect([stats.forget('east'), stats.retire('east', 7, 'gate'), stats.forget('east')]).toEqual([false, true, true])
    expect(stats.totalCompleted).toBe(100)
  })

  it('forgets only what is retired and taken over', () => {
    const stats = new JobStats('job')
    stats.observe('east', report())
    expect([stats.forget('east'), stats.forget('unknown')]).toEqual([false, false])
    stats.retire('east', 6, 'gate')
    const peer = stats.clone()
    expect([stats.forget('east'), stats.forget('east'), stats.totalCompleted]).toEqual([true, false, 100])
    expect(stats.toWire()).toEqual({ j: 'job', d: [], k: ['gate', 100, 2] })
    expect(stats.snapshot().retired).toEqual({ completed: 100, failed: 2 })
    stats.merge(peer)
    expect(stats.totalCompleted).toBe(100)
  })

  it('refuses what the record of the gate cannot hold, and changes nothing', () => {
    const stats = new JobStats('job')
    stats.observe('east', report({ completed: MAX }))
    stats.observe('west', report({ completed: 1 }))
    stats.retire('east', 6, 'gate')
    stats.takeDelta()
    const wire = stats.toWire()
    expect(() => stats.retire('west', 6, 'gate')).toThrow(code('CRDT_OVERFLOW'))
    expect([stats.toWire(), stats.takeDelta()]).toEqual([wire, null])
  })
})

describe('JobStats on the wire and in snapshots (CRDT-5, 20, 23)', () => {
  const good: JobStatsWire = {
    j: 'job',
    d: ['west', 1, 0, 5, 3, 'running'],
    g: ['east', 100, 2, 6],
    k: ['gate', 100, 2],
    f: ['east', 'gate', 100, 2],
  }

  it.each<[string, unknown]>([
    ['no object', []],
    ['no job', { ...good, j: undefined }],
    ['an empty job', { ...good, j: '' }],
    ['no datacenters', { ...good, d: undefined }],
    ['an odd row', { ...good, d: ['west', 1, 0, 5, 3] }],
    ['a datacenter twice', { ...good, d: [...good.d, ...good.d] }],
    ['a datacenter that lives and is retired', { ...good, g: ['west', 1, 0, 5] }],
    ['a name with ~', { ...good, d: ['~west', 1, 0, 5, 3, 'running'] }],
    ['a negative count', { ...good, d: ['west', -1, 0, 5, 3, 'running'] }],
    ['a negative rate', { ...good, d: ['west', 1, 0, 5, -3, 'running'] }],
    ['an infinite rate', { ...good, d: ['west', 1, 0, 5, Infinity, 'running'] }],
    ['an empty status', { ...good, d: ['west', 1, 0, 5, 3, ''] }],
    ['a long status', { ...good, d: ['west', 1, 0, 5, 3, 'x'.repeat(65)] }],
    ['time 0', { ...good, d: ['west', 1, 0, 0, 3, 'running'] }],
    ['time beyond maxTime', { ...good, d: ['west', 1, 0, 1_001, 3, 'running'] }],
    ['a deletion beyond maxTime', { ...good, g: ['east', 100, 2, 1_001] }],
    ['a gate twice', { ...good, k: ['gate', 1, 1, 'gate', 1, 1] }],
    ['a fold of nobody', { ...good, f: ['north', 'gate', 1, 1] }],
    ['a fold into nobody', { ...good, f: ['east', 'other', 1, 1] }],
    ['a fold twice', { ...good, f: [...(good.f ?? []), ...(good.f ?? [])] }],
    ['too many', { ...good, d: ['a', 1, 0, 5, 3, 'r', 'b', 1, 0, 5, 3, 'r'] }],
  ])('refuses %s', (_, wire) => {
    const limits = { maxTime: 1_000, maxEntries: 2 }
    expect(JobStats.fromWire(good, limits).totalCompleted).toBe(101)
    expect(() => JobStats.fromWire(wire, limits)).toThrow(code('DECODE_ERROR'))
  })

  it('keeps a snapshot frozen and independent of later changes', () => {
    const stats = JobStats.fromWire(good)
    const snapshot = stats.snapshot()
    const text = JSON.stringify(snapshot)
    stats.observe('west', report({ completed: 99, time: 9 }))
    expect(JSON.stringify(snapshot)).toBe(text)
    expect(
      Object.isFrozen(snapshot) && Object.isFrozen(snapshot.datacenters) && Object.isFrozen(snapshot.retired),
    ).toBe(true)
  })
})
