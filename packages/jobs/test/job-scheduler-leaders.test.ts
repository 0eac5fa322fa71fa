/** One leader after the other: what the next one takes over. */
import { describe, expect, it } from 'vitest'
import { fenceToken } from '@hs/jobs'
import { Rig, running, specOf } from './support/rig.js'

/** A rig that has begun, and one that follows it under a higher term. */
function succession(jobs: Parameters<typeof specOf>[1], options: object = {}) {
  const old = new Rig({ term: () => 1 })
  old.worker('w', 4)
  old.submit('j', jobs)
  const next = new Rig({ term: () => 2, clock: old.clock, ...options })
  const plans = () => ({ ...old.scheduler.job('j')?.plans })
  const takeOver = () => {
    old.scheduler.stop()
    next.scheduler.hold()
    next.scheduler.submit(specOf('j', jobs), { results: old.settled, plans: plans() })
  }
  return { old, next, takeOver }
}

describe('hold and resume (JOBS-28)', () => {
  it('starts nothing in between; submissions are taken and wait', () => {
    const rig = new Rig()
    rig.scheduler.hold()
    rig.worker()
    expect(rig.submit('j', [{}])).toBe('accepted')
    expect(rig.dispatches).toEqual([])
    rig.scheduler.resume()
    expect(rig.dispatches).toHaveLength(1)
  })

  it('ends by itself after recoveryMs, whether or not something waited then', () => {
    const rig = new Rig({ recoveryMs: 1_000 })
    rig.scheduler.hold()
    rig.worker()
    rig.submit('j', [{}])
    rig.clock.advance(999)
    expect(rig.dispatches).toEqual([])
    rig.clock.advance(2)
    expect(rig.dispatches).toHaveLength(1)
    const idle = new Rig({ recoveryMs: 1_000 })
    idle.scheduler.hold()
    expect(idle.clock.pendingTimers).toBe(0)
    idle.clock.advance(1_000)
    idle.worker()
    idle.submit('j', [{}])
    expect(idle.dispatches).toHaveLength(1)
  })

  it('judges no name while workers are still coming', () => {
    const rig = new Rig({ recoveryMs: 60_000, unknownWorkflowGraceMs: 1_000 })
    rig.scheduler.hold()
    rig.worker('x', 1, { workflows: ['other'] })
    rig.submit('j', [{}])
    rig.clock.advance(30_000)
    rig.worker('w', 1)
    rig.scheduler.resume()
    expect(rig.dispatch().workerId).toBe('w')
  })
})

