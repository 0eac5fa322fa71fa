import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError, LimitError } from '@hs/core'
import { MemoryLogger } from '@hs/core/testing'
import { WorkerPool, type RunningShard, type WorkerRegistration } from '@hs/jobs'

const registration = (more: Partial<WorkerRegistration> = {}): WorkerRegistration => ({
  workerId: 'w',
  incarnation: 1,
  address: 'host:1',
  cores: 4,
  ...more,
})
const running = (key: string, fence: number, cores = 1): RunningShard => ({ key, fence, cores })

function poolWith(...registrations: Partial<WorkerRegistration>[]): WorkerPool {
  const pool = new WorkerPool({ logger: new MemoryLogger() })
  for (const one of registrations) pool.register(registration(one))
  return pool
}

describe('registration (JOBS-13)', () => {
  it('tells first, again, restarted and stale apart', () => {
    const pool = poolWith()
    expect(pool.register(registration())).toEqual({ outcome: 'registered', lost: [] })
    expect(pool.register(registration({ address: 'host:2', cores: 6 }))).toEqual({ outcome: 'refreshed', lost: [] })
    expect(pool.get('w')).toMatchObject({ address: 'host:2', totalCores: 6, freeCores: 6, incarnation: 1 })
    expect(pool.register(registration({ incarnation: 2 }))).toEqual({ outcome: 'restarted', lost: [] })
    expect(pool.register(registration({ incarnation: 1, cores: 9 }))).toEqual({ outcome: 'stale', lost: [] })
    expect(pool.get('w')).toMatchObject({ incarnation: 2, totalCores: 4 })
    expect(pool.size).toBe(1)
  })

  it('returns what was lost with the incarnation before, and begins clean', () => {
    const pool = poolWith({})
    pool.setHealth('w', 'degraded')
    pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 3 }])
    expect(pool.register(registration({ incarnation: 2 })).lost).toEqual([
      { workerId: 'w', key: 'j/a/0', fence: 1, cores: 3 },
    ])
    expect(pool.get('w')).toMatchObject({ freeCores: 4, reserved: 0, running: 0, bucket: 'healthy' })
  })

  it('keeps reservations when the same incarnation registers again', () => {
    const pool = poolWith({})
    pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 3 }])
    pool.register(registration({ cores: 2 }))
    expect(pool.get('w')).toMatchObject({ totalCores: 2, freeCores: 0, reserved: 3 })
    expect(pool.reserve([{ workerId: 'w', key: 'j/b/0', fence: 2, cores: 1 }])).toBe(false)
    pool.release('w', 'j/a/0', 1)
    expect(pool.get('w')).toMatchObject({ freeCores: 2, reserved: 0 })
  })

  it('takes no more workers than allowed, and nothing malformed', () => {
    const pool = new WorkerPool({ maxWorkers: 1 })
    pool.register(registration())
    expect(() => pool.register(registration({ workerId: 'x' }))).toThrow(LimitError)
    expect(pool.register(registration()).outcome).toBe('refreshed')
    for (const bad of [{ workerId: '' }, { incarnation: 0.5 }, { cores: 0 }]) {
      expect(() => pool.register(registration(bad))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
    expect(() => new WorkerPool({ maxWorkers: 0 })).toThrow(ConfigError)
  })
})

