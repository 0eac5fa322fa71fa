import { describe, expect, it } from 'vitest'
import { ClosedError, ConfigError, DecodeError, LimitError } from '@hs/core'
import { JobScheduler, WorkerPool, decodePayload, fenceToken, type JobSchedulerOptions } from '@hs/jobs'
import { Rig, specOf } from './support/rig.js'

describe('a job from submit to end', () => {
  it('runs the first screen of the contract', () => {
    const rig = new Rig()
    rig.worker('me', 4)
    expect(rig.submit('j1', [{ id: 'setup' }, { id: 'load', vus: 100, dependsOn: ['setup'] }])).toBe('accepted')
    expect(rig.dispatch()).toMatchObject({
      jobId: 'j1',
      workflowId: 'setup',
      shard: 0,
      key: 'j1/setup/0',
      attempt: 1,
      workerId: 'me',
      cores: 1,
    })
    expect(rig.accept()).toBe(true)
    expect(rig.complete('j1/setup/0', { value: 1 })).toBe('accepted')
    expect(rig.dispatch()).toMatchObject({ key: 'j1/load/0', cores: 4 })
    expect(rig.payload()).toMatchObject({ vus: 100, shard: 0, plan: [100] })
    expect(rig.complete('j1/load/0', { value: 2, stats: { n: 1 } })).toBe('accepted')
    expect(rig.finished).toEqual([
      {
        jobId: 'j1',
        datacenter: 'dc',
        status: 'completed',
        reason: null,
        durationMs: 0,
        contextVersion: 2,
        errors: [],
        workflows: [
          {
            workflowId: 'setup',
            status: 'completed',
            shards: [{ shard: 0, status: 'completed', attempts: 1, fence: 1, vus: 1, value: 1 }],
          },
          {
            workflowId: 'load',
            status: 'completed',
            shards: [{ shard: 0, status: 'completed', attempts: 1, fence: 2, vus: 100, value: 2, stats: { n: 1 } }],
          },
        ],
        accounting: {
          workflows: 2,
          completed: 2,
          failed: 0,
          timedOut: 0,
          cancelled: 0,
          skipped: 0,
          executions: 2,
          requeued: 0,
          duplicates: 0,
          stale: 0,
        },
      },
    ])
    expect(rig.free).toBe(4)
    expect(rig.clock.pendingTimers).toBe(0)
  })

  it('is taken once: the same id again changes nothing', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}])
    expect(rig.submit('j', [{}, {}])).toBe('duplicate')
    expect(rig.scheduler.job('j')?.workflows.total).toBe(1)
    expect(rig.dispatches).toHaveLength(1)
  })

  it('that is malformed registers nothing', () => {
    const rig = new Rig()
    expect(() => rig.submit('j', [{ vus: 0 }])).toThrow(ConfigError)
    expect(() => rig.submit('j', [{ dependsOn: ['x'] }])).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_DEPENDENCY' }),
    )
    expect(rig.scheduler.snapshot()).toMatchObject({ jobs: 0, shards: 0 })
    expect(rig.clock.pendingTimers).toBe(0)
    expect(rig.submit('j', [{}])).toBe('accepted')
  })

  it('beyond the limit is refused, and there is room again when one is forgotten', () => {
    const rig = new Rig({ maxJobs: 1 })
    rig.worker()
    rig.submit('j1', [{}])
    expect(() => rig.submit('j2', [{}])).toThrow(LimitError)
    rig.complete()
    expect(() => rig.submit('j2', [{}])).toThrow(LimitError)
    expect(rig.scheduler.forget('j1')).toBe(true)
    expect(rig.submit('j2', [{}])).toBe('accepted')
  })

  it('is shown as it stands', () => {
    const rig = new Rig({ term: () => 3 })
    rig.submit('j', [{}, { dependsOn: ['a'] }])
    expect(rig.scheduler.job('j')).toEqual({
      jobId: 'j',
      datacenter: 'dc',
      epoch: 3,
      sequence: 1,
      status: 'pending',
      done: 0,
      contextVersion: 0,
      workflows: {
        total: 2,
        waiting: 1,
        queued: 1,
        running: 0,
        completed: 0,
        failed: 0,
        timedOut: 0,
        cancelled: 0,
        skipped: 0,
      },
      plans: {},
    })
    rig.worker()
    expect(rig.scheduler.job('j')).toMatchObject({ sequence: 2, status: 'running', plans: { a: [1] } })
    const snapshot = rig.scheduler.job('j')
    expect(Object.isFrozen(snapshot)).toBe(true)
    expect(JSON.parse(JSON.stringify(snapshot))).toMatchObject({ plans: { a: [1] } })
    rig.complete()
    expect(snapshot?.plans).toEqual({ a: [1] })
    expect(rig.scheduler.job('nobody')).toBeUndefined()
  })
})

