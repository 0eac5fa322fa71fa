/** What goes wrong on the way: failed dispatches, lost workers, failing runs, silent shards. */
import { describe, expect, it } from 'vitest'
import { Rig, fixedRandom, running } from './support/rig.js'

const codes = (rig: Rig) => rig.finished[0]?.errors.map(({ code }) => code)
const shard = (rig: Rig) => rig.finished[0]?.workflows[0]?.shards[0]

describe('dispatch that failed (JOBS-18, F10)', () => {
  it('gives its cores back, avoids the worker, spends an attempt and waits with full jitter', () => {
    const rig = new Rig({ random: fixedRandom(0.5), backoff: { baseMs: 100, maxMs: 300 } })
    rig.worker('big', 4)
    rig.worker('small', 1)
    rig.submit('j', [{}])
    const first = rig.dispatch()
    expect(first).toMatchObject({ workerId: 'big', attempt: 1 })
    expect(rig.scheduler.dispatchFailed(first.key, first.fence, { code: 'NO_ANSWER' })).toBe(true)
    expect(rig.free).toBe(5)
    expect(rig.scheduler.job('j')?.workflows).toMatchObject({ queued: 1, running: 0 })
    rig.clock.advance(49)
    expect(rig.dispatches).toHaveLength(1)
    rig.clock.advance(1.1)
    expect(rig.dispatch()).toMatchObject({ workerId: 'small', attempt: 2 })
    expect(rig.dispatch().fence).toBeGreaterThan(first.fence)
    expect(rig.scheduler.dispatchFailed(first.key, first.fence)).toBe(false)
    rig.complete()
    expect(codes(rig)).toEqual(['NO_ANSWER'])
    expect(rig.finished[0]?.accounting).toMatchObject({ completed: 1, executions: 2, requeued: 1 })
  })

  it('waits under a ceiling that doubles up to the limit', () => {
    const rig = new Rig({
      random: fixedRandom(0.999),
      backoff: { baseMs: 100, maxMs: 300 },
      maxAttempts: 9,
    })
    rig.worker()
    rig.submit('j', [{}])
    const waits: number[] = []
    for (let attempt = 1; attempt < 6; attempt++) {
      const { key, fence } = rig.dispatch()
      rig.scheduler.dispatchFailed(key, fence)
      waits.push(Math.ceil((rig.clock.nextTimerAt ?? 0) - rig.clock.now()))
      rig.clock.advance(400)
    }
    expect(waits).toEqual([100, 200, 300, 300, 300])
  })

  it('ends in failure when the attempts are used up, with all cores free', () => {
    const rig = new Rig({ maxAttempts: 3 })
    rig.worker('w', 2)
    rig.submit('j', [{ cores: 2 }, { dependsOn: ['a'] }, { onDependencyFailure: 'run', dependsOn: ['a'] }])
    for (let attempt = 1; attempt <= 3; attempt++) {
      const { key, fence } = rig.dispatch('j/a/0')
      expect(rig.dispatch('j/a/0').attempt).toBe(attempt)
      rig.scheduler.dispatchFailed(key, fence, { code: 'REFUSED' })
      expect(rig.free).toBe(attempt < 3 ? 2 : 1)
      rig.clock.advance(10_000)
    }
    rig.complete('j/c/0')
    expect(shard(rig)).toMatchObject({ status: 'failed', attempts: 3, error: { code: 'ATTEMPTS_EXHAUSTED' } })
    expect(codes(rig)).toEqual(['REFUSED', 'REFUSED', 'REFUSED', 'ATTEMPTS_EXHAUSTED'])
    expect(rig.finished[0]).toMatchObject({ status: 'failed', accounting: { failed: 1, skipped: 1, completed: 1 } })
    expect(rig.free).toBe(2)
  })

  it('that was a refusal costs no attempt, and does not make the worker one to avoid', () => {
    const rig = new Rig({ maxAttempts: 1 })
    rig.worker('w', 2)
    rig.worker('x', 1)
    rig.submit('j', [{}])
    for (let round = 0; round < 5; round++) {
      const { key, fence, attempt, workerId } = rig.dispatch()
      expect([attempt, workerId]).toEqual([1, 'w'])
      expect(rig.scheduler.dispatchFailed(key, fence, { rejected: true })).toBe(true)
      rig.clock.advance(10_000)
    }
    rig.complete()
    expect(rig.finished[0]).toMatchObject({
      status: 'completed',
      errors: [],
      accounting: { executions: 1, requeued: 0 },
    })
  })

  it('that was a refusal waits as long as the worker says', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}])
    const { key, fence } = rig.dispatch()
    rig.scheduler.dispatchFailed(key, fence, { rejected: true, retryAfterMs: 700 })
    rig.clock.advance(699)
    expect(rig.dispatches).toHaveLength(1)
    rig.clock.advance(2)
    expect(rig.dispatches).toHaveLength(2)
  })

  it('that is refused at once, again and again, does not go round in a circle', () => {
    let refusals = 0
    const rig: Rig = new Rig({
      port: {
        dispatch: ({ key, fence }) => {
          refusals++
          rig.scheduler.dispatchFailed(key, fence, { rejected: true })
        },
      },
    })
    rig.worker()
    rig.submit('j', [{}])
    expect(refusals).toBe(2)
    rig.clock.advance(100_000)
    expect(refusals).toBeGreaterThan(5)
    expect(rig.free).toBe(4)
  })

  it('that comes after the worker took the shard changes nothing', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}])
    rig.accept()
    const { key, fence } = rig.dispatch()
    expect(rig.scheduler.dispatchFailed(key, fence)).toBe(false)
    expect(rig.complete()).toBe('accepted')
    expect(() => rig.scheduler.dispatchFailed(key, fence, { retryAfterMs: -1 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  it('of which a result comes nevertheless, before it is repeated, saves the run', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}])
    const { key, fence } = rig.dispatch()
    rig.scheduler.dispatchFailed(key, fence)
    expect(rig.scheduler.result({ key, fence, status: 'completed' })).toBe('accepted')
    rig.clock.advance(100_000)
    expect(rig.dispatches).toHaveLength(1)
    expect(rig.finished[0]?.accounting).toMatchObject({ completed: 1, executions: 1 })
    expect(rig.clock.pendingTimers).toBe(0)
  })

  it('of one shard of several leaves the others, and their virtual users, as they are', () => {
    const rig = new Rig()
    rig.worker('w', 2)
    rig.worker('x', 2)
    rig.submit('j', [{ vus: 10, priority: 'high' }])
    const [first, second] = rig.dispatches
    rig.scheduler.dispatchFailed(first!.key, first!.fence)
    rig.clock.advance(10_000)
    expect(rig.dispatches).toHaveLength(2)
    rig.complete(second!.key)
    expect(rig.dispatch(first!.key)).toMatchObject({ attempt: 2, workerId: second!.workerId })
    expect(rig.payload(first!.key)).toMatchObject({ vus: 5, plan: [5, 5] })
    rig.complete(first!.key)
    expect(rig.finished[0]?.workflows[0]?.shards.map(({ vus }) => vus)).toEqual([5, 5])
  })
})