describe('taking over (JOBS-28)', () => {
  it('adopts what runs under its old fence, and dispatches only what nobody runs or finished', () => {
    const { old, next, takeOver } = succession([{}, {}, {}, { dependsOn: ['a'] }])
    old.complete('j/a/0', { value: 'kept', context: { k: { value: 1, version: 1 } } })
    const b = old.dispatch('j/b/0')
    takeOver()
    expect(next.worker('w', 4, {}, [running(b)])).toEqual({ outcome: 'registered', abort: [] })
    expect(next.free).toBe(3)
    next.scheduler.resume()
    expect(next.keys.sort()).toEqual(['j/c/0', 'j/d/0'])
    expect(next.payload('j/d/0')).toMatchObject({ context: { a: { k: 1 } }, contextVersion: 1 })
    expect(next.scheduler.result({ key: b.key, fence: b.fence, status: 'completed', value: 'b' })).toBe('accepted')
    next.complete('j/c/0')
    next.complete('j/d/0')
    expect(next.finished[0]).toMatchObject({
      status: 'completed',
      contextVersion: 4,
      accounting: { completed: 4, executions: 4, requeued: 0 },
    })
    expect(next.finished[0]?.workflows.map(({ shards }) => shards[0]?.value)).toEqual([
      'kept',
      'b',
      undefined,
      undefined,
    ])
  })

  it.each(['ORPHANED', 'NODE_STOPPED'])('counts an execution that was handed back meanwhile (%s)', (code) => {
    const { old, next, takeOver } = succession([{}])
    const { key, fence } = old.dispatch('j/a/0')
    takeOver()
    next.worker('w', 4)
    const error = { code, message: 'nobody led' }
    expect(next.scheduler.result({ key, fence, status: 'cancelled', attempt: 1, error })).toBe('accepted')
    expect(next.dispatches).toEqual([])
    next.scheduler.resume()
    expect(next.dispatch(key)).toMatchObject({ attempt: 2 })
    next.complete(key)
    expect(next.finished[0]?.accounting).toMatchObject({ completed: 1, executions: 2, requeued: 1, stale: 0 })
  })

  it('issues fences above every one it has seen, of its own term too', () => {
    const rig = new Rig()
    rig.submit('j', [{}])
    const fence = fenceToken(0, 900)
    rig.worker('w', 1, {}, [{ key: 'j/a/0', fence, cores: 1 }])
    rig.scheduler.workerLost('w')
    rig.worker('x', 1)
    expect(rig.dispatch().fence).toBeGreaterThan(fence)
    expect(rig.dispatch().attempt).toBe(2)
  })

  it('takes the plan from what runs, and queues the shards that nobody runs', () => {
    const { old, next, takeOver } = succession([{ vus: 9, priority: 'high' }])
    old.worker('x', 4)
    old.worker('y', 4)
    old.submit('k', [{ vus: 9, priority: 'high' }])
    const shards = old.dispatches.filter(({ jobId }) => jobId === 'k')
    expect(shards).toHaveLength(2)
    takeOver()
    next.scheduler.submit(specOf('k', [{ vus: 9, priority: 'high' }]))
    const [first, second] = shards
    next.worker(first!.workerId, 4, {}, [running(first!)])
    next.scheduler.resume()
    const plan = running(first!).plan
    next.worker('z', 8)
    expect(next.dispatch(second!.key)).toMatchObject({ shard: 1, attempt: 1 })
    expect(next.payload(second!.key)).toMatchObject({ plan, vus: plan![1] })
    expect(next.keys).not.toContain(first!.key)
  })

  it('keeps what runs of a job that it does not know yet for a later submit', () => {
    const { old, next } = succession([{}])
    const dispatch = old.dispatch()
    old.scheduler.stop()
    expect(next.worker('w', 4, {}, [running(dispatch)])).toEqual({ outcome: 'registered', abort: [] })
    expect(next.free).toBe(3)
    expect(next.beat([running(dispatch)])).toEqual({ outcome: 'ok', abort: [] })
    expect(next.submit('j', [{}])).toBe('accepted')
    expect(next.dispatches).toEqual([])
    expect(next.free).toBe(3)
    expect(next.scheduler.result({ key: dispatch.key, fence: dispatch.fence, status: 'completed' })).toBe('accepted')
    expect([next.free, next.finished[0]?.status]).toEqual([4, 'completed'])
  })

  it('does not keep it for ever, nor when the worker has lost it', () => {
    const { old, next } = succession([{}, {}])
    const list = old.dispatches.map(running)
    next.worker('w', 4, {}, list)
    next.beat([list[0]!])
    next.beat([list[0]!])
    expect(next.free).toBe(3)
    next.clock.advance(60_000)
    const { key, fence } = list[0]!
    expect(next.beat([list[0]!]).abort).toEqual([{ key, fence }])
    expect(next.scheduler.result({ key, fence, status: 'cancelled' })).toBe('unknown')
    expect(next.free).toBe(4)
    next.submit('j', [{}, {}])
    expect(next.keys).toEqual(['j/a/0', 'j/b/0'])
  })

  it('asks for what is finished, cancelled or does not fit the plan to be aborted', () => {
    const { old, next, takeOver } = succession([{}, {}, { vus: 3 }])
    old.complete('j/a/0')
    takeOver()
    next.scheduler.cancel('j', { workflowId: 'b' })
    const list = [
      running(old.dispatch('j/a/0')),
      running(old.dispatch('j/b/0')),
      { key: 'j/c/7', fence: 99, cores: 1, plan: [1, 1, 1] },
      { key: 'j/c/0', fence: 99, cores: 1, plan: [1, 1] },
      { key: 'j/x/0', fence: 99, cores: 1 },
    ]
    expect(next.worker('w', 4, {}, list).abort.map(({ key }) => key)).toEqual(list.map(({ key }) => key))
    expect(next.free).toBe(4)
  })

  it('of two executions of one shard keeps the later one', () => {
    const rig = new Rig({ term: () => 9 })
    rig.scheduler.hold()
    rig.submit('j', [{}])
    rig.worker('w', 1, {}, [{ key: 'j/a/0', fence: 5, cores: 1 }])
    expect(rig.worker('x', 1, {}, [{ key: 'j/a/0', fence: 7, cores: 1 }]).abort).toEqual([])
    expect(rig.aborts).toEqual([{ key: 'j/a/0', fence: 5, workerId: 'w', reason: 'cancel' }])
    expect(rig.worker('y', 1, {}, [{ key: 'j/a/0', fence: 6, cores: 1 }]).abort).toEqual([{ key: 'j/a/0', fence: 6 }])
    expect(rig.scheduler.result({ key: 'j/a/0', fence: 5, status: 'completed' })).toBe('stale')
    expect(rig.scheduler.result({ key: 'j/a/0', fence: 7, status: 'completed' })).toBe('accepted')
    expect(rig.scheduler.pool.snapshot().freeCores).toBe(3)
  })

  it('does not adopt more than a worker has cores for', () => {
    const rig = new Rig()
    rig.submit('j', [{ cores: 2 }, { cores: 2 }])
    const list = ['a', 'b'].map((id, index) => ({ key: `j/${id}/0`, fence: index + 1, cores: 2 }))
    expect(rig.worker('w', 3, {}, list).abort).toEqual([{ key: 'j/b/0', fence: 2 }])
    expect(rig.free).toBe(1)
  })

  it('does not take the end of what it could not adopt for the end of the work', () => {
    const rig = new Rig()
    rig.worker('w', 1)
    rig.submit('j', [{}])
    const dispatch = rig.dispatch()
    rig.scheduler.workerLost('w')
    rig.worker('w', 1, { incarnation: 2, workflows: ['other'] })
    rig.submit('k', [{ workflow: 'other' }])
    const { key, fence } = dispatch
    expect(rig.beat([running(dispatch)], 'w', 2).abort).toEqual([{ key, fence }])
    expect(rig.scheduler.result({ key, fence, status: 'cancelled' })).toBe('stale')
    expect(rig.scheduler.job('j')?.workflows).toMatchObject({ queued: 1, cancelled: 0 })
  })

  it('encodes anew what it adopted and then lost, from spec and context', () => {
    const { old, next, takeOver } = succession([{}, { dependsOn: ['a'], vus: 2 }])
    old.complete('j/a/0', { context: { k: { value: 'v', version: 1 } } })
    const dispatch = old.dispatch('j/b/0')
    takeOver()
    next.worker('w', 4, {}, [running(dispatch)])
    next.scheduler.resume()
    next.worker('x', 4)
    next.scheduler.workerLost('w')
    expect(next.dispatch('j/b/0')).toMatchObject({ attempt: 2, workerId: 'x' })
    expect(next.dispatch('j/b/0').fence).toBeGreaterThanOrEqual(fenceToken(2, 1))
    expect(next.dispatch('j/b/0').payload).toEqual(dispatch.payload)
    next.complete('j/b/0')
    expect(next.finished[0]?.accounting).toMatchObject({ executions: 3, requeued: 1 })
  })

  it('adopts what runs though its dependency is not known to have ended, and does the dependency again', () => {
    const { old, next } = succession([{}, { dependsOn: ['a'], vus: 2 }, { dependsOn: ['a'] }])
    old.complete('j/a/0')
    const b = old.dispatch('j/b/0')
    next.scheduler.hold()
    next.submit('j', [{}, { dependsOn: ['a'], vus: 2 }, { dependsOn: ['a'] }])
    next.worker('w', 4, {}, [running(b)])
    next.scheduler.resume()
    expect(next.keys).toEqual(['j/a/0'])
    next.fail('j/a/0')
    expect(next.scheduler.job('j')?.workflows).toMatchObject({ failed: 1, running: 1, skipped: 1 })
    next.scheduler.result({ key: b.key, fence: b.fence, status: 'completed' })
    expect(next.finished[0]).toMatchObject({ status: 'failed', accounting: { completed: 1, failed: 1, skipped: 1 } })
  })

  it('takes a result of an execution that it has never seen, as long as it started none itself', () => {
    const { old, next, takeOver } = succession([{}])
    const { key, fence } = old.dispatch()
    takeOver()
    expect(next.scheduler.result({ key, fence, attempt: 1, status: 'completed' })).toBe('accepted')
    next.worker()
    next.scheduler.resume()
    expect(next.dispatches).toEqual([])
    expect(next.finished[0]?.accounting).toMatchObject({ executions: 1 })
  })
})