describe('effects (JOBS-3)', () => {
  it('leave after the state has settled: a port method sees and may change it', () => {
    const seen: unknown[] = []
    const rig: Rig = new Rig({
      port: {
        dispatch: ({ key, fence }) => {
          seen.push(rig.scheduler.job('j')?.workflows.running)
          rig.scheduler.result({ key, fence, status: 'completed' })
        },
      },
    })
    rig.worker('w', 1)
    rig.submit('j', [{}, { dependsOn: ['a'] }])
    expect(seen).toEqual([1, 1])
    expect(rig.finished).toHaveLength(1)
  })

  it('come one after the other, in order, never within each other', () => {
    let depth = 0
    const depths: number[] = []
    const within =
      <T>(then?: (message: T) => void) =>
      (message: T) => {
        depths.push(++depth)
        then?.(message)
        depth--
      }
    const rig: Rig = new Rig({
      port: {
        dispatch: within(({ key, fence }: { key: string; fence: number }) => {
          rig.scheduler.result({ key, fence, status: 'completed' })
        }),
        jobChanged: within(),
        shardSettled: within(),
        jobFinished: within(() => rig.submit('next', [{}])),
      },
    })
    rig.worker('w', 1)
    rig.submit('j', [{}, {}])
    expect(Math.max(...depths)).toBe(1)
    expect(rig.finished.map(({ jobId }) => jobId)).toEqual(['j', 'next'])
    expect(rig.log.slice(0, 4)).toEqual(['dispatch', 'jobChanged', 'shardSettled', 'dispatch'])
  })

  it('tell a change once a job and step, with a sequence that grows', () => {
    const rig = new Rig()
    rig.submit(
      'j',
      Array.from({ length: 20 }, (_, index) => ({ id: `n${index}` })),
    )
    expect(rig.changes).toHaveLength(1)
    rig.worker('w', 20)
    expect(rig.changes).toHaveLength(2)
    for (const { key } of rig.dispatches) rig.complete(key)
    const sequences = rig.changes.map(({ sequence }) => sequence)
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b))
    expect(rig.changes).toHaveLength(22)
  })

  it('tell the end of a job once, after its last change', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}])
    rig.complete()
    rig.complete()
    rig.scheduler.cancel('j')
    expect(rig.log.filter((name) => name === 'jobFinished')).toHaveLength(1)
    expect(rig.log.at(-1)).toBe('jobFinished')
    expect(rig.changes.at(-1)?.status).toBe('completed')
  })

  it('that throw or reject are reported and change nothing', async () => {
    const rig = new Rig({
      port: {
        dispatch: () => {
          throw new Error('no network')
        },
        jobChanged: () => Promise.reject(new Error('no disk')),
      },
    })
    rig.worker()
    rig.submit('j', [{}])
    await new Promise((resolve) => setImmediate(resolve))
    expect(rig.scheduler.job('j')?.status).toBe('running')
    expect(rig.complete()).toBe('accepted')
    const messages = rig.logger.entries.map(({ message }) => message)
    expect(messages).toEqual(
      expect.arrayContaining([expect.stringContaining('no network'), expect.stringContaining('no disk')]),
    )
  })

  it('need only dispatch: the other methods may be missing', () => {
    const keys: string[] = []
    const scheduler = new JobScheduler({ datacenter: 'dc', port: { dispatch: ({ key }) => keys.push(key) } })
    scheduler.register({ workerId: 'w', incarnation: 1, address: '-', cores: 1 })
    scheduler.submit(specOf('j', [{}]))
    scheduler.cancel('j')
    scheduler.aborted('j/a/0', 1)
    expect(keys).toEqual(['j/a/0'])
    expect(scheduler.job('j')?.status).toBe('cancelled')
    scheduler.stop()
  })
})