describe('worker that is lost (JOBS-20)', () => {
  it('has its shards queued at once, elsewhere, with the same bytes and a higher fence', () => {
    const rig = new Rig()
    rig.worker('w', 3)
    rig.submit('j', [{}, { vus: 2, priority: 'high' }])
    const before = [...rig.dispatches]
    rig.worker('x', 9)
    expect(rig.scheduler.workerLost('w')).toBe(2)
    expect(rig.scheduler.workerLost('w')).toBe(0)
    for (const old of before) {
      const again = rig.dispatch(old.key)
      expect(again).toMatchObject({ workerId: 'x', attempt: 2, cores: old.cores })
      expect(again.payload).toBe(old.payload)
      expect(again.fence).toBeGreaterThan(old.fence)
    }
    for (const { key } of before) rig.complete(key)
    expect(rig.finished[0]?.accounting).toMatchObject({ completed: 2, executions: 4, requeued: 2 })
    expect(codes(rig)).toEqual(['WORKER_LOST', 'WORKER_LOST'])
    expect(rig.scheduler.snapshot().counters).toMatchObject({ workersLost: 1, requeued: 2 })
  })

  it('leaves every other shard alone', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.worker('x', 1)
    rig.submit('j', [{}, {}])
    const other = rig.dispatches.find(({ workerId }) => workerId === 'x')!
    rig.scheduler.workerLost('w')
    expect(rig.dispatches).toHaveLength(2)
    expect(rig.complete(other.key)).toBe('accepted')
    expect(rig.dispatches).toHaveLength(3)
  })

  it('may be alive: its result counts until the shard is dispatched again', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{}])
    const { key, fence } = rig.dispatch()
    rig.scheduler.workerLost('w')
    expect(rig.scheduler.result({ key, fence, status: 'completed', value: 'saved' })).toBe('accepted')
    expect(shard(rig)).toMatchObject({ value: 'saved', attempts: 1 })
    rig.worker('x', 1)
    expect(rig.dispatches).toHaveLength(1)
  })

  it('may come back and still run it: it is taken over again', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{}])
    const dispatch = rig.dispatch()
    rig.scheduler.workerLost('w')
    expect(rig.worker('w', 1, {}, [running(dispatch)])).toEqual({ outcome: 'registered', abort: [] })
    expect(rig.free).toBe(0)
    expect(rig.dispatches).toHaveLength(1)
    expect(rig.complete()).toBe('accepted')
  })

  it('may come back too late: what runs elsewhere is to be aborted there', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{}])
    const dispatch = rig.dispatch()
    rig.worker('x', 1)
    rig.scheduler.workerLost('w')
    const { key, fence } = dispatch
    expect(rig.worker('w', 1, {}, [running(dispatch)])).toEqual({ outcome: 'registered', abort: [{ key, fence }] })
    expect(rig.dispatch().workerId).toBe('x')
  })

  it('may return as another life of the same name: its shards run again', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{}])
    expect(rig.worker('w', 1, { incarnation: 2 })).toEqual({ outcome: 'restarted', abort: [] })
    expect(rig.dispatch()).toMatchObject({ workerId: 'w', attempt: 2 })
    expect(rig.worker('w', 1, { incarnation: 1 }).outcome).toBe('stale')
  })

  it('runs a shard on fewer cores than before, at least one', () => {
    const rig = new Rig()
    rig.worker('w', 4)
    rig.submit('j', [{ vus: 4, priority: 'high' }])
    expect(rig.dispatch().cores).toBe(4)
    rig.worker('x', 2)
    rig.scheduler.workerLost('w')
    expect(rig.dispatch()).toMatchObject({ workerId: 'x', cores: 2 })
    expect(rig.payload().plan).toEqual([4])
  })

  it('keeps a shard of fixed cores waiting for a worker that has them', () => {
    const rig = new Rig()
    rig.worker('w', 4)
    rig.submit('j', [{ cores: 4 }])
    rig.worker('x', 2)
    rig.scheduler.workerLost('w')
    expect(rig.dispatches).toHaveLength(1)
    expect(rig.scheduler.explain('j')).toEqual([{ workflowId: 'a', reason: 'no-worker-large-enough' }])
    rig.worker('y', 4)
    expect(rig.dispatch()).toMatchObject({ workerId: 'y', cores: 4 })
  })

  it('counts as an attempt, and ends in failure when they are used up', () => {
    const rig = new Rig({ maxAttempts: 2 })
    rig.submit('j', [{}])
    for (const workerId of ['w', 'x']) {
      rig.worker(workerId, 1)
      rig.scheduler.workerLost(workerId)
    }
    expect(shard(rig)).toMatchObject({ status: 'failed', attempts: 2, error: { code: 'ATTEMPTS_EXHAUSTED' } })
    expect(codes(rig)).toEqual(['WORKER_LOST', 'WORKER_LOST', 'ATTEMPTS_EXHAUSTED'])
  })
})

