import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planCores, type CoreRequest, type PlannedRequest, type Priority, type WorkerSlot } from '@hs/jobs'

const worker = (workerId: string, free: number, more: Partial<WorkerSlot> = {}): WorkerSlot => ({
  workerId,
  bucket: 'healthy',
  free,
  total: free,
  ...more,
})
const request = (id: string, more: Partial<CoreRequest> = {}): CoreRequest => ({
  id,
  priority: 'auto',
  vus: 1,
  cores: 'auto',
  ...more,
})
const coresOf = (plan: readonly PlannedRequest[]) =>
  Object.fromEntries(plan.map(({ id, shards }) => [id, shards.reduce((sum, { cores }) => sum + cores, 0)]))
const ids = (plan: readonly PlannedRequest[]) => plan.map(({ id }) => id)

describe('order of planning (JOBS-7)', () => {
  const one = [worker('w', 1)]

  it('puts exclusive before high before normal before low before auto', () => {
    const rest: Priority[] = ['exclusive', 'high', 'normal', 'low', 'auto']
    while (rest.length > 0) {
      const requests = rest.map((priority) => request(priority, { priority }))
      expect(ids(planCores([...requests].reverse(), one))).toEqual([rest[0]])
      rest.shift()
    }
  })

  it('puts what has waited too long before all, the longest first', () => {
    const requests = [
      request('high', { priority: 'high', waitedMs: 29_999 }),
      request('low', { priority: 'low', waitedMs: 30_000 }),
      request('auto', { priority: 'auto', waitedMs: 30_001 }),
    ]
    expect(ids(planCores(requests, one))).toEqual(['auto'])
    expect(ids(planCores(requests.slice(0, 2), one))).toEqual(['low'])
    expect(ids(planCores(requests, one, { agingMs: 30_001 }))).toEqual(['auto'])
    expect(ids(planCores(requests, one, { agingMs: 60_000 }))).toEqual(['high'])
  })

  it('goes by rank among those that have waited too long and as long', () => {
    const requests = [
      request('low', { priority: 'low', waitedMs: 40_000 }),
      request('high', { priority: 'high', waitedMs: 40_000 }),
    ]
    expect(ids(planCores(requests, one))).toEqual(['high'])
  })

  it('takes the tenant with the fewest cores in use, and counts what this plan has given', () => {
    const requests = [
      request('a1', { tenant: 'a' }),
      request('a2', { tenant: 'a' }),
      request('a3', { tenant: 'a' }),
      request('b1', { tenant: 'b' }),
      request('c1', { tenant: 'c' }),
    ]
    const inUse = new Map([
      ['a', 0],
      ['b', 1],
      ['c', 9],
    ])
    expect(ids(planCores(requests, [worker('w', 4)], { inUse }))).toEqual(['a1', 'a2', 'b1', 'a3'])
  })

  it('takes more virtual users first, then the given order', () => {
    const requests = [request('a', { vus: 2 }), request('b', { vus: 3 }), request('c', { vus: 3 })]
    expect(ids(planCores(requests, [worker('w', 3)]))).toEqual(['b', 'c', 'a'])
  })
})

describe('admission (JOBS-8)', () => {
  it('needs one worker for fixed cores', () => {
    const workers = [worker('a', 2), worker('b', 3)]
    expect(planCores([request('x', { cores: 4, vus: 9 })], workers)).toEqual([])
    expect(planCores([request('x', { cores: 3, vus: 9 })], workers)).toEqual([
      { id: 'x', shards: [{ workerId: 'b', cores: 3, vus: 9 }] },
    ])
  })

  it('passes over what does not fit', () => {
    const requests = [request('large', { priority: 'high', cores: 4 }), request('small', { priority: 'low' })]
    expect(ids(planCores(requests, [worker('w', 2, { total: 4 })]))).toEqual(['small'])
  })

  it('stops at one that has waited too long, so that cores drain to it', () => {
    const requests = [request('large', { cores: 4, waitedMs: 30_000 }), request('small', { priority: 'high' })]
    expect(planCores(requests, [worker('w', 3, { total: 4 })])).toEqual([])
    expect(ids(planCores(requests, [worker('w', 5)]))).toEqual(['large', 'small'])
  })

  it('does not drain cores to what no worker could ever run', () => {
    const small = request('small')
    const impossible = [
      request('large', { cores: 5, waitedMs: 60_000 }),
      request('strange', { workflow: 'nobody-runs-it', waitedMs: 60_000 }),
    ]
    expect(ids(planCores([...impossible, small], [worker('w', 4, { workflows: ['w'] })]))).toEqual(['small'])
  })
})