describe('timers and forgetting (JOBS-2, JOBS-14, F12, E1, E2)', () => {
  it('has no timer while no job is open', () => {
    const rig = new Rig()
    rig.worker()
    rig.scheduler.hold()
    rig.scheduler.resume()
    expect(rig.clock.pendingTimers).toBe(0)
    rig.submit('j', [{ stuckMs: 100 }])
    expect(rig.clock.pendingTimers).toBe(1)
    rig.complete()
    expect(rig.clock.pendingTimers).toBe(0)
  })

  it('forgets jobs whole: two hundred later it is as before', () => {
    const rig = new Rig({ unknownWorkflowGraceMs: 10 })
    rig.worker('w', 3)
    const before = rig.scheduler.snapshot()
    for (let index = 0; index < 200; index++) {
      const jobId = `j${index}`
      rig.submit(jobId, [{ vus: 3 }, { dependsOn: ['a'] }, { workflow: 'w', cores: 2 }], { tenant: `t${index}` })
      if (index % 3 === 0) rig.scheduler.cancel(jobId)
      for (let round = 0; round < 4; round++) {
        for (const { key, fence } of rig.dispatches) rig.scheduler.result({ key, fence, status: 'completed' })
      }
      rig.dispatches.length = 0
      expect(rig.scheduler.forget(jobId)).toBe(true)
    }
    const { counters: _before, ...rest } = before
    expect(rig.scheduler.snapshot()).toMatchObject(rest)
    expect(rig.clock.pendingTimers).toBe(0)
  })

  it('does not forget what is not over', () => {
    const rig = new Rig()
    rig.submit('j', [{}])
    expect(rig.scheduler.forget('j')).toBe(false)
    expect(rig.scheduler.forget('nobody')).toBe(false)
    expect(rig.scheduler.job('j')).toBeDefined()
  })

  it('leaves no timer when it is stopped, and does nothing any more', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{ stuckMs: 50 }])
    const { key, fence } = rig.dispatch()
    const said = rig.log.length
    rig.scheduler.stop()
    rig.scheduler.stop()
    expect(rig.clock.pendingTimers).toBe(0)
    expect(rig.scheduler.result({ key, fence, status: 'completed' })).toBe('stale')
    expect(rig.scheduler.dispatchAccepted(key, fence)).toBe(false)
    expect(rig.scheduler.workerLost('w')).toBe(0)
    expect(rig.worker('x').outcome).toBe('stale')
    expect(rig.scheduler.cancel('j').status).toBe('unknown-job')
    expect(() => rig.submit('k', [{}])).toThrow(ClosedError)
    rig.clock.advance(1_000_000)
    expect(rig.log).toHaveLength(said)
  })
})

