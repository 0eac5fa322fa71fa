/** How jobs end before they are done: cancellation and timeouts. */
import { describe, expect, it } from 'vitest'
import { Rig, running } from './support/rig.js'

describe('cancellation (JOBS-24, F11)', () => {
  it('of what has not begun ends it in one step', () => {
    const rig = new Rig()
    rig.submit('j', [{}, { dependsOn: ['a'], onDependencyFailure: 'run' }])
    const answer = { status: 'cancelled', cancelled: 2, pending: 0 }
    expect(rig.scheduler.cancel('j', { reason: 'enough' })).toEqual(answer)
    expect(rig.scheduler.cancel('j')).toEqual(answer)
    expect(rig.finished).toEqual([expect.objectContaining({ status: 'cancelled', reason: 'enough' })])
    expect(rig.clock.pendingTimers).toBe(0)
  })

  it('asks workers to end what runs, once, and waits for them', () => {
    const rig = new Rig()
    rig.worker('w', 2)
    rig.submit('j', [{}, {}, {}, { dependsOn: ['a'] }])
    rig.accept('j/a/0')
    const answer = { status: 'cancelling', cancelled: 2, pending: 2 }
    expect(rig.scheduler.cancel('j')).toEqual(answer)
    expect(rig.scheduler.cancel('j')).toEqual(answer)
    expect(rig.aborts).toEqual(
      rig.dispatches.map(({ key, fence, workerId }) => ({ key, fence, workerId, reason: 'cancel' })),
    )
    expect(rig.scheduler.job('j')).toMatchObject({ status: 'cancelling', workflows: { cancelled: 2, running: 2 } })
    const [a, b] = rig.dispatches
    expect(rig.scheduler.aborted(a!.key, a!.fence)).toBe(true)
    expect(rig.scheduler.aborted(a!.key, a!.fence)).toBe(false)
    expect(rig.finished).toEqual([])
    expect(rig.scheduler.aborted(b!.key, b!.fence)).toBe(true)
    expect(rig.finished[0]).toMatchObject({ status: 'cancelled', accounting: { cancelled: 4, executions: 2 } })
    expect([rig.free, rig.dispatches.length, rig.clock.pendingTimers]).toEqual([2, 2, 0])
  })

  it('during a dispatch lets nothing more begin, though cores become free', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{}, {}])
    rig.scheduler.cancel('j')
    rig.worker('x', 4)
    const { key, fence } = rig.dispatch()
    rig.scheduler.dispatchFailed(key, fence, { rejected: true })
    rig.clock.advance(100_000)
    expect(rig.dispatches).toHaveLength(1)
    expect(rig.finished[0]).toMatchObject({ status: 'cancelled', accounting: { cancelled: 2 } })
  })

  it.each<[string, (rig: Rig) => unknown]>([
    ['a confirmation', (rig) => rig.scheduler.aborted('j/a/0', 1)],
    ['a cancelled result', (rig) => rig.complete(undefined, { status: 'cancelled' })],
    ['a failed result, whatever attempts are left', (rig) => rig.fail()],
    ['a failed dispatch', (rig) => rig.scheduler.dispatchFailed('j/a/0', 1)],
    ['the loss of the worker', (rig) => rig.scheduler.workerLost('w')],
    ['another life of the worker', (rig) => rig.worker('w', 4, { incarnation: 2 })],
  ])('is settled by %s', (_what, settle) => {
    const rig = new Rig()
    rig.worker('w', 4)
    rig.submit('j', [{ attempts: 5 }])
    rig.scheduler.cancel('j')
    settle(rig)
    expect(rig.finished[0]?.status).toBe('cancelled')
    expect(rig.dispatches).toHaveLength(1)
    expect(rig.clock.pendingTimers).toBe(0)
  })

  it('is settled when the worker stops listing the shard', () => {
    const rig = new Rig()
    rig.worker('w', 4)
    rig.submit('j', [{}])
    rig.accept()
    rig.scheduler.cancel('j')
    rig.beat([])
    rig.beat([])
    expect(rig.finished[0]?.status).toBe('cancelled')
    expect(rig.free).toBe(4)
  })

  it('beats completion: a workflow that completed nevertheless is counted, and the job is cancelled', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}, { dependsOn: ['a'] }])
    rig.scheduler.cancel('j')
    expect(rig.complete()).toBe('accepted')
    expect(rig.finished[0]).toMatchObject({ status: 'cancelled', accounting: { completed: 1, cancelled: 1 } })
  })

  it('is repeated to a worker that does not confirm, then recorded; its cores stay reserved', () => {
    const rig = new Rig()
    rig.worker('w', 2)
    rig.submit('j', [{}])
    rig.accept()
    rig.scheduler.cancel('j')
    rig.clock.advance(4_999)
    expect(rig.aborts).toHaveLength(1)
    rig.clock.advance(5_002)
    expect(rig.aborts).toHaveLength(3)
    rig.clock.advance(4_998)
    expect(rig.finished).toEqual([])
    rig.clock.advance(3)
    expect(rig.aborts).toHaveLength(3)
    expect(rig.finished[0]).toMatchObject({
      status: 'cancelled',
      errors: [{ code: 'ABORT_UNCONFIRMED', key: 'j/a/0', workerId: 'w' }],
      workflows: [{ shards: [{ status: 'cancelled', error: { code: 'ABORT_UNCONFIRMED' } }] }],
    })
    expect([rig.free, rig.clock.pendingTimers]).toEqual([1, 0])
    const dispatch = rig.dispatch()
    rig.scheduler.forget('j')
    expect(rig.beat([running(dispatch)]).abort).toEqual([{ key: dispatch.key, fence: dispatch.fence }])
    expect(rig.free).toBe(1)
    rig.beat([])
    rig.beat([])
    expect(rig.free).toBe(2)
  })

  it.each<[string, (rig: Rig) => unknown]>([
    ['confirms', (rig) => rig.scheduler.aborted('j/a/0', 1)],
    ['sends its result', (rig) => rig.complete(undefined, { status: 'cancelled' })],
  ])('gives the cores back when the worker %s at last', (_what, confirm) => {
    const rig = new Rig({ cancelAttempts: 1 })
    rig.worker('w', 2)
    rig.submit('j', [{}])
    rig.scheduler.cancel('j')
    rig.clock.advance(5_001)
    expect(rig.free).toBe(1)
    rig.scheduler.forget('j')
    confirm(rig)
    expect(rig.free).toBe(2)
  })

  it('of a job that is over or unknown says so', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}])
    rig.complete()
    expect(rig.scheduler.cancel('j')).toEqual({ status: 'already-finished', cancelled: 0, pending: 0 })
    expect(rig.scheduler.cancel('k')).toEqual({ status: 'unknown-job', cancelled: 0, pending: 0 })
    expect(rig.scheduler.cancel('j', { workflowId: 'x' }).status).toBe('unknown-workflow')
  })
})