describe('heartbeats (JOBS-13, JOBS-22)', () => {
  it('that list a dispatched shard show that it was accepted, though the answer was lost', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}])
    expect(rig.beat([running(rig.dispatch())])).toEqual({ outcome: 'ok', abort: [] })
    const { key, fence } = rig.dispatch()
    expect(rig.scheduler.dispatchFailed(key, fence)).toBe(false)
  })

  it('that miss a confirmed shard twice make it run again', () => {
    const rig = new Rig()
    rig.worker('w', 2)
    rig.submit('j', [{}])
    rig.accept()
    rig.beat([])
    expect(rig.dispatches).toHaveLength(1)
    rig.beat([])
    expect(rig.dispatch()).toMatchObject({ attempt: 2 })
    rig.complete()
    expect(codes(rig)).toEqual(['WORKER_LOST'])
  })

  it('that miss a shard whose dispatch is still on the way do not', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}])
    for (let at = 0; at < 5; at++) rig.beat([])
    expect(rig.dispatches).toHaveLength(1)
    expect(rig.free).toBe(3)
  })

  it('list what is to be aborted: finished, cancelled and superseded work', () => {
    const rig = new Rig()
    rig.worker('w', 4)
    rig.submit('j', [{}, {}])
    const [a, b] = rig.dispatches
    rig.complete('j/a/0')
    expect(rig.beat([running(a!), running(b!)]).abort).toEqual([{ key: 'j/a/0', fence: a!.fence }])
    rig.scheduler.cancel('j')
    expect(rig.beat([running(b!)]).abort).toEqual([{ key: 'j/b/0', fence: b!.fence }])
    rig.complete('j/b/0', { status: 'cancelled' })
    expect(rig.scheduler.forget('j')).toBe(true)
  })

  it('of nobody and of older lives change nothing', () => {
    const rig = new Rig()
    expect(rig.beat([])).toEqual({ outcome: 'unknown-worker', abort: [] })
    rig.worker('w', 1, { incarnation: 2 })
    expect(rig.beat([])).toEqual({ outcome: 'stale', abort: [] })
    expect(() => rig.beat([{ key: 'j/a/0', fence: -1, cores: 1 }])).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  it('that list a key which is none ask for it to be aborted', () => {
    const rig = new Rig()
    rig.worker()
    expect(rig.beat([{ key: 'nonsense', fence: 1, cores: 1 }]).abort).toEqual([{ key: 'nonsense', fence: 1 }])
  })
})