describe('fences (JOBS-15)', () => {
  it('begin with the term and grow by one a dispatch', () => {
    const rig = new Rig({ term: () => 7 })
    rig.worker()
    rig.submit('j', [{}, {}])
    expect(rig.dispatches.map(({ fence }) => fence)).toEqual([fenceToken(7, 1), fenceToken(7, 2)])
  })

  it('let only the latest execution speak', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{}])
    const first = rig.dispatch()
    rig.scheduler.workerLost('w')
    rig.worker('x', 1)
    const second = rig.dispatch()
    expect(second.fence).toBeGreaterThan(first.fence)
    const { key, fence } = first
    expect(rig.scheduler.dispatchAccepted(key, fence)).toBe(false)
    expect(rig.scheduler.progress({ key, fence, sequence: 0 })).toBe('stale')
    expect(rig.scheduler.result({ key, fence, status: 'completed', value: 'old' })).toBe('stale')
    expect(rig.complete(key, { value: 'new' })).toBe('accepted')
    expect(rig.finished[0]?.workflows[0]?.shards[0]).toMatchObject({ value: 'new', attempts: 2 })
    expect(rig.finished[0]?.accounting).toMatchObject({ executions: 2, requeued: 1, stale: 1 })
  })
})

describe('payload (JOBS-16, 2.6)', () => {
  it('is the same bytes at every attempt, though the context has moved on', () => {
    const rig = new Rig({ backoff: { baseMs: 1, maxMs: 1 } })
    rig.worker('w', 1)
    rig.submit('j', [{ priority: 'high', workflow: 'first' }, { workflow: 'second' }])
    const { key, fence, payload } = rig.dispatch()
    rig.scheduler.dispatchFailed(key, fence)
    rig.complete('j/b/0')
    rig.clock.advance(5)
    expect(rig.dispatch(key)).toMatchObject({ attempt: 2 })
    expect(rig.dispatch(key).payload).toBe(payload)
    expect(decodePayload(payload)).toEqual({
      workflow: 'first',
      input: new Uint8Array([0]),
      vus: 1,
      shard: 0,
      plan: [1],
      context: {},
      contextVersion: 0,
      timeoutMs: 300_000,
    })
  })

  it('that does not decode is a DecodeError', () => {
    expect(() => decodePayload(new Uint8Array([1, 2, 3]))).toThrow(DecodeError)
    expect(() => decodePayload(new Uint8Array())).toThrow(DecodeError)
  })

  it('that cannot be encoded fails the shard with the code, gives its cores back, and others go on', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [
      { priority: 'high' },
      { dependsOn: ['a'], priority: 'high' },
      { dependsOn: ['a'], priority: 'low' },
      { priority: 'low' },
    ])
    rig.complete('j/a/0', { context: { bad: { value: () => 1, version: 1 } } })
    expect(rig.keys).toEqual(['j/a/0', 'j/d/0'])
    rig.complete('j/d/0')
    expect(rig.finished[0]?.accounting).toMatchObject({ completed: 2, failed: 2, executions: 2 })
    expect(rig.finished[0]?.errors[0]).toMatchObject({ code: 'ENCODE_FAILED', key: 'j/b/0' })
    expect(rig.free).toBe(1)
  })
})

describe('context (JOBS-17)', () => {
  const publish = (values: Record<string, [unknown, number]>) => ({
    context: Object.fromEntries(Object.entries(values).map(([key, [value, version]]) => [key, { value, version }])),
  })

  it('of a completed workflow is visible to its direct dependents, under its id', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}, { dependsOn: ['a'] }, { dependsOn: ['b'] }])
    rig.complete('j/a/0', publish({ token: ['x', 1] }))
    expect(rig.payload('j/b/0')).toMatchObject({ context: { a: { token: 'x' } }, contextVersion: 1 })
    rig.complete('j/b/0', publish({ id: [7, 1] }))
    expect(rig.payload('j/c/0')).toMatchObject({ context: { b: { id: 7 } }, contextVersion: 2 })
  })

  it('is empty where nothing was published, or nothing completed', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}, {}, { dependsOn: ['a', 'b'], onDependencyFailure: 'run' }])
    rig.complete('j/a/0')
    rig.fail('j/b/0')
    expect(rig.payload('j/c/0')).toMatchObject({ context: {}, contextVersion: 1 })
  })

  it.each([
    [0, 1],
    [1, 0],
  ])('of several shards: higher version, then higher shard, whatever the order (%d before %d)', (first, second) => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.worker('x', 1)
    rig.submit('j', [{ vus: 2, priority: 'high' }, { dependsOn: ['a'] }])
    const said = [publish({ k: ['zero', 2], m: ['zero', 5] }), publish({ k: ['one', 1], m: ['one', 5] })]
    rig.complete(`j/a/${first}`, said[first])
    rig.complete(`j/a/${second}`, said[second])
    expect(rig.payload('j/b/0').context).toEqual({ a: { k: 'zero', m: 'one' } })
  })

  it('counts completed workflows', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}, {}])
    rig.complete('j/a/0')
    rig.fail('j/b/0')
    expect(rig.finished[0]).toMatchObject({ contextVersion: 1 })
  })
})