describe('cancellation of one workflow (JOBS-24)', () => {
  it('lets the rest go on by its rules', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}, {}, { dependsOn: ['a'] }, { dependsOn: ['a'], onDependencyFailure: 'run' }])
    expect(rig.scheduler.cancel('j', { workflowId: 'a' })).toEqual({ status: 'cancelling', cancelled: 0, pending: 1 })
    expect(rig.scheduler.cancel('j', { workflowId: 'a' })).toEqual({ status: 'cancelling', cancelled: 0, pending: 1 })
    expect(rig.aborts).toHaveLength(1)
    rig.scheduler.aborted('j/a/0', rig.dispatch('j/a/0').fence)
    expect(rig.scheduler.cancel('j', { workflowId: 'a' })).toEqual({ status: 'cancelled', cancelled: 1, pending: 0 })
    expect(rig.keys).toContain('j/d/0')
    rig.complete('j/b/0')
    rig.complete('j/d/0')
    expect(rig.finished[0]).toMatchObject({
      status: 'partial',
      accounting: { completed: 2, cancelled: 1, skipped: 1 },
    })
  })

  it('that waits ends it at once', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{}, {}])
    expect(rig.scheduler.cancel('j', { workflowId: 'b' })).toEqual({ status: 'cancelled', cancelled: 1, pending: 0 })
    rig.complete()
    expect(rig.finished[0]?.status).toBe('partial')
    expect(rig.dispatches).toHaveLength(1)
  })

  it('that is over says so', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}, { dependsOn: ['a'] }])
    rig.complete('j/a/0')
    expect(rig.scheduler.cancel('j', { workflowId: 'a' }).status).toBe('already-finished')
  })

  it('one by one is cancellation of the job', () => {
    const rig = new Rig()
    rig.submit('j', [{}, {}])
    rig.scheduler.cancel('j', { workflowId: 'a' })
    rig.scheduler.cancel('j', { workflowId: 'b' })
    expect(rig.finished[0]?.status).toBe('cancelled')
  })

  it('is not undone by the loss of its worker', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{}, { dependsOn: ['a'], onDependencyFailure: 'run' }])
    rig.scheduler.cancel('j', { workflowId: 'a' })
    rig.scheduler.workerLost('w')
    rig.worker('x', 1)
    expect(rig.keys).toEqual(['j/a/0', 'j/b/0'])
  })
})

