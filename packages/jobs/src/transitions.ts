/**
 * The three state machines of the job domain, each one literal table: the only place where a transition is declared.
 * Guarantee: every change of a status in this package goes through `assertTransition`, and a status that leads
 * nowhere is final.
 */
import { JobError } from './job-error.js'

export type JobStatus =
  'pending' | 'running' | 'cancelling' | 'completed' | 'partial' | 'failed' | 'timed-out' | 'cancelled'
export type WorkflowStatus =
  'waiting' | 'queued' | 'running' | 'completed' | 'failed' | 'timed-out' | 'cancelled' | 'skipped'
export type ShardStatus = 'queued' | 'dispatching' | 'running' | 'completed' | 'failed' | 'timed-out' | 'cancelled'

/** From each status the ones that may follow it. */
export type TransitionTable<S extends string> = Readonly<Record<S, readonly S[]>>

/** Frozen, so that no caller can add a transition at run time. */
function table<S extends string>(rows: Record<S, readonly S[]>): TransitionTable<S> {
  for (const targets of Object.values<readonly S[]>(rows)) Object.freeze(targets)
  return Object.freeze(rows)
}

/** Cancellation beats completion: `cancelling` has one way out. */
export const JOB_TRANSITIONS: TransitionTable<JobStatus> = /* @__PURE__ */ table<JobStatus>({
  pending: ['running', 'cancelling', 'failed', 'timed-out'],
  running: ['completed', 'partial', 'failed', 'timed-out', 'cancelling'],
  cancelling: ['cancelled'],
  completed: [],
  partial: [],
  failed: [],
  'timed-out': [],
  cancelled: [],
})

export const WORKFLOW_TRANSITIONS: TransitionTable<WorkflowStatus> = /* @__PURE__ */ table<WorkflowStatus>({
  waiting: ['queued', 'skipped', 'cancelled', 'timed-out'],
  queued: ['running', 'completed', 'failed', 'cancelled', 'timed-out'],
  running: ['queued', 'completed', 'failed', 'timed-out', 'cancelled'],
  completed: [],
  failed: [],
  'timed-out': [],
  cancelled: [],
  skipped: [],
})

export const SHARD_TRANSITIONS: TransitionTable<ShardStatus> = /* @__PURE__ */ table<ShardStatus>({
  queued: ['dispatching', 'running', 'completed', 'failed', 'timed-out', 'cancelled'],
  dispatching: ['queued', 'running', 'completed', 'failed', 'timed-out', 'cancelled'],
  running: ['queued', 'completed', 'failed', 'timed-out', 'cancelled'],
  completed: [],
  failed: [],
  'timed-out': [],
  cancelled: [],
})

/** Whether `to` may follow `from`; a status does not follow itself. */
export function canTransition<S extends string>(table: TransitionTable<S>, from: S, to: S): boolean {
  return table[from].includes(to)
}

/** Whether nothing follows `status`. */
export function isTerminal<S extends string>(table: TransitionTable<S>, status: S): boolean {
  return table[status].length === 0
}

/** @throws JobError `'ILLEGAL_TRANSITION'` unless `to` may follow `from`: a programming error, never an outcome. */
export function assertTransition<S extends string>(table: TransitionTable<S>, from: S, to: S): void {
  if (canTransition(table, from, to)) return
  const legal = table[from].length === 0 ? 'nothing' : table[from].join(', ')
  throw new JobError('ILLEGAL_TRANSITION', `${from} -> ${to} is no legal transition: ${legal} may follow ${from}`, {
    details: { from, to },
  })
}