describe('growth (JOBS-9)', () => {
  it('shares cores among explicit priorities in proportion to virtual users', () => {
    const requests = [request('a', { priority: 'high', vus: 300 }), request('b', { priority: 'low', vus: 100 })]
    expect(coresOf(planCores(requests, [worker('w', 8)]))).toEqual({ a: 6, b: 2 })
  })

  it('gives no request more than its virtual users or its cap, and the rest to the others', () => {
    const requests = [
      request('a', { priority: 'high', vus: 2 }),
      request('b', { priority: 'high', vus: 50, maxCores: 3 }),
      request('c', { priority: 'high', vus: 50 }),
    ]
    expect(coresOf(planCores(requests, [worker('w', 16)]))).toEqual({ a: 1, b: 3, c: 12 })
  })

  it('keeps one core for each admitted AUTO request, and shares the rest among them equally', () => {
    const requests = [
      request('named', { priority: 'normal', vus: 4 }),
      request('x', { vus: 100 }),
      request('y', { vus: 5 }),
      request('z', { vus: 2 }),
    ]
    expect(coresOf(planCores(requests, [worker('w', 16)]))).toEqual({ named: 4, x: 5, y: 5, z: 2 })
    expect(coresOf(planCores(requests, [worker('w', 6)]))).toEqual({ named: 3, x: 1, y: 1, z: 1 })
  })

  it('leaves the cores of fixed requests as they are', () => {
    const requests = [request('fixed', { priority: 'high', cores: 2, vus: 100 }), request('auto', { vus: 3 })]
    expect(coresOf(planCores(requests, [worker('w', 9)]))).toEqual({ fixed: 2, auto: 3 })
  })

  it('lets one that may not spread grow on its own worker only', () => {
    const requests = [request('a', { priority: 'high', vus: 9, spread: false })]
    expect(planCores(requests, [worker('w1', 2), worker('w2', 4)])).toEqual([
      { id: 'a', shards: [{ workerId: 'w2', cores: 4, vus: 9 }] },
    ])
  })
})

describe('exclusive (JOBS-10)', () => {
  const exclusive = request('x', { priority: 'exclusive', vus: 5 })

  it('is planned alone, with all cores up to its cap', () => {
    const plan = planCores([request('other', { vus: 9 }), exclusive], [worker('a', 2), worker('b', 4)])
    expect(coresOf(plan)).toEqual({ x: 5 })
  })

  it('waits until every usable worker is idle, and nothing else is planned meanwhile', () => {
    const busy = [worker('a', 2, { total: 3 }), worker('b', 4)]
    expect(planCores([exclusive, request('other', { priority: 'high' })], busy)).toEqual([])
    const unusable = [worker('a', 2, { total: 3, bucket: 'unhealthy' }), worker('b', 4)]
    expect(coresOf(planCores([exclusive], unusable))).toEqual({ x: 4 })
  })

  it('lets nothing in while one runs', () => {
    expect(planCores([exclusive, request('other')], [worker('a', 2)], { exclusiveRunning: true })).toEqual([])
  })

  it('waits behind one that has waited too long, without holding up the others', () => {
    const requests = [request('old', { waitedMs: 30_000 }), exclusive, request('low', { priority: 'low' })]
    expect(ids(planCores(requests, [worker('a', 3)]))).toEqual(['old', 'low'])
  })
})