describe('recovered results (JOBS-21, JOBS-28)', () => {
  it('settle a job whole: it is over in the step that takes it', () => {
    const rig = new Rig()
    const results = [
      { key: 'j/b/0', fence: 2, attempt: 3, status: 'failed', error: { code: 'X', message: 'x' } },
      { key: 'j/a/0', fence: 1, attempt: 2, status: 'completed', value: 1 },
    ] as const
    rig.scheduler.submit(specOf('j', [{}, { dependsOn: ['a'] }, { dependsOn: ['b'] }]), { results })
    expect(rig.finished).toEqual([
      expect.objectContaining({
        status: 'failed',
        accounting: expect.objectContaining({
          completed: 1,
          failed: 1,
          skipped: 1,
          executions: 5,
          requeued: 3,
        }) as unknown,
      }),
    ])
    expect(rig.clock.pendingTimers).toBe(0)
  })

  it('of some shards leave the others to be done', () => {
    const rig = new Rig()
    rig.worker('w', 9)
    const results = [{ key: 'j/a/1', fence: 5, status: 'completed', value: 'kept' }] as const
    rig.scheduler.submit(specOf('j', [{ vus: 4 }]), { results, plans: { a: [2, 1, 1] } })
    expect(rig.keys).toEqual(['j/a/0', 'j/a/2'])
    rig.complete('j/a/0')
    rig.complete('j/a/2')
    expect(rig.finished[0]?.workflows[0]?.shards.map(({ vus, value }) => [vus, value])).toEqual([
      [2, undefined],
      [1, 'kept'],
      [1, undefined],
    ])
  })

  it('without a plan, or of another job, do not count; the first of a shard does', () => {
    const rig = new Rig()
    rig.worker('w', 9)
    const results = [
      { key: 'j/a/0', fence: 5, status: 'completed' },
      { key: 'k/b/0', fence: 5, status: 'completed' },
      { key: 'j/x/0', fence: 5, status: 'completed' },
      { key: 'j/c/0', fence: 5, status: 'completed', value: 'first' },
      { key: 'j/c/0', fence: 6, status: 'completed', value: 'second' },
    ] as const
    rig.scheduler.submit(specOf('j', [{ vus: 4 }, {}, {}]), { results, plans: { b: [7], x: [1] } })
    expect(rig.keys.sort()).toEqual(['j/a/0', 'j/b/0'])
    rig.complete('j/a/0')
    rig.complete('j/b/0')
    expect(rig.finished[0]?.workflows[2]?.shards[0]?.value).toBe('first')
  })

  it('that are malformed change nothing', () => {
    const rig = new Rig()
    const results = [{ key: 'nonsense', fence: 1, status: 'completed' }] as const
    expect(() => rig.scheduler.submit(specOf('j', [{}]), { results })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(rig.scheduler.snapshot().jobs).toBe(0)
  })

  it('of a duplicate submission are not looked at', () => {
    const rig = new Rig()
    rig.submit('j', [{}])
    const results = [{ key: 'j/a/0', fence: 1, status: 'completed' }] as const
    expect(rig.scheduler.submit(specOf('j', [{}]), { results })).toBe('duplicate')
    expect(rig.finished).toEqual([])
  })
})