describe('results and accounting (JOBS-21)', () => {
  it('tell accepted, duplicate, stale and unknown apart, and count them', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}, {}])
    const { key, fence } = rig.dispatch('j/a/0')
    expect(rig.complete('j/a/0', { value: 1 })).toBe('accepted')
    expect(rig.complete('j/a/0', { value: 2 })).toBe('duplicate')
    expect(rig.scheduler.result({ key, fence: fence + 9, status: 'completed' })).toBe('stale')
    expect(rig.scheduler.result({ key: 'j/x/0', fence: 1, status: 'completed' })).toBe('unknown')
    expect(rig.scheduler.result({ key: 'nonsense', fence: 1, status: 'completed' })).toBe('unknown')
    rig.complete('j/b/0')
    expect(rig.finished[0]?.accounting).toMatchObject({ completed: 2, duplicates: 1, stale: 1 })
    expect(rig.finished[0]?.workflows[0]?.shards[0]?.value).toBe(1)
    expect(rig.scheduler.snapshot().counters).toMatchObject({ accepted: 2, duplicates: 1, stale: 1, unknown: 2 })
  })

  it('free cores whatever they are worth: the execution has ended', () => {
    const rig = new Rig()
    rig.worker('w', 2)
    rig.submit('j', [{ cores: 2 }])
    rig.scheduler.timeout('j')
    expect(rig.free).toBe(0)
    expect(rig.complete()).toBe('stale')
    expect(rig.free).toBe(2)
  })

  it('may come before the worker has said that it took the shard', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}])
    expect(rig.complete()).toBe('accepted')
    expect(rig.accept()).toBe(false)
  })

  it('give every workflow one outcome', () => {
    const rig = new Rig()
    rig.worker('w', 9)
    rig.submit('j', [{}, {}, {}, { dependsOn: ['b'] }, {}])
    rig.complete('j/a/0')
    rig.fail('j/b/0')
    rig.complete('j/c/0', { status: 'timed-out' })
    rig.complete('j/e/0', { status: 'cancelled' })
    expect(rig.finished[0]).toMatchObject({
      status: 'failed',
      accounting: { workflows: 5, completed: 1, failed: 1, timedOut: 1, cancelled: 1, skipped: 1 },
    })
    expect(rig.finished[0]?.errors.map(({ code }) => code)).toEqual(['BROKEN', 'TIMED_OUT'])
  })
})