describe('placement (JOBS-11)', () => {
  it('goes to healthy, then busy, then degraded, never to unhealthy workers', () => {
    const workers = [
      worker('d', 8, { bucket: 'degraded' }),
      worker('u', 8, { bucket: 'unhealthy' }),
      worker('b', 8, { bucket: 'busy' }),
      worker('h', 1),
    ]
    const [plan] = planCores([request('a', { priority: 'high', vus: 100 })], workers)
    expect(plan?.shards.map(({ workerId }) => workerId)).toEqual(['h', 'b', 'd'])
    expect(planCores([request('a')], [worker('u', 8, { bucket: 'unhealthy' })])).toEqual([])
  })

  it('goes to the most free cores, then to the smaller id', () => {
    const workers = [worker('b', 3), worker('c', 4), worker('a', 3)]
    const [plan] = planCores([request('x', { priority: 'high', vus: 100 })], workers)
    expect(plan?.shards.map(({ workerId }) => workerId)).toEqual(['c', 'a', 'b'])
  })

  it('goes only to workers that list the workflow, or list none', () => {
    const workers = [
      worker('a', 8, { workflows: ['other'] }),
      worker('b', 1, { workflows: ['mine', 'other'] }),
      worker('c', 1),
    ]
    const [plan] = planCores([request('x', { priority: 'high', vus: 100, workflow: 'mine' })], workers)
    expect(plan?.shards.map(({ workerId }) => workerId)).toEqual(['b', 'c'])
    expect(planCores([request('x', { workflow: 'mine' })], [worker('a', 8, { workflows: [] })])).toEqual([])
  })

  it('avoids a worker as long as another could ever run it, even if that one is full', () => {
    const avoid = ['a']
    expect(planCores([request('x', { avoid })], [worker('a', 4), worker('b', 0, { total: 4 })])).toEqual([])
    expect(ids(planCores([request('x', { avoid })], [worker('a', 4)]))).toEqual(['x'])
    const [plan] = planCores([request('x', { avoid })], [worker('a', 4), worker('b', 1)])
    expect(plan?.shards[0]?.workerId).toBe('b')
    const small = [worker('a', 4), worker('b', 1)]
    expect(ids(planCores([request('x', { avoid, cores: 2 })], small))).toEqual(['x'])
  })

  it('splits virtual users over the shards in proportion to their cores', () => {
    const [plan] = planCores([request('x', { priority: 'high', vus: 100 })], [worker('a', 3), worker('b', 1)])
    expect(plan?.shards).toEqual([
      { workerId: 'a', cores: 3, vus: 75 },
      { workerId: 'b', cores: 1, vus: 25 },
    ])
  })
})

const anyWorker = fc.record({
  free: fc.nat(8),
  busy: fc.nat(4),
  bucket: fc.constantFrom('healthy', 'busy', 'degraded', 'unhealthy' as const),
  workflows: fc.option(fc.subarray(['u', 'v', 'w']), { nil: undefined }),
})
const anyRequest = fc.record({
  priority: fc.constantFrom<Priority>('exclusive', 'high', 'normal', 'low', 'auto', 'auto'),
  vus: fc.integer({ min: 1, max: 20 }),
  cores: fc.oneof(fc.constant('auto' as const), fc.integer({ min: 1, max: 6 })),
  tenant: fc.constantFrom('a', 'b', 'c'),
  workflow: fc.option(fc.constantFrom('u', 'v', 'w'), { nil: undefined }),
  waitedMs: fc.constantFrom(0, 0, 10, 40_000, 50_000),
  maxCores: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
  spread: fc.boolean(),
  avoid: fc.subarray(['w0', 'w1', 'w2']),
})
const definedOnly = <T extends object>(value: T) =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined))
const workersOf = fc.array(anyWorker, { maxLength: 6 }).map((workers) =>
  workers.map(({ free, busy, ...rest }, index): WorkerSlot => {
    const slot = { workerId: `w${index}`, free, total: free + busy, ...definedOnly(rest) }
    return slot as WorkerSlot
  }),
)
const requestsOf = fc
  .array(anyRequest, { maxLength: 12 })
  .map((requests) => requests.map((one, index) => ({ id: `r${index}`, ...definedOnly(one) }) as CoreRequest))

const capOf = ({ cores, vus, maxCores = Infinity }: CoreRequest) => (cores === 'auto' ? Math.min(vus, maxCores) : cores)