describe('local timeout (JOBS-25, JOBS-26)', () => {
  it('ends the job at once; its cores come back when workers confirm', () => {
    const rig = new Rig()
    rig.worker('w', 2)
    rig.submit('j', [{}, { dependsOn: ['a'] }, { cores: 2 }], { timeoutMs: 1_000 })
    rig.clock.advance(1_001)
    const { key, fence } = rig.dispatch()
    expect(rig.aborts).toEqual([{ key, fence, workerId: 'w', reason: 'timeout' }])
    expect(rig.finished[0]).toMatchObject({
      status: 'timed-out',
      reason: 'deadline',
      accounting: { timedOut: 3, executions: 1 },
      durationMs: 1_000,
    })
    expect([rig.free, rig.clock.pendingTimers]).toEqual([1, 0])
    rig.submit('k', [{ cores: 2 }])
    expect(rig.dispatches).toHaveLength(1)
    rig.scheduler.aborted(key, fence)
    expect(rig.dispatches).toHaveLength(2)
  })

  it('is later by what was granted', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}], { timeoutMs: 1_000 })
    rig.scheduler.extend('j', 500)
    rig.clock.advance(1_499)
    expect(rig.finished).toEqual([])
    rig.clock.advance(2)
    expect(rig.finished).toHaveLength(1)
    rig.scheduler.extend('j', 500)
    rig.scheduler.extend('nobody', 500)
    expect(() => rig.scheduler.extend('j', -1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it('comes after a silence of the whole job too, if asked for', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}, { dependsOn: ['a'] }], { stuckMs: 300 })
    const { key, fence } = rig.dispatch()
    rig.clock.advance(299)
    rig.scheduler.progress({ key, fence, sequence: 0 })
    rig.clock.advance(299)
    rig.complete()
    rig.clock.advance(299)
    expect(rig.finished).toEqual([])
    rig.clock.advance(2)
    expect(rig.finished[0]).toMatchObject({
      status: 'timed-out',
      reason: 'stuck',
      accounting: { completed: 1, timedOut: 1 },
    })
  })

  it('does not come while the job is being cancelled', () => {
    const rig = new Rig({ cancelTimeoutMs: 10_000 })
    rig.worker()
    rig.submit('j', [{}], { timeoutMs: 1_000 })
    rig.scheduler.cancel('j')
    rig.clock.advance(2_000)
    expect(rig.finished).toEqual([])
    expect(rig.scheduler.timeout('j')).toBe(false)
    rig.scheduler.extend('j', 1)
    rig.scheduler.aborted('j/a/0', 1)
    expect(rig.finished[0]?.status).toBe('cancelled')
  })

  it('takes back the cores of a dispatch that then fails, or is never listed', () => {
    const rig = new Rig()
    rig.worker('w', 2)
    rig.submit('j', [{}, {}])
    rig.scheduler.timeout('j')
    const [a, b] = rig.dispatches
    expect(rig.scheduler.dispatchFailed(a!.key, a!.fence)).toBe(false)
    rig.beat([])
    rig.beat([])
    expect(rig.free).toBe(2)
    expect(rig.scheduler.aborted(b!.key, b!.fence)).toBe(false)
  })
})

describe('coordinated timeout (JOBS-25)', () => {
  const spec = { timeoutMs: 1_000, timeoutMode: 'coordinated' } as const

  it('is reported once, and the decision ends the job', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}], spec)
    rig.clock.advance(60_000)
    expect(rig.reports).toEqual([{ jobId: 'j', reason: 'deadline' }])
    expect(rig.finished).toEqual([])
    expect(rig.scheduler.timeout('j', 'global deadline', 4)).toBe(true)
    expect(rig.finished[0]).toMatchObject({ status: 'timed-out', reason: 'global deadline' })
    expect(rig.scheduler.timeout('j', 'again', 5)).toBe(false)
    expect(rig.scheduler.timeout('nobody')).toBe(false)
    expect(() => rig.scheduler.timeout('j', 'x', -1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it('is decided alone when nobody answers', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}], spec)
    rig.clock.advance(301_001)
    expect(rig.finished[0]).toMatchObject({ status: 'timed-out', reason: 'coordinator-unreachable' })
  })

  it('does not keep a job from ending by itself', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}], spec)
    rig.clock.advance(2_000)
    rig.complete()
    expect(rig.finished[0]?.status).toBe('completed')
    expect(rig.clock.pendingTimers).toBe(0)
  })

  it('is withdrawn by an extension, and reported anew when that has passed', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}], spec)
    rig.clock.advance(1_001)
    rig.scheduler.extend('j', 1_000)
    rig.clock.advance(998)
    expect(rig.reports).toHaveLength(1)
    rig.clock.advance(5)
    expect(rig.reports).toHaveLength(2)
  })
})