describe('dependencies (JOBS-5)', () => {
  it('that end otherwise skip what depends on them, and so on downstream', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}, { dependsOn: ['a'] }, { dependsOn: ['b'] }, {}])
    rig.fail('j/a/0')
    expect(rig.scheduler.job('j')?.workflows).toMatchObject({ failed: 1, skipped: 2, running: 1 })
    rig.complete('j/d/0')
    expect(rig.finished[0]?.status).toBe('failed')
    expect(rig.keys).toEqual(['j/a/0', 'j/d/0'])
  })

  it("count as settled for one that says 'run'", () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}, {}, { dependsOn: ['a', 'b'], onDependencyFailure: 'run' }])
    rig.fail('j/a/0')
    expect(rig.keys).not.toContain('j/c/0')
    rig.complete('j/b/0')
    expect(rig.keys).toContain('j/c/0')
    rig.complete('j/c/0')
    expect(rig.finished[0]).toMatchObject({ status: 'failed', accounting: { completed: 2, failed: 1, skipped: 0 } })
  })

  it('skip a chain of ten thousand in one step', () => {
    const rig = new Rig()
    rig.worker()
    const chain = Array.from({ length: 10_000 }, (_, at) => ({
      id: `n${at}`,
      dependsOn: at === 0 ? [] : [`n${at - 1}`],
    }))
    rig.submit('j', chain)
    rig.fail('j/n0/0')
    expect(rig.finished[0]?.accounting).toMatchObject({ failed: 1, skipped: 9_999 })
  })

  it.each([
    [['completed', 'failed', 'timed-out'], 'failed'],
    [['completed', 'cancelled', 'timed-out'], 'timed-out'],
    [['cancelled', 'completed', 'completed'], 'cancelled'],
    [['completed', 'completed', 'completed'], 'completed'],
  ] as const)('wait for every shard: %j is %s, and siblings go on', (statuses, expected) => {
    const rig = new Rig()
    for (const workerId of ['x', 'y', 'z']) rig.worker(workerId, 1)
    rig.submit('j', [
      { vus: 3, priority: 'high' },
      { dependsOn: ['a'], onDependencyFailure: 'run' },
    ])
    expect(rig.dispatches).toHaveLength(3)
    for (const [shard, status] of statuses.entries()) {
      expect(rig.keys).not.toContain('j/b/0')
      rig.complete(`j/a/${shard}`, { status })
    }
    rig.complete('j/b/0')
    expect(rig.finished[0]?.workflows[0]?.status).toBe(expected)
  })
})

describe('progress (JOBS-22)', () => {
  it('is ordered by sequence within a fence, and gaps are counted', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}])
    const { key, fence } = rig.dispatch()
    const send = (sequence: number, done: number) => rig.scheduler.progress({ key, fence, sequence, done })
    expect(send(3, 1)).toBe('accepted')
    expect(send(6, 4)).toBe('accepted')
    expect(send(6, 4)).toBe('duplicate')
    expect(send(5, 3)).toBe('stale')
    expect(rig.scheduler.job('j')?.done).toBe(4)
    expect(rig.scheduler.snapshot().counters.progressGaps).toBe(2)
    expect(rig.scheduler.progress({ key: 'j/x/0', fence, sequence: 1 })).toBe('unknown')
    expect(() => send(-1, 0)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    rig.complete()
    expect(send(7, 5)).toBe('stale')
  })

  it('of a dispatched shard implies that it was accepted', () => {
    const rig = new Rig({ pool: new WorkerPool({ maxUnconfirmedPerWorker: 1 }) })
    rig.worker('w', 2)
    rig.submit('j', [{}, {}])
    expect(rig.dispatches).toHaveLength(1)
    const { key, fence } = rig.dispatch()
    rig.scheduler.progress({ key, fence, sequence: 0 })
    expect(rig.dispatches).toHaveLength(2)
    expect(rig.scheduler.dispatchFailed(key, fence)).toBe(false)
  })

  it('is shown as a change', () => {
    const rig = new Rig()
    rig.worker()
    rig.submit('j', [{}])
    const { key, fence } = rig.dispatch()
    const before = rig.changes.length
    rig.scheduler.progress({ key, fence, sequence: 0, done: 9 })
    expect(rig.changes.slice(before)).toEqual([expect.objectContaining({ done: 9 })])
  })

  it('of a second execution adds only what is further than the first', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{}])
    const send = (done: number, sequence: number) => {
      const { key, fence } = rig.dispatch()
      rig.scheduler.progress({ key, fence, sequence, done })
      return rig.scheduler.job('j')?.done
    }
    expect(send(10, 1)).toBe(10)
    rig.scheduler.workerLost('w')
    rig.worker('x', 1)
    expect([send(4, 1), send(12, 2)]).toEqual([10, 12])
  })
})