describe('run() that fails (JOBS-18)', () => {
  it('is run again while attempts are left, and that once a result', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{ attempts: 2 }])
    const { key, fence } = rig.dispatch()
    expect(rig.fail()).toBe('accepted')
    expect(rig.dispatch()).toMatchObject({ attempt: 2 })
    expect(rig.scheduler.result({ key, fence, status: 'failed' })).toBe('duplicate')
    expect(rig.dispatches).toHaveLength(2)
    rig.complete()
    expect(rig.finished[0]).toMatchObject({ status: 'completed', accounting: { executions: 2, duplicates: 1 } })
    expect(codes(rig)).toEqual(['BROKEN'])
  })

  it('fails with its own code when none is left', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{ attempts: 2 }])
    rig.fail()
    rig.fail('j/a/0', 'STILL_BROKEN')
    expect(shard(rig)).toMatchObject({ status: 'failed', attempts: 2, error: { code: 'STILL_BROKEN' } })
  })

  it('is over, though a heartbeat that was overtaken still lists it', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{ attempts: 2 }])
    const dispatch = rig.dispatch()
    rig.scheduler.pool.setHealth('w', 'unhealthy')
    rig.fail()
    const { key, fence } = dispatch
    expect(rig.beat([running(dispatch)]).abort).toEqual([{ key, fence }])
    expect([rig.free, rig.scheduler.job('j')?.workflows.queued]).toEqual([4, 1])
  })

  it('is not confused with executions that were lost', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{ attempts: 2 }])
    rig.scheduler.workerLost('w')
    rig.worker('x', 1)
    rig.fail()
    expect(rig.dispatch()).toMatchObject({ attempt: 3 })
    rig.complete()
    expect(rig.finished[0]?.status).toBe('completed')
  })

  it('does not run more often than dispatches are allowed', () => {
    const rig = new Rig({ maxAttempts: 2 })
    rig.worker()
    rig.submit('j', [{ attempts: 9 }])
    rig.fail()
    rig.fail()
    expect(rig.dispatches).toHaveLength(2)
    expect(rig.finished[0]?.status).toBe('failed')
  })

  it('is not run again when it ran out of time or was cancelled', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{ attempts: 9 }, { attempts: 9 }])
    rig.complete('j/a/0', { status: 'timed-out' })
    rig.complete('j/b/0', { status: 'cancelled' })
    expect(rig.dispatches).toHaveLength(2)
    expect(rig.finished[0]).toMatchObject({ status: 'timed-out', accounting: { timedOut: 1, cancelled: 1 } })
  })

  it('is run elsewhere when the worker hands it back', () => {
    const rig = new Rig()
    rig.worker('w', 2)
    rig.worker('x', 1)
    rig.submit('j', [{}])
    rig.complete(undefined, { status: 'cancelled', error: { code: 'NODE_STOPPED', message: 'stopping' } })
    expect(rig.dispatch()).toMatchObject({ workerId: 'x', attempt: 2 })
    rig.complete()
    expect(rig.finished[0]?.status).toBe('completed')
  })
})

