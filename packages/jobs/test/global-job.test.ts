import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import {
  GlobalJob,
  resolveOutcome,
  type DcJobResult,
  type DcJobSnapshot,
  type GlobalJobOptions,
  type JobStatus,
} from '@hs/jobs'

function setUp(options: Partial<GlobalJobOptions> = {}) {
  const clock = new VirtualClock()
  const job = new GlobalJob({ jobId: 'j', targets: ['eu', 'us'], workflows: ['a', 'b'], clock, ...options })
  return { clock, job }
}

function result(datacenter: string, status: JobStatus = 'completed', more: Partial<DcJobResult> = {}): DcJobResult {
  const completed = status === 'completed' ? 2 : 1
  const accounting = {
    workflows: 2,
    completed,
    failed: 2 - completed,
    timedOut: 0,
    cancelled: 0,
    skipped: 0,
    executions: 3,
    requeued: 1,
    duplicates: 1,
    stale: 2,
  }
  return {
    jobId: 'j',
    datacenter,
    status,
    reason: null,
    durationMs: 5,
    contextVersion: 2,
    errors: [],
    workflows: [],
    accounting,
    ...more,
  }
}

function report(
  datacenter: string,
  sequence: number,
  ended = 0,
  epoch = 1,
  status: JobStatus = 'running',
): DcJobSnapshot {
  const rest = { queued: 0, running: 0, failed: 0, timedOut: 0, cancelled: 0, skipped: 0 }
  const workflows = { total: 2, waiting: 2 - ended, completed: ended, ...rest }
  return { jobId: 'j', datacenter, epoch, sequence, status, done: 0, contextVersion: 0, workflows, plans: {} }
}