describe('explain (JOBS-23)', () => {
  it('says for each workflow why it waits', () => {
    const rig = new Rig()
    rig.submit('j', [{}, { dependsOn: ['a'] }])
    expect(rig.scheduler.explain('j')).toEqual([
      { workflowId: 'a', reason: 'no-workers' },
      { workflowId: 'b', reason: 'waiting-for-dependencies' },
    ])
    rig.worker('x', 1, { workflows: ['other'] })
    expect(rig.scheduler.explain('j')[0]).toEqual({ workflowId: 'a', reason: 'no-worker-runs-it' })
    rig.submit('k', [{ workflow: 'other', cores: 2 }, { workflow: 'other' }, { workflow: 'other' }])
    expect(rig.scheduler.explain('k')).toEqual([
      { workflowId: 'a', reason: 'no-worker-large-enough' },
      { workflowId: 'c', reason: 'waiting-for-cores' },
    ])
    const { key, fence } = rig.dispatch('k/b/0')
    rig.scheduler.dispatchFailed(key, fence)
    expect(rig.scheduler.explain('k')).toContainEqual({ workflowId: 'b', reason: 'backing-off' })
    expect(rig.scheduler.explain('nobody')).toEqual([])
  })

  it('says that there are no workers when none may be used', () => {
    const rig = new Rig()
    rig.worker()
    rig.scheduler.pool.setHealth('w', 'unhealthy')
    rig.submit('j', [{}])
    expect(rig.scheduler.explain('j')).toEqual([{ workflowId: 'a', reason: 'no-workers' }])
    rig.scheduler.pool.setHealth('w', 'healthy')
    expect(rig.dispatches).toHaveLength(1)
  })
})

describe('names that nobody runs (JOBS-23)', () => {
  const code = (rig: Rig, index = 0) => rig.finished[index]?.workflows[0]?.shards[0]?.error?.code

  it('fail after the grace, if a worker is registered', () => {
    const rig = new Rig()
    rig.submit('j', [{ workflow: 'typo', vus: 3 }])
    rig.clock.advance(60_000)
    expect(rig.finished).toEqual([])
    rig.worker('w', 1, { workflows: ['known'] })
    rig.clock.advance(4_999)
    expect(rig.finished).toEqual([])
    rig.clock.advance(1)
    expect(rig.finished[0]).toMatchObject({ status: 'failed', accounting: { failed: 1, executions: 0 } })
    expect(code(rig)).toBe('UNKNOWN_WORKFLOW')
    expect(rig.finished[0]?.errors).toEqual([{ code: 'UNKNOWN_WORKFLOW', key: 'j/a/0', workerId: '' }])
  })

  it('are known again when a worker comes that runs them', () => {
    const rig = new Rig()
    rig.worker('w', 1, { workflows: ['known'] })
    rig.submit('j', [{ workflow: 'late' }])
    rig.clock.advance(4_000)
    rig.worker('x', 1, { workflows: ['late'] })
    expect(rig.dispatches).toHaveLength(1)
    rig.clock.advance(4_000)
    expect(rig.finished).toEqual([])
  })

  it('are not judged while the workers that run them are only unhealthy', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.scheduler.pool.setHealth('w', 'unhealthy')
    rig.submit('j', [{}])
    rig.clock.advance(60_000)
    expect(rig.finished).toEqual([])
  })

  it('fail a shard too that must run again when the last worker that knew it is gone', () => {
    const rig = new Rig()
    rig.worker('w', 1, { workflows: ['known'] })
    rig.worker('x', 1, { workflows: ['other'] })
    rig.submit('j', [{ workflow: 'known' }])
    rig.scheduler.workerLost('w')
    rig.clock.advance(5_000)
    expect(code(rig)).toBe('UNKNOWN_WORKFLOW')
  })
})