describe('shard outcomes that are told (recovery)', () => {
  it('come once a shard, with the attempts it took, before the end of the job', () => {
    const rig = new Rig({ maxAttempts: 2 })
    rig.worker('w', 1)
    rig.submit('j', [{ attempts: 2 }, { dependsOn: ['a'] }])
    rig.fail()
    rig.complete('j/a/0', { value: 7 })
    rig.scheduler.workerLost('w')
    rig.worker('x', 1)
    rig.scheduler.workerLost('x')
    expect(rig.settled).toMatchObject([
      { key: 'j/a/0', status: 'completed', attempt: 2, value: 7 },
      { key: 'j/b/0', status: 'failed', attempt: 2, error: { code: 'ATTEMPTS_EXHAUSTED' } },
    ])
    expect(rig.log.slice(-3)).toEqual(['shardSettled', 'jobChanged', 'jobFinished'])
  })
})

describe('silence (JOBS-27)', () => {
  function silent(more: object = {}, options: object = {}) {
    const rig = new Rig({ stalledMs: 1_000, ...options })
    rig.worker('w', 1)
    rig.worker('x', 1)
    rig.submit('j', [{ ...more }])
    rig.accept()
    const frame = (sequence: number) => {
      const { key, fence } = rig.dispatch()
      return rig.scheduler.progress({ key, fence, sequence, done: sequence })
    }
    return { rig, frame }
  }

  it('after progress makes the worker suspect for the job, once, until it speaks again', () => {
    const { rig, frame } = silent()
    frame(1)
    rig.clock.advance(600)
    frame(2)
    rig.clock.advance(999)
    expect(rig.suspicions).toEqual([])
    rig.clock.advance(5_000)
    expect(rig.suspicions).toEqual([{ jobId: 'j', workerId: 'w', suspected: true }])
    frame(3)
    expect(rig.suspicions.at(-1)).toEqual({ jobId: 'j', workerId: 'w', suspected: false })
    rig.clock.advance(1_001)
    expect(rig.suspicions.map(({ suspected }) => suspected)).toEqual([true, false, true])
    rig.complete()
    expect(rig.suspicions.map(({ suspected }) => suspected)).toEqual([true, false, true, false])
    expect(rig.clock.pendingTimers).toBe(0)
  })

  it('from the beginning is no silence', () => {
    const { rig } = silent()
    rig.clock.advance(100_000)
    expect(rig.suspicions).toEqual([])
    expect(rig.aborts).toEqual([])
  })

  it('of several shards of a job on one worker is one suspicion', () => {
    const rig = new Rig({ stalledMs: 1_000 })
    rig.worker('w', 2)
    rig.submit('j', [{}, {}])
    for (const { key, fence } of rig.dispatches) rig.scheduler.progress({ key, fence, sequence: 0 })
    rig.clock.advance(1_001)
    expect(rig.suspicions).toHaveLength(1)
    rig.complete('j/a/0')
    expect(rig.suspicions).toHaveLength(1)
    rig.complete('j/b/0')
    expect(rig.suspicions.map(({ suspected }) => suspected)).toEqual([true, false])
  })

  it('longer than stuckMs ends the execution and starts another one elsewhere', () => {
    const { rig, frame } = silent({ stuckMs: 500 })
    const first = rig.dispatch()
    rig.clock.advance(400)
    frame(1)
    rig.clock.advance(499)
    expect(rig.aborts).toEqual([])
    rig.clock.advance(2)
    const { key, fence } = first
    expect(rig.aborts).toEqual([{ key, fence, workerId: 'w', reason: 'stuck' }])
    expect(rig.dispatch()).toMatchObject({ workerId: 'x', attempt: 2 })
    expect(rig.free).toBe(0)
    expect(rig.scheduler.aborted(key, fence)).toBe(true)
    expect(rig.free).toBe(1)
    rig.complete()
    expect(codes(rig)).toEqual(['STUCK'])
  })

  it('that is stuck keeps its cores until the worker confirms, and is told again', () => {
    const rig = new Rig({ cancelTimeoutMs: 100, cancelAttempts: 2 })
    rig.worker('w', 1)
    rig.submit('j', [{ stuckMs: 500 }])
    rig.clock.advance(501)
    expect(rig.aborts).toHaveLength(1)
    rig.clock.advance(1_000)
    expect(rig.aborts).toHaveLength(2)
    expect([rig.free, rig.dispatches.length]).toEqual([0, 1])
    const { key, fence } = rig.dispatch()
    expect(rig.scheduler.result({ key, fence, status: 'cancelled' })).toBe('stale')
    expect(rig.dispatches).toHaveLength(2)
    rig.complete()
    expect(codes(rig)).toEqual(['STUCK', 'ABORT_UNCONFIRMED'])
  })

  it('that is stuck decides nothing, however its execution ends after it was told to', () => {
    for (const status of ['cancelled', 'failed', 'timed-out'] as const) {
      const rig = new Rig()
      rig.worker('w', 1)
      rig.submit('j', [{ stuckMs: 500 }])
      rig.clock.advance(501)
      expect(rig.complete(undefined, { status })).toBe('stale')
      expect(rig.dispatch()).toMatchObject({ attempt: 2 })
    }
  })

  it('that was granted is not stuck', () => {
    const { rig } = silent({ stuckMs: 500 })
    rig.clock.advance(400)
    rig.scheduler.extend('j', 1_000)
    rig.clock.advance(499)
    expect(rig.aborts).toEqual([])
    rig.clock.advance(2)
    expect(rig.aborts).toHaveLength(1)
  })

  it('that ends in a completed result after all still counts, until it runs again', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{ stuckMs: 500 }])
    rig.clock.advance(501)
    expect(rig.complete()).toBe('accepted')
    expect(rig.finished[0]?.status).toBe('completed')
    expect(rig.clock.pendingTimers).toBe(0)
  })
})