describe('reservations (JOBS-13)', () => {
  it('are taken all or none', () => {
    const pool = poolWith({}, { workerId: 'x', cores: 1 })
    const list = [
      { workerId: 'w', key: 'j/a/0', fence: 1, cores: 4 },
      { workerId: 'x', key: 'j/a/1', fence: 2, cores: 2 },
    ]
    expect(pool.reserve(list)).toBe(false)
    expect(pool.snapshot()).toMatchObject({ totalCores: 5, freeCores: 5 })
    expect(pool.reserve([list[0]!, { ...list[1]!, cores: 1 }])).toBe(true)
    expect(pool.snapshot()).toMatchObject({ totalCores: 5, freeCores: 0 })
    expect(pool.reserve([{ workerId: 'nobody', key: 'j/a/2', fence: 3, cores: 1 }])).toBe(false)
  })

  it('are released and confirmed by worker, key and fence, once', () => {
    const pool = poolWith({})
    pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 2 }])
    expect(pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 1 }])).toBe(false)
    expect(pool.confirm('w', 'j/a/0', 2)).toBe(false)
    expect(pool.confirm('x', 'j/a/0', 1)).toBe(false)
    expect(pool.confirm('w', 'j/a/0', 1)).toBe(true)
    expect(pool.release('w', 'j/a/0', 2)).toBe(false)
    expect(pool.release('w', 'j/a/0', 1)).toBe(true)
    expect(pool.release('w', 'j/a/0', 1)).toBe(false)
    expect(pool.get('w')).toMatchObject({ freeCores: 4, running: 0 })
  })

  it('of two executions of one shard are kept apart', () => {
    const pool = poolWith({}, { workerId: 'x' })
    pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 2 }])
    pool.reserve([{ workerId: 'x', key: 'j/a/0', fence: 2, cores: 3 }])
    pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 3, cores: 1 }])
    expect(pool.release('x', 'j/a/0', 2)).toBe(true)
    expect(pool.release('w', 'j/a/0', 1)).toBe(true)
    expect(pool.get('w')).toMatchObject({ freeCores: 3, running: 1 })
    expect(pool.release('w', 'j/a/0', 3)).toBe(true)
    expect(pool.snapshot().freeCores).toBe(8)
  })

  it('are limited to those a worker has not confirmed', () => {
    const pool = new WorkerPool({ maxUnconfirmedPerWorker: 2 })
    pool.register(registration({ cores: 8 }))
    const reserve = (fence: number) => pool.reserve([{ workerId: 'w', key: `j/a/${fence}`, fence, cores: 1 }])
    expect([reserve(1), reserve(2), reserve(3)]).toEqual([true, true, false])
    expect(pool.slots()).toEqual([{ workerId: 'w', bucket: 'healthy', free: 0, total: 8 }])
    expect(pool.get('w')?.freeCores).toBe(6)
    pool.confirm('w', 'j/a/1', 1)
    expect(pool.slots()[0]?.free).toBe(6)
    expect([reserve(3), reserve(4)]).toEqual([true, false])
    pool.release('w', 'j/a/2', 2)
    expect(reserve(4)).toBe(true)
  })
})

describe('heartbeats (JOBS-13)', () => {
  const beat = (version: number, list: readonly RunningShard[], more: object = {}) => ({
    workerId: 'w',
    incarnation: 1,
    version,
    running: list,
    ...more,
  })

  it('confirm what they list, and never reset a reservation', () => {
    const pool = poolWith({})
    pool.reserve([
      { workerId: 'w', key: 'j/a/0', fence: 1, cores: 1 },
      { workerId: 'w', key: 'j/b/0', fence: 2, cores: 2 },
    ])
    for (let version = 1; version < 6; version++) {
      expect(pool.heartbeat(beat(version, [running('j/a/0', 1)]))).toEqual({ outcome: 'ok', missing: [], unknown: [] })
    }
    expect(pool.get('w')).toMatchObject({ freeCores: 1, running: 2 })
  })

  it('report a confirmed shard that is absent twice in a row, and give its cores back', () => {
    const pool = poolWith({})
    pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 3 }])
    pool.confirm('w', 'j/a/0', 1)
    expect(pool.heartbeat(beat(1, [])).missing).toEqual([])
    expect(pool.heartbeat(beat(2, [running('j/a/0', 1, 3)])).missing).toEqual([])
    expect(pool.heartbeat(beat(3, [])).missing).toEqual([])
    expect(pool.heartbeat(beat(4, [])).missing).toEqual([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 3 }])
    expect(pool.heartbeat(beat(5, [])).missing).toEqual([])
    expect(pool.get('w')?.freeCores).toBe(4)
  })

  it('name what nobody reserved, another fence of a reserved shard too', () => {
    const pool = poolWith({})
    pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 2, cores: 1 }])
    const { unknown } = pool.heartbeat(beat(1, [running('j/a/0', 1), running('j/x/0', 7), running('j/a/0', 2)]))
    expect(unknown).toEqual([
      { key: 'j/a/0', fence: 1 },
      { key: 'j/x/0', fence: 7 },
    ])
  })

  it('correct how many cores a shard has', () => {
    const pool = poolWith({})
    pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 3 }])
    pool.heartbeat(beat(1, [running('j/a/0', 1, 1)]))
    expect(pool.get('w')).toMatchObject({ freeCores: 3, reserved: 1 })
    pool.release('w', 'j/a/0', 1)
    expect(pool.get('w')).toMatchObject({ freeCores: 4, reserved: 0 })
  })

  it('are stale when older, or the same again, or of a life before', () => {
    const pool = poolWith({ incarnation: 2 })
    const own = { incarnation: 2 }
    expect(pool.heartbeat(beat(3, [], own)).outcome).toBe('ok')
    expect(pool.heartbeat(beat(3, [], own)).outcome).toBe('stale')
    expect(pool.heartbeat(beat(2, [], own)).outcome).toBe('stale')
    expect(pool.heartbeat(beat(9, [], { incarnation: 1 })).outcome).toBe('stale')
    expect(pool.heartbeat(beat(4, [], { ...own, bucket: 'busy' })).outcome).toBe('ok')
    expect(pool.get('w')?.bucket).toBe('busy')
  })

  it('are unknown of a worker, or a life of it, that has not registered', () => {
    const pool = poolWith({})
    expect(pool.heartbeat({ ...beat(1, []), workerId: 'x' }).outcome).toBe('unknown-worker')
    expect(pool.heartbeat(beat(1, [], { incarnation: 2 })).outcome).toBe('unknown-worker')
  })

  it('with the same numbers again do not count a shard as missing twice', () => {
    const pool = poolWith({})
    pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 1 }])
    pool.confirm('w', 'j/a/0', 1)
    pool.heartbeat(beat(1, []))
    expect(pool.heartbeat(beat(1, [])).missing).toEqual([])
  })
})

