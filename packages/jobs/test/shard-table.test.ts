import { describe, expect, it } from 'vitest'
import { ConfigError } from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import { ShardTable, type ShardTableOptions } from '@hs/jobs'

const KEY = 'j/a/0'

function setUp(options: Partial<ShardTableOptions> = {}) {
  const clock = new VirtualClock()
  const logger = new MemoryLogger()
  const table = new ShardTable({ cores: 4, clock, logger, random: new SeededRandom(1), ...options })
  const admit = (fence: number, cores = 1, key = KEY) => table.admit({ key, fence, cores })
  return { clock, logger, table, admit }
}

describe('admission (JOBS-29)', () => {
  it('gives cores to a shard that may run', () => {
    const { table, admit } = setUp()
    expect(admit(5, 3)).toEqual({ kind: 'run', cores: [0, 1, 2] })
    expect(table.snapshot()).toEqual({ running: 1, pendingResults: 0, freeCores: 1, totalCores: 4, expiredResults: 0 })
    expect(table.size).toBe(1)
  })

  it('knows a dispatch that came twice', () => {
    const { table, admit } = setUp()
    admit(5)
    expect(admit(5)).toEqual({ kind: 'duplicate', state: 'running' })
    table.finish(KEY, 5, { status: 'completed' })
    expect(admit(5)).toEqual({ kind: 'duplicate', state: 'finished' })
  })

  it('refuses a lower fence while it runs, when it is finished, and when that was acknowledged', () => {
    const { table, admit } = setUp()
    admit(5)
    expect(admit(4)).toEqual({ kind: 'stale', fence: 5 })
    table.finish(KEY, 5, { status: 'completed' })
    expect(admit(4)).toEqual({ kind: 'stale', fence: 5 })
    table.acknowledge(KEY, 5)
    expect(admit(4)).toEqual({ kind: 'stale', fence: 5 })
    expect(admit(5)).toEqual({ kind: 'stale', fence: 5 })
    expect(admit(6).kind).toBe('run')
  })

  it('asks for an older execution to be aborted first', () => {
    const { table, admit } = setUp()
    admit(5, 2)
    expect(admit(6)).toEqual({ kind: 'superseded', fence: 5 })
    expect(table.running()).toEqual([{ key: KEY, fence: 5, cores: 2, attempt: 1 }])
    table.abort(KEY, 5)
    table.finish(KEY, 5, { status: 'cancelled' })
    expect(admit(6).kind).toBe('run')
  })

  it('lets a newer execution take the place of an undelivered result, which can count no more', () => {
    const { table, admit } = setUp()
    admit(5)
    table.finish(KEY, 5, { status: 'completed' })
    expect(admit(6).kind).toBe('run')
    expect(table.dueResults()).toEqual([])
    expect(table.size).toBe(1)
  })

  it('is busy without enough cores, and leaves no mark', () => {
    const { table, admit } = setUp()
    admit(1, 3, 'j/b/0')
    expect(admit(5, 2)).toEqual({ kind: 'busy', reason: 'no-cores' })
    expect(admit(5, 99)).toEqual({ kind: 'busy', reason: 'no-cores' })
    expect(admit(4, 1).kind).toBe('run')
    expect(table.snapshot().freeCores).toBe(0)
  })

  it('is busy with too many undelivered results, and leaves no mark', () => {
    const { table, admit } = setUp({ maxPendingResults: 1 })
    admit(1, 1, 'j/b/0')
    table.finish('j/b/0', 1, { status: 'completed' })
    expect(admit(5)).toEqual({ kind: 'busy', reason: 'pending-results' })
    table.acknowledge('j/b/0', 1)
    expect(admit(5).kind).toBe('run')
  })

  it('remembers an abort that came before its dispatch', () => {
    const { table, admit } = setUp()
    expect(table.abort(KEY, 5)).toBe('unknown')
    expect(admit(5)).toEqual({ kind: 'stale', fence: 5 })
    expect(admit(4)).toEqual({ kind: 'stale', fence: 5 })
    expect(admit(6).kind).toBe('run')
  })

  it('remembers it too while an older execution runs, or its result waits', () => {
    const { table, admit } = setUp()
    admit(5)
    expect(table.abort(KEY, 6)).toBe('unknown')
    expect(admit(6)).toEqual({ kind: 'stale', fence: 6 })
    table.finish(KEY, 5, { status: 'completed' })
    expect(admit(6)).toEqual({ kind: 'stale', fence: 6 })
    expect(table.abort(KEY, 7)).toBe('unknown')
    table.acknowledge(KEY, 5)
    expect(admit(7)).toEqual({ kind: 'stale', fence: 7 })
    expect(admit(8).kind).toBe('run')
  })

  it('forgets the oldest of too many that are over', () => {
    const { table, admit } = setUp({ maxTombstones: 2 })
    for (const at of [0, 1, 2]) table.abort(`j/b/${at}`, 5)
    expect(admit(5, 1, 'j/b/2').kind).toBe('stale')
    expect(admit(5, 1, 'j/b/1').kind).toBe('stale')
    expect(admit(5, 1, 'j/b/0').kind).toBe('run')
  })

  it('refuses what is no dispatch', () => {
    const { table } = setUp()
    expect(() => table.admit({ key: KEY, fence: 1, cores: 0 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(() => table.admit({ key: KEY, fence: -1, cores: 1 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(() => new ShardTable({ cores: 0 })).toThrow(ConfigError)
    expect(() => new ShardTable({ cores: 1, retry: { baseMs: 10, maxMs: 5 } })).toThrow(ConfigError)
  })
})

describe('abort (JOBS-29)', () => {
  it('says whether there is something to end', () => {
    const { table, admit } = setUp()
    admit(5)
    expect(table.abort(KEY, 5)).toBe('aborting')
    expect(table.abort(KEY, 5)).toBe('aborting')
    table.finish(KEY, 5, { status: 'cancelled' })
    expect(table.abort(KEY, 5)).toBe('finished')
    table.acknowledge(KEY, 5)
    expect(table.abort(KEY, 5)).toBe('finished')
    expect(table.abort(KEY, 4)).toBe('unknown')
    expect(table.abort('j/x/0', 1)).toBe('unknown')
  })
})

describe('results (JOBS-30)', () => {
  it('free the cores when work ends, and carry key, fence and attempt', () => {
    const { table } = setUp()
    table.admit({ key: KEY, fence: 5, cores: 4, attempt: 3, plan: [1] })
    expect(table.finish(KEY, 4, { status: 'completed' })).toBe(false)
    expect(table.finish(KEY, 5, { status: 'completed', value: 7 })).toBe(true)
    expect(table.finish(KEY, 5, { status: 'completed', value: 8 })).toBe(false)
    expect(table.cores.available).toBe(4)
    expect(table.dueResults()).toEqual([{ key: KEY, fence: 5, attempt: 3, status: 'completed', value: 7 }])
  })

  it('are offered at once, then again with equal jitter under a ceiling that doubles', () => {
    const { table, admit, clock } = setUp()
    admit(5)
    table.finish(KEY, 5, { status: 'completed' })
    for (const ceiling of [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      expect(table.dueResults()).toHaveLength(1)
      clock.advance(ceiling / 2 - 1)
      expect(table.dueResults()).toEqual([])
      clock.advance(ceiling / 2 + 1)
    }
    expect(table.dueResults()).toHaveLength(1)
  })

  it('are offered the oldest first, as many as asked for', () => {
    const { table, admit } = setUp()
    for (const at of [0, 1, 2]) {
      admit(1, 1, `j/b/${at}`)
      table.finish(`j/b/${at}`, 1, { status: 'completed' })
    }
    expect(table.dueResults(2).map(({ key }) => key)).toEqual(['j/b/0', 'j/b/1'])
    expect(table.dueResults(2).map(({ key }) => key)).toEqual(['j/b/2'])
    expect(table.dueResults(2)).toEqual([])
  })

  it('stay until they are acknowledged under their fence', () => {
    const { table, admit } = setUp()
    admit(5)
    table.finish(KEY, 5, { status: 'failed', error: { code: 'X', message: 'x' } })
    expect(table.acknowledge(KEY, 4)).toBe(false)
    expect(table.snapshot().pendingResults).toBe(1)
    expect(table.acknowledge(KEY, 5)).toBe(true)
    expect(table.acknowledge(KEY, 5)).toBe(false)
    expect([table.size, table.snapshot().pendingResults]).toEqual([0, 0])
  })

  it('that nobody takes are dropped at last, counted and logged', () => {
    const { table, admit, clock, logger } = setUp({ resultTtlMs: 10_000, maxPendingResults: 1 })
    admit(5)
    table.finish(KEY, 5, { status: 'completed' })
    clock.advance(9_999)
    expect(admit(1, 1, 'j/b/0').kind).toBe('busy')
    clock.advance(1)
    expect(admit(1, 1, 'j/b/0').kind).toBe('run')
    expect(table.dueResults()).toEqual([])
    expect(table.snapshot()).toMatchObject({ pendingResults: 0, expiredResults: 1 })
    expect(logger.entries).toEqual([expect.objectContaining({ level: 'warn' })])
    expect(admit(5)).toEqual({ kind: 'stale', fence: 5 })
  })
})

describe('orphans (JOBS-31)', () => {
  it('are what outlived the grace without a leader', () => {
    const { table, admit, clock } = setUp()
    admit(5)
    table.leaderLost()
    clock.advance(20_000)
    table.leaderLost()
    admit(6, 1, 'j/b/0')
    clock.advance(9_999)
    expect(table.expiredOrphans()).toEqual([])
    clock.advance(1)
    expect(table.expiredOrphans()).toEqual([{ key: KEY, fence: 5 }])
    table.abort(KEY, 5)
    expect(table.expiredOrphans()).toEqual([])
  })

  it('are none any more when a leader is found, and every result is due', () => {
    const { table, admit, clock } = setUp()
    admit(5)
    admit(6, 1, 'j/b/0')
    table.finish('j/b/0', 6, { status: 'completed' })
    table.dueResults()
    table.leaderLost()
    clock.advance(100)
    expect(table.dueResults()).toEqual([])
    table.leaderFound()
    expect(table.dueResults()).toHaveLength(1)
    clock.advance(60_000)
    expect(table.expiredOrphans()).toEqual([])
  })
})

describe('running', () => {
  it('lists what a leader needs to take it over', () => {
    const { table } = setUp()
    table.admit({ key: KEY, fence: 5, cores: 2, attempt: 2, plan: [3, 4] })
    expect(table.running()).toEqual([{ key: KEY, fence: 5, cores: 2, attempt: 2, plan: [3, 4] }])
  })
})
