import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  JOB_TRANSITIONS,
  JobError,
  SHARD_TRANSITIONS,
  WORKFLOW_TRANSITIONS,
  assertTransition,
  canTransition,
  isTerminal,
  type TransitionTable,
} from '@hs/jobs'

/** The contract, written down a second time: what follows what. */
const model = {
  job: {
    pending: 'running cancelling failed timed-out',
    running: 'completed partial failed timed-out cancelling',
    cancelling: 'cancelled',
    completed: '',
    partial: '',
    failed: '',
    'timed-out': '',
    cancelled: '',
  },
  workflow: {
    waiting: 'queued skipped cancelled timed-out',
    queued: 'running completed failed cancelled timed-out',
    running: 'queued completed failed timed-out cancelled',
    completed: '',
    failed: '',
    'timed-out': '',
    cancelled: '',
    skipped: '',
  },
  shard: {
    queued: 'dispatching running completed failed timed-out cancelled',
    dispatching: 'queued running completed failed timed-out cancelled',
    running: 'queued completed failed timed-out cancelled',
    completed: '',
    failed: '',
    'timed-out': '',
    cancelled: '',
  },
} as const

const tables = [
  ['job', JOB_TRANSITIONS, model.job],
  ['workflow', WORKFLOW_TRANSITIONS, model.workflow],
  ['shard', SHARD_TRANSITIONS, model.shard],
] as const

describe.each(tables)('state machine of a %s (JOBS-1)', (_name, anyTable, expected) => {
  const table = anyTable as TransitionTable<string>
  const statuses = Object.keys(expected)
  const follows = (from: string) => (expected as Record<string, string>)[from]!.split(' ').filter((to) => to !== '')

  it('has the statuses of the contract and no other', () => {
    expect(Object.keys(table).sort()).toEqual([...statuses].sort())
  })

  it('allows exactly the transitions of the contract', () => {
    for (const from of statuses) {
      for (const to of statuses)
        expect([from, to, canTransition(table, from, to)]).toEqual([from, to, follows(from).includes(to)])
    }
  })

  it('is terminal exactly where nothing follows', () => {
    for (const status of statuses) expect(isTerminal(table, status)).toBe(follows(status).length === 0)
  })

  it('walks like its model under random commands, legal and illegal', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...statuses)), (commands) => {
        let status = statuses[0]!
        for (const to of commands) {
          if (follows(status).includes(to)) {
            assertTransition(table, status, to)
            status = to
          } else {
            expect(() => assertTransition(table, status, to)).toThrow(JobError)
          }
        }
      }),
    )
  })

  it('cannot be changed at run time', () => {
    expect(Object.isFrozen(table)).toBe(true)
    for (const status of statuses) expect(Object.isFrozen(table[status])).toBe(true)
  })
})

describe('assertTransition (JOBS-1)', () => {
  it('says which transition is illegal and what would be legal', () => {
    const attempt = () => assertTransition(JOB_TRANSITIONS, 'cancelling', 'completed')
    expect(attempt).toThrow(
      expect.objectContaining({ code: 'ILLEGAL_TRANSITION', details: { from: 'cancelling', to: 'completed' } }),
    )
    expect(attempt).toThrow(/cancelled may follow cancelling/)
  })
})