describe('any plan (JOBS-7..11)', () => {
  it('never takes more than a worker has free, nor anything of a worker that may not run it', () => {
    fc.assert(
      fc.property(requestsOf, workersOf, (requests, workers) => {
        const used = new Map<string, number>()
        for (const { id, shards } of planCores(requests, workers)) {
          const asked = requests.find((one) => one.id === id)!
          expect(new Set(shards.map(({ workerId }) => workerId)).size).toBe(shards.length)
          for (const { workerId, cores } of shards) {
            const slot = workers.find((one) => one.workerId === workerId)!
            expect(slot.bucket).not.toBe('unhealthy')
            if (asked.workflow !== undefined && slot.workflows !== undefined)
              expect(slot.workflows).toContain(asked.workflow)
            expect(cores).toBeGreaterThanOrEqual(1)
            used.set(workerId, (used.get(workerId) ?? 0) + cores)
          }
        }
        for (const { workerId, free } of workers) expect(used.get(workerId) ?? 0).toBeLessThanOrEqual(free)
      }),
      { numRuns: 500 },
    )
  })

  it('gives each admitted request its cores and exactly its virtual users', () => {
    fc.assert(
      fc.property(requestsOf, workersOf, (requests, workers) => {
        const plan = planCores(requests, workers)
        expect(new Set(ids(plan)).size).toBe(plan.length)
        for (const { id, shards } of plan) {
          const asked = requests.find((one) => one.id === id)!
          const cores = shards.reduce((sum, shard) => sum + shard.cores, 0)
          expect(shards.reduce((sum, { vus }) => sum + vus, 0)).toBe(asked.vus)
          if (asked.cores !== 'auto') {
            expect(shards).toHaveLength(1)
            expect(cores).toBe(asked.cores)
            continue
          }
          if (asked.spread === false) expect(shards).toHaveLength(1)
          expect(cores).toBeLessThanOrEqual(capOf(asked))
          for (const { vus } of shards) expect(vus).toBeGreaterThanOrEqual(1)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('leaves a core idle only if every admitted request that could use it is at its cap', () => {
    fc.assert(
      fc.property(requestsOf, workersOf, (requests, workers) => {
        const plan = planCores(requests, workers)
        const left = new Map(workers.map(({ workerId, free }) => [workerId, free]))
        for (const { shards } of plan) {
          for (const { workerId, cores } of shards) left.set(workerId, left.get(workerId)! - cores)
        }
        for (const { id, shards } of plan) {
          const asked = requests.find((one) => one.id === id)!
          const cores = shards.reduce((sum, shard) => sum + shard.cores, 0)
          if (asked.cores !== 'auto' || cores === capOf(asked)) continue
          const runs = (slot: WorkerSlot) =>
            slot.bucket !== 'unhealthy' &&
            (asked.workflow === undefined || slot.workflows === undefined || slot.workflows.includes(asked.workflow))
          const others = workers.some((slot) => runs(slot) && slot.total > 0 && !asked.avoid?.includes(slot.workerId))
          for (const slot of workers) {
            const isOwn = shards.some(({ workerId }) => workerId === slot.workerId)
            const mayUse =
              runs(slot) && (asked.spread !== false || isOwn) && !(others && asked.avoid?.includes(slot.workerId))
            if (mayUse) expect([id, slot.workerId, left.get(slot.workerId)]).toEqual([id, slot.workerId, 0])
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('depends on what is asked, not on the order in which workers are listed', () => {
    fc.assert(
      fc.property(requestsOf, workersOf, (requests, workers) => {
        const plan = planCores(requests, workers)
        expect(planCores(requests, workers)).toEqual(plan)
        expect(planCores(requests, [...workers].reverse())).toEqual(plan)
      }),
    )
  })

  it('treats equals as equals: given in another order, they swap their places and nothing else changes', () => {
    fc.assert(
      fc.property(anyRequest, fc.integer({ min: 1, max: 8 }), workersOf, (one, count, workers) => {
        const equals = Array.from(
          { length: count },
          (_, index) => ({ id: `r${index}`, ...definedOnly(one) }) as CoreRequest,
        )
        const shardsOf = (plan: readonly PlannedRequest[]) => plan.map(({ shards }) => shards)
        expect(shardsOf(planCores([...equals].reverse(), workers))).toEqual(shardsOf(planCores(equals, workers)))
      }),
    )
  })
})

describe('arguments of planCores', () => {
  it.each<[string, Partial<CoreRequest>]>([
    ['no virtual users', { vus: 0 }],
    ['no cores', { cores: 0 }],
    ['a priority that is none', { priority: 'urgent' as Priority }],
    ['a cap below 1', { maxCores: 0 }],
    ['a wait that is no number', { waitedMs: NaN }],
  ])('refuses %s', (_what, more) => {
    expect(() => planCores([request('x', more)], [worker('w', 1)])).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  it('refuses a worker with a part of a core', () => {
    expect(() => planCores([], [worker('w', 0.5)])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})
