import { describe, expect, it } from 'vitest'
import { DatacenterState } from '../src/datacenter-state.js'
import { stateCodec, type StateMessage } from '../src/wire/manager-manager.js'

const leader = (term: number) => ({ id: `m${term}@1`, address: `m${term}:1`, term })
const owner = (fence: number) => ({ gateId: 'g1', address: 'g1:1', fence })
const worker = (workerId: string, incarnation = 1) => ({ workerId, incarnation, address: `${workerId}:1` })
const assignment = (jobId: string) => ({
  spec: { jobId, workflows: [{ id: 'a', workflow: 'a', input: new Uint8Array([1]) }], timeoutMs: 10_000 },
  settled: [],
  plans: {},
})
const result = (key: string, value = true) => ({
  key,
  fence: 1,
  attempt: 1,
  status: 'completed' as const,
  durationMs: 5,
  ...(value && { value: new Uint8Array(100) }),
})
const wired = (message: StateMessage | null) => stateCodec.decode(stateCodec.encode(message ?? never()))

const FACTS = { managers: 2, managersAlive: 2, workers: 1, workersHealthy: 1, coresAvailable: 1, coresTotal: 2 }

function never(): never {
  throw new Error('there is nothing to tell')
}

function leading(term = 1) {
  const state = new DatacenterState()
  state.lead(
    leader(term),
    () => undefined,
    () => FACTS,
  )
  return state
}

describe('DatacenterState (NODES-29)', () => {
  it('tells how the datacenter is along with everything, and remembers it when the leader is gone', () => {
    const [first, second] = [leading(), new DatacenterState()]
    expect([first.facts, second.facts]).toEqual([FACTS, null])
    second.apply(wired(first.index()), leader(1), 0)
    expect(second.facts).toEqual(FACTS)
    first.follow()
    expect(first.facts).toEqual(FACTS)
    const own = { ...FACTS, workers: 7 }
    second.lead(
      leader(2),
      () => undefined,
      () => own,
    )
    expect([second.facts, second.factsBefore]).toEqual([own, FACTS])
  })

  it('tells changes, and each once', () => {
    const [first, second] = [leading(), new DatacenterState()]
    first.workerRegistered(worker('w1'))
    first.jobAssigned(assignment('j1'), owner(1), 0)
    expect(second.apply(wired(first.news(0)), leader(1), 0)).toEqual({ missing: [] })
    first.jobSettled('j1', result('j1/a/0'))
    first.workerLost('w1')
    expect(second.apply(wired(first.news(0)), leader(1), 0)).toEqual({ missing: [] })
    expect(first.news(0)).toBeNull()
    expect([...second.workers.keys()]).toEqual([])
    expect(second.jobs.get('j1')?.assignment(0).settled).toEqual([result('j1/a/0', false)])
    first.jobForgotten('j1')
    second.apply(wired(first.news(0)), leader(1), 0)
    expect([...second.jobs.keys()]).toEqual([])
  })

  it('hands on what is left of the time of a job', () => {
    const [first, second] = [leading(), new DatacenterState()]
    first.jobAssigned(assignment('j1'), owner(1), 0)
    second.apply(wired(first.news(4_000)), leader(1), 100_000)
    expect(second.jobs.get('j1')?.assignment(101_000).spec.timeoutMs).toBe(5_000)
  })

  it('lets a peer that missed a change ask for the whole job', () => {
    const [first, second] = [leading(), new DatacenterState()]
    first.jobAssigned(assignment('j1'), owner(1), 0)
    first.news(0) // nobody hears it
    first.jobSettled('j1', result('j1/a/0'))
    expect(second.apply(wired(first.news(0)), leader(1), 0)).toEqual({ missing: ['j1'] })
    expect(second.apply(wired(first.index()), leader(1), 0)).toEqual({ missing: ['j1'] })
    expect(second.apply(wired(first.records(['j1'], 0)), leader(1), 0)).toEqual({ missing: [] })
    expect(second.apply(wired(first.index()), leader(1), 0)).toEqual({ missing: [] })
    expect(second.jobs.get('j1')?.assignment(0).settled).toHaveLength(1)
  })

  it('drops with the whole what the leader does not list', () => {
    const [first, second] = [leading(), new DatacenterState()]
    first.workerRegistered(worker('w1'))
    first.jobAssigned(assignment('j1'), owner(1), 0)
    second.apply(wired(first.news(0)), leader(1), 0)
    first.workerLost('w1')
    first.workerRegistered(worker('w2'))
    first.jobForgotten('j1')
    first.news(0) // nobody hears it
    second.apply(wired(first.index()), leader(1), 0)
    expect([...second.workers.keys()]).toEqual(['w2'])
    expect([...second.jobs.keys()]).toEqual([])
  })

  it('refuses lower incarnations of a worker, and leaders of a lower term', () => {
    const [first, second] = [leading(), new DatacenterState()]
    first.workerRegistered(worker('w1', 5))
    second.apply(wired(first.index()), leader(1), 0)
    const older = leading()
    older.workerRegistered(worker('w1', 4))
    second.apply(wired(older.news(0)), leader(1), 0)
    expect(second.workers.get('w1')?.incarnation).toBe(5)
    expect(second.apply(wired(leading(3).index()), leader(3), 0)).toEqual({ missing: [] })
    expect(second.apply(wired(first.index()), leader(1), 0)).toBe('stale')
    expect(second.leader).toEqual(leader(3))
  })

  it('asks another leader for every job, for each counts by itself, and keeps what it knew', () => {
    const [first, second, third] = [leading(), new DatacenterState(), leading(2)]
    first.jobAssigned(assignment('j1'), owner(1), 0)
    first.jobSettled('j1', result('j1/a/0'))
    second.apply(wired(first.news(0)), leader(1), 0)
    third.jobAssigned(assignment('j1'), owner(2), 0)
    third.news(0)
    expect(second.apply(wired(third.index()), leader(2), 0)).toEqual({ missing: ['j1'] })
    expect(second.apply(wired(third.records(['j1'], 0)), leader(2), 0)).toEqual({ missing: [] })
    expect(second.jobs.get('j1')?.owner.fence).toBe(2)
    expect(second.jobs.get('j1')?.assignment(0).settled).toHaveLength(1)
  })

  it('joins what a peer knows to what is known here, as a new leader does', () => {
    const [first, second] = [leading(), new DatacenterState()]
    first.workerRegistered(worker('w1', 2))
    first.jobAssigned(assignment('j1'), owner(1), 0)
    first.jobAssigned(assignment('j2'), owner(1), 0)
    second.apply(wired(first.news(0)), leader(1), 0)
    first.jobSettled('j1', result('j1/a/0'))
    const third = leading(0)
    third.workerRegistered(worker('w1', 1))
    third.jobAssigned(assignment('j1'), owner(1), 0)
    third.join(wired(second.all(0)), 0)
    third.join(wired(first.all(0)), 0)
    expect(third.leader).toEqual(leader(1))
    expect(third.workers.get('w1')?.incarnation).toBe(2)
    expect([...third.jobs.keys()]).toEqual(['j1', 'j2'])
    expect(third.jobs.get('j1')?.assignment(0).settled).toHaveLength(1)
  })
})