describe('WorkerPool', () => {
  it('forgets a worker with all that was on it', () => {
    const pool = poolWith({})
    pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 2 }])
    expect(pool.remove('w')).toEqual([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 2 }])
    expect(pool.remove('w')).toEqual([])
    expect(pool.get('w')).toBeUndefined()
    expect(pool.slots()).toEqual([])
  })

  it('counts workers by health, and lists what each one runs', () => {
    const pool = poolWith({}, { workerId: 'x', workflows: ['a'] })
    pool.setHealth('x', 'unhealthy')
    pool.setHealth('nobody', 'busy')
    expect(pool.snapshot()).toEqual({
      workers: 2,
      totalCores: 8,
      freeCores: 8,
      byBucket: { healthy: 1, busy: 0, degraded: 0, unhealthy: 1 },
    })
    expect(pool.slots()).toEqual([
      { workerId: 'w', bucket: 'healthy', free: 4, total: 4 },
      { workerId: 'x', bucket: 'unhealthy', free: 4, total: 4, workflows: ['a'] },
    ])
  })

  it('announces that cores or workers have appeared', () => {
    const pool = poolWith()
    let announced = 0
    pool.events.on('capacity', () => announced++)
    pool.register(registration())
    expect(announced).toBe(1)
    pool.reserve([{ workerId: 'w', key: 'j/a/0', fence: 1, cores: 1 }])
    expect(announced).toBe(1)
    pool.release('w', 'j/a/0', 1)
    expect(announced).toBe(2)
    pool.setHealth('w', 'unhealthy')
    expect(announced).toBe(2)
    pool.setHealth('w', 'busy')
    expect(announced).toBe(3)
  })

  it('has free cores that are total minus reservations, whatever happens', () => {
    const command = fc.record({
      kind: fc.constantFrom('reserve', 'confirm', 'release', 'remove', 'register', 'restart', 'beat'),
      worker: fc.nat(2),
      shard: fc.nat(5),
      cores: fc.integer({ min: 1, max: 3 }),
    })
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (commands) => {
        const pool = poolWith()
        const incarnations = [1, 1, 1]
        const reserved = new Map<string, number>()
        const drop = (worker: number) => {
          for (const name of reserved.keys()) if (name.startsWith(`w${worker} `)) reserved.delete(name)
        }
        let version = 0
        for (const { kind, worker, shard, cores } of commands) {
          const workerId = `w${worker}`
          const key = `j/a/${shard}`
          const name = `${workerId} ${key}`
          if (kind === 'register') pool.register(registration({ workerId, incarnation: incarnations[worker]! }))
          if (kind === 'restart') {
            incarnations[worker]!++
            pool.register(registration({ workerId, incarnation: incarnations[worker]! }))
            drop(worker)
          }
          if (kind === 'remove') {
            pool.remove(workerId)
            drop(worker)
          }
          if (kind === 'reserve' && pool.reserve([{ workerId, key, fence: 1, cores }])) reserved.set(name, cores)
          if (kind === 'confirm') pool.confirm(workerId, key, 1)
          if (kind === 'release') {
            expect(pool.release(workerId, key, 1)).toBe(reserved.has(name))
            reserved.delete(name)
          }
          if (kind === 'beat') {
            version++
            const beat = { workerId, incarnation: incarnations[worker]!, version, running: [] }
            for (const lost of pool.heartbeat(beat).missing) reserved.delete(`${workerId} ${lost.key}`)
          }
          for (const at of [0, 1, 2]) {
            const view = pool.get(`w${at}`)
            if (view === undefined) continue
            let sum = 0
            for (const [one, held] of reserved) if (one.startsWith(`w${at} `)) sum += held
            expect(view).toMatchObject({ reserved: sum, freeCores: view.totalCores - sum })
            expect(sum).toBeLessThanOrEqual(view.totalCores)
          }
        }
      }),
    )
  })
})
