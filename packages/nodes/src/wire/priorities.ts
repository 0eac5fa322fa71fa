/** How urgent each method is: the transport gets this, for both directions. */
import type { MessagePriority } from '@hs/core'
import { gateStatus, jobCancel, jobSubmit, jobWatch } from './client-gate.js'
import { gateSync, jobLeader } from './gate-gate.js'
import { jobAssign, jobForget, jobReport, managerStatus } from './gate-manager.js'
import { managerState, managerSync } from './manager-manager.js'
import { shardAbort, shardRun, workerExtend, workerPing, workerRegister, workerReport } from './manager-worker.js'

const methods = () => [
  jobSubmit,
  jobWatch,
  jobCancel,
  gateStatus,
  jobLeader,
  gateSync,
  jobAssign,
  jobReport,
  jobForget,
  managerStatus,
  managerState,
  managerSync,
  workerRegister,
  workerReport,
  workerExtend,
  workerPing,
  shardRun,
  shardAbort,
]

export function methodPriorities(): Record<string, MessagePriority> {
  return Object.fromEntries(methods().map(({ name, priority }) => [name, priority]))
}