describe('fairness, aging and exclusive work in the scheduler (JOBS-7..10)', () => {
  it('takes turns between tenants', () => {
    const rig = new Rig()
    rig.submit('a', [{}, {}, {}], { tenant: 'a' })
    rig.submit('b', [{}, {}, {}], { tenant: 'b' })
    rig.worker('w', 4)
    expect(rig.keys).toEqual(['a/a/0', 'b/a/0', 'a/b/0', 'b/b/0'])
  })

  it('counts the cores a tenant gives back', () => {
    const rig = new Rig()
    rig.worker('w', 2)
    rig.submit('a', [{ cores: 2 }, {}], { tenant: 'a' })
    rig.submit('b', [{}, {}], { tenant: 'b' })
    rig.complete('a/a/0')
    expect(rig.keys).toEqual(['a/a/0', 'a/b/0', 'b/a/0'])
  })

  it('starts first what has waited too long, and lets cores drain to it', () => {
    const rig = new Rig()
    rig.worker('w', 2)
    rig.submit('j1', [{}, {}])
    rig.submit('large', [{ cores: 2, priority: 'low' }])
    rig.clock.advance(30_000)
    rig.submit('quick', [{ priority: 'high' }])
    rig.complete('j1/a/0')
    expect(rig.keys).toHaveLength(2)
    rig.complete('j1/b/0')
    expect(rig.keys.slice(2)).toEqual(['large/a/0'])
    rig.complete('large/a/0')
    expect(rig.keys.slice(3)).toEqual(['quick/a/0'])
  })

  it('goes by rank among those that have waited too long since the same moment', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j1', [{}])
    rig.submit('low', [{ priority: 'low' }])
    rig.submit('high', [{ priority: 'high' }])
    rig.clock.advance(30_000)
    rig.complete('j1/a/0')
    expect(rig.keys.slice(1)).toEqual(['high/a/0'])
  })

  it('runs exclusive work alone', () => {
    const rig = new Rig()
    rig.worker('w', 2)
    rig.submit('j1', [{}])
    rig.submit('x', [{ priority: 'exclusive', vus: 1 }])
    rig.submit('j2', [{}])
    expect(rig.keys).toEqual(['j1/a/0'])
    rig.complete('j1/a/0')
    expect(rig.keys).toEqual(['j1/a/0', 'x/a/0'])
    rig.complete('x/a/0')
    expect(rig.keys).toEqual(['j1/a/0', 'x/a/0', 'j2/a/0'])
  })
})

describe('options of JobScheduler', () => {
  it.each<[string, object]>([
    ['no port', { port: undefined }],
    ['a port without dispatch', { port: {} }],
    ['no datacenter', { datacenter: '' }],
    ['a pool that is none', { pool: {} }],
    ['no attempts', { maxAttempts: 0 }],
    ['a backoff upside down', { backoff: { baseMs: 10, maxMs: 5 } }],
    ['a retry budget, which is not there yet', { retryBudget: { total: 1, perWorkflow: 1 } }],
    ['a misspelt option', { maxAttempt: 1 }],
  ])('refuses %s', (_what, more) => {
    const options = { datacenter: 'dc', port: { dispatch: () => undefined }, ...more } as JobSchedulerOptions
    expect(() => new JobScheduler(options)).toThrow(ConfigError)
  })

  it('takes a pool that has workers already', () => {
    const pool = new WorkerPool()
    pool.register({ workerId: 'w', incarnation: 1, address: '-', cores: 1 })
    const rig = new Rig({ pool })
    rig.submit('j', [{}])
    expect(rig.dispatch().workerId).toBe('w')
    expect(rig.scheduler.pool).toBe(pool)
  })
})