describe('completion (JOBS-32)', () => {
  it('stays open until every target has given its result (2.9)', () => {
    const { job } = setUp()
    expect(job.dcResult(result('eu'))).toBe('accepted')
    expect([job.status, job.result]).toEqual(['running', null])
    expect(job.dcResult(result('us'))).toBe('accepted')
    expect(job.status).toBe('completed')
    expect(job.check()).toEqual({ kind: 'finished', reason: 'completed', notify: [] })
    expect(job.check()).toEqual({ kind: 'done' })
  })

  it('sums what the datacenters account for', () => {
    const { job, clock } = setUp()
    clock.advance(40)
    job.dcResult(result('eu'))
    job.dcResult(result('us', 'failed'))
    expect(job.result).toMatchObject({
      jobId: 'j',
      status: 'failed',
      reason: null,
      durationMs: 40,
      datacenters: { eu: { status: 'completed' }, us: { status: 'failed' } },
      accounting: {
        workflows: 4,
        completed: 3,
        failed: 1,
        executions: 6,
        requeued: 2,
        duplicates: 2,
        stale: 4,
        missing: 0,
      },
    })
  })

  it('counts the first result of a datacenter and no other (F8, F9)', () => {
    const { job } = setUp()
    job.dcResult(result('eu', 'failed'))
    expect(job.dcResult(result('eu'))).toBe('duplicate')
    job.dcResult(result('us'))
    const before = job.result
    expect(job.dcResult(result('us', 'failed'))).toBe('duplicate')
    expect(job.result).toBe(before)
    expect(job.result?.datacenters['eu']?.status).toBe('failed')
    expect(job.counters).toEqual({ duplicates: 2, stale: 0, late: 0, unknown: 0 })
  })

  it('knows what comes from elsewhere, or after the end', () => {
    const { job, clock } = setUp({ timeoutMs: 100 })
    expect(job.dcResult(result('asia'))).toBe('unknown-datacenter')
    expect(job.progress(report('asia', 1))).toBe('unknown-datacenter')
    expect(job.reportTimeout({ datacenter: 'asia', reason: 'deadline' })).toBe('unknown-datacenter')
    job.dcResult(result('eu'))
    expect(job.progress(report('eu', 9))).toBe('terminal')
    expect(job.reportTimeout({ datacenter: 'eu', reason: 'stuck' })).toBe('terminal')
    clock.advance(100)
    job.check()
    expect(job.status).toBe('timed-out')
    expect(job.dcResult(result('us'))).toBe('late')
    expect(job.progress(report('us', 1))).toBe('terminal')
    expect(job.counters).toEqual({ duplicates: 0, stale: 0, late: 3, unknown: 3 })
    expect(job.result?.accounting.missing).toBe(2)
    expect(() => job.dcResult({ ...result('eu'), jobId: 'other' })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  it('has a fraction that never falls, and is 1 at the end', () => {
    const { job, clock } = setUp({ timeoutMs: 1_000 })
    expect(job.snapshot()).toMatchObject({ fraction: 0, status: 'pending' })
    job.progress(report('eu', 1, 1))
    expect(job.snapshot().fraction).toBe(0.25)
    job.progress(report('eu', 1, 0, 2))
    expect(job.snapshot().fraction).toBe(0.25)
    job.dcResult(result('us'))
    expect(job.snapshot().fraction).toBe(0.5)
    clock.advance(1_000)
    job.check()
    expect(job.snapshot()).toEqual({
      jobId: 'j',
      status: 'timed-out',
      fraction: 1,
      datacenters: {
        eu: { status: 'missing', reported: false, gaps: 0 },
        us: { status: 'completed', reported: true, gaps: 0 },
      },
      counters: { duplicates: 0, stale: 0, late: 0, unknown: 0 },
    })
  })
})

describe('order of progress (JOBS-33)', () => {
  it('goes by epoch and sequence, not by time (2.8)', () => {
    const { job } = setUp()
    expect(job.progress(report('eu', 5))).toBe('accepted')
    expect(job.progress(report('eu', 5))).toBe('duplicate')
    expect(job.progress(report('eu', 4))).toBe('stale')
    expect(job.progress(report('eu', 8))).toBe('accepted')
    expect(job.progress(report('eu', 1, 0, 2))).toBe('accepted')
    expect(job.progress(report('eu', 9, 2, 1))).toBe('stale')
    expect(job.snapshot().datacenters['eu']).toEqual({ status: 'running', reported: false, gaps: 2 })
    expect(job.counters).toMatchObject({ duplicates: 1, stale: 2 })
  })

  it('keeps the order of each datacenter apart', () => {
    const { job } = setUp()
    job.progress(report('eu', 5))
    expect(job.progress(report('us', 1))).toBe('accepted')
  })

  it('begins to run with the first target that does', () => {
    const { job } = setUp()
    job.progress(report('eu', 1, 0, 1, 'pending'))
    expect(job.status).toBe('pending')
    job.progress(report('us', 1))
    expect(job.status).toBe('running')
  })
})

describe('timeouts (JOBS-34)', () => {
  it('end a strict job as soon as one target reports one', () => {
    const { job } = setUp()
    expect(job.reportTimeout({ datacenter: 'eu', reason: 'stuck' })).toBe('accepted')
    expect(job.status).toBe('timed-out')
    expect(job.check()).toEqual({ kind: 'timed-out', reason: 'stuck', notify: ['eu', 'us'] })
    expect(job.result).toMatchObject({ status: 'timed-out', reason: 'stuck', accounting: { missing: 4 } })
    expect(job.reportTimeout({ datacenter: 'us', reason: 'stuck' })).toBe('terminal')
  })

  it('end it at its deadline, which moves with the largest extension', () => {
    const { job, clock } = setUp({ timeoutMs: 1_000 })
    expect(job.check()).toEqual({ kind: 'ok', nextCheckMs: 1_000 })
    job.extend('eu', 300)
    job.extend('us', 200)
    job.extend('asia', 9_000)
    expect(job.check()).toEqual({ kind: 'ok', nextCheckMs: 1_300 })
    job.dcResult(result('us'))
    clock.advance(1_300)
    expect(job.check()).toEqual({ kind: 'timed-out', reason: 'deadline', notify: ['eu'] })
  })

  it('end it when an open target is silent for too long, if asked to', () => {
    const { job, clock } = setUp({ stuckMs: 500 })
    clock.advance(400)
    job.progress(report('eu', 1))
    expect(job.check()).toEqual({ kind: 'ok', nextCheckMs: 100 })
    job.dcResult(result('us'))
    clock.advance(499)
    expect(job.check().kind).toBe('ok')
    clock.advance(1)
    expect(job.check()).toEqual({ kind: 'timed-out', reason: 'stuck', notify: ['eu'] })
  })

  it('wait for the account of the targets, if there is time to settle', () => {
    const { job, clock } = setUp({ timeoutMs: 1_000, settleMs: 200 })
    clock.advance(1_000)
    expect(job.check()).toEqual({ kind: 'expiring', reason: 'deadline', notify: ['eu', 'us'] })
    expect(job.check()).toEqual({ kind: 'ok', nextCheckMs: 200 })
    expect(job.status).toBe('pending')
    job.dcResult(result('eu', 'timed-out'))
    job.dcResult(result('us', 'timed-out'))
    expect(job.check()).toEqual({ kind: 'timed-out', reason: 'deadline', notify: [] })
    expect(job.result?.accounting.missing).toBe(0)
  })

  it('count who gives no account in that time as missing', () => {
    const { job, clock } = setUp({ settleMs: 200 })
    job.reportTimeout({ datacenter: 'eu', reason: 'deadline' })
    expect(job.check()).toEqual({ kind: 'expiring', reason: 'deadline', notify: ['eu', 'us'] })
    job.dcResult(result('eu', 'timed-out'))
    clock.advance(200)
    expect(job.check()).toEqual({ kind: 'timed-out', reason: 'deadline', notify: ['us'] })
    expect(job.result?.datacenters).toMatchObject({ eu: { status: 'timed-out' }, us: { status: 'missing' } })
  })
})

describe('cancellation (JOBS-24, JOBS-35)', () => {
  it('ends when every target has confirmed or given its result', () => {
    const { job } = setUp()
    expect(job.cancelAcked('eu')).toBe(false)
    expect(job.cancel('enough')).toEqual({ status: 'cancelling', notify: ['eu', 'us'] })
    expect(job.cancelAcked('eu')).toBe(true)
    expect(job.cancelAcked('eu')).toBe(false)
    expect(job.cancel()).toEqual({ status: 'cancelling', notify: ['us'] })
    job.dcResult(result('eu', 'cancelled'))
    expect(job.cancelAcked('us')).toBe(true)
    expect(job.status).toBe('cancelled')
    expect(job.result).toMatchObject({ status: 'cancelled', reason: 'enough' })
    expect(job.check()).toEqual({ kind: 'finished', reason: 'enough', notify: ['us'] })
    expect(job.cancel()).toEqual({ status: 'cancelled', notify: [] })
  })

  it('beats completion', () => {
    const { job } = setUp()
    job.dcResult(result('eu'))
    job.cancel()
    expect(job.cancel().notify).toEqual(['us'])
    job.dcResult(result('us'))
    expect(job.status).toBe('cancelled')
  })

  it('comes too late for a job that is over', () => {
    const { job } = setUp()
    job.dcResult(result('eu'))
    job.dcResult(result('us'))
    expect(job.cancel()).toEqual({ status: 'already-finished', notify: [] })
  })

  it('waits for accounts, if there is time to settle, but not for ever', () => {
    const { job, clock } = setUp({ settleMs: 100, timeoutMs: 5_000 })
    job.cancel()
    expect(job.check()).toEqual({ kind: 'ok', nextCheckMs: 5_000 })
    job.cancelAcked('eu')
    job.cancelAcked('us')
    expect(job.status).toBe('cancelling')
    job.dcResult(result('eu', 'cancelled'))
    clock.advance(100)
    expect(job.check()).toMatchObject({ kind: 'finished', notify: ['us'] })
    const { job: silent, clock: time } = setUp({ timeoutMs: 5_000 })
    silent.cancel()
    time.advance(5_000)
    expect(silent.check().kind).toBe('finished')
    expect(silent.status).toBe('cancelled')
  })

  it('is an outcome too if the datacenters did it themselves', () => {
    const { job } = setUp()
    job.dcResult(result('eu', 'cancelled'))
    job.dcResult(result('us'))
    expect(job.status).toBe('cancelled')
  })
})

describe('replaceTarget', () => {
  it('moves the work while the first choice has reported nothing', () => {
    const { job } = setUp()
    expect(job.replaceTarget('eu', 'asia')).toBe(true)
    expect(job.targets).toEqual(['asia', 'us'])
    expect(job.dcResult(result('eu'))).toBe('unknown-datacenter')
    expect(job.replaceTarget('asia', 'us')).toBe(false)
    expect(job.replaceTarget('nowhere', 'x')).toBe(false)
    job.progress(report('us', 1))
    expect(job.replaceTarget('us', 'x')).toBe(false)
  })
})

describe('resolveOutcome (JOBS-35)', () => {
  const cases: [(JobStatus | 'missing')[], Parameters<typeof resolveOutcome>[1], JobStatus][] = [
    [['completed', 'completed'], { cancelRequested: true }, 'cancelled'],
    [['completed', 'completed'], {}, 'completed'],
    [['completed', 'failed'], { minDatacenters: 1 }, 'partial'],
    [['completed', 'failed'], { minDatacenters: 2 }, 'failed'],
    [['completed', 'failed', 'timed-out'], {}, 'failed'],
    [['completed', 'timed-out', 'cancelled'], {}, 'timed-out'],
    [['completed', 'missing', 'cancelled'], {}, 'timed-out'],
    [['completed', 'cancelled'], {}, 'cancelled'],
    [['completed', 'partial'], {}, 'partial'],
    [['partial', 'partial'], {}, 'partial'],
  ]

  it.each(cases)('%j with %j is %s', (outcomes, options, expected) => {
    expect(resolveOutcome(outcomes, options)).toBe(expected)
  })

  it('does not depend on the order of outcomes', () => {
    const outcome = fc.constantFrom<JobStatus | 'missing'>(
      'completed',
      'partial',
      'failed',
      'timed-out',
      'cancelled',
      'missing',
    )
    fc.assert(
      fc.property(
        fc
          .array(outcome)
          .chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        fc.record({ cancelRequested: fc.boolean(), minDatacenters: fc.integer({ min: 1, max: 4 }) }),
        ([outcomes, shuffled], options) => {
          expect(resolveOutcome(shuffled, options)).toBe(resolveOutcome(outcomes, options))
        },
      ),
    )
  })

  it('refuses a minimum below 1', () => {
    expect(() => resolveOutcome([], { minDatacenters: 0 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })
})

describe('GlobalJob', () => {
  it('ends the same whatever the order of results', () => {
    const status = fc.constantFrom<JobStatus>('completed', 'partial', 'failed', 'timed-out', 'cancelled')
    fc.assert(
      fc.property(
        fc.tuple(status, status, status),
        fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
        (statuses, order) => {
          const names = ['a', 'b', 'c']
          const run = (indices: readonly number[]) => {
            const { job } = setUp({ targets: names })
            for (const index of indices) job.dcResult(result(names[index]!, statuses[index]))
            return job.result
          }
          expect(run(order)).toEqual(run([0, 1, 2]))
        },
      ),
    )
  })

  it('holds no timer', () => {
    const { job, clock } = setUp()
    job.check()
    expect(clock.pendingTimers).toBe(0)
  })

  it.each<[string, Partial<GlobalJobOptions>]>([
    ['no target', { targets: [] }],
    ['one target twice', { targets: ['eu', 'eu'] }],
    ['no workflow', { workflows: [] }],
    ['a timeout of 0', { timeoutMs: 0 }],
    ['best effort, which is not there yet', { bestEffort: { minDatacenters: 1 } } as object],
  ])('refuses %s', (_what, options) => {
    expect(() => setUp(options)).toThrow(ConfigError)
  })
})
