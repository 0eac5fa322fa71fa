export { JobError, type JobErrorCode } from './job-error.js'
export * from './transitions.js'
export { parseShardKey, shardKey, type ParsedShardKey } from './shard-key.js'
export { fenceTerm, fenceToken } from './fence-token.js'
export {
  JobSpecSchema,
  WorkflowSpecSchema,
  parseJobSpec,
  priorities,
  type JobSpec,
  type ParsedJobSpec,
  type ParsedWorkflowSpec,
  type Priority,
  type WorkflowSpec,
} from './job-spec.js'
export { WorkflowGraph, type WorkflowGraphOptions, type WorkflowNode } from './workflow-graph.js'
export { apportion, type ApportionBounds } from './apportion.js'
export { SequenceGate } from './sequence-gate.js'
export { LeadershipTable, type LeadershipClaim, type LeadershipTableOptions } from './leadership-table.js'
export {
  CoreAllocator,
  type AcquireOptions,
  type CoreAllocatorOptions,
  type CoreAllocatorSnapshot,
} from './core-allocator.js'
export type { ContextValue, ResultError, RunningShard, ShardOutcome, ShardResult } from './shard-result.js'
export {
  ShardTable,
  type AdmissionOutcome,
  type ShardAdmission,
  type ShardTableOptions,
  type ShardTableSnapshot,
} from './shard-table.js'
export { planCores, type CoreRequest, type Placement, type PlannedRequest, type PlanOptions } from './plan-cores.js'
export type { HealthBucket, WorkerSlot } from './fleet.js'
export {
  WorkerPool,
  type LeasedShard,
  type WorkerPoolEvents,
  type WorkerPoolOptions,
  type WorkerPoolSnapshot,
  type WorkerView,
} from './worker-pool.js'
export type { HeartbeatOutcome, RegistrationOutcome, WorkerHeartbeat, WorkerRegistration } from './worker-records.js'
export { JobTimeout, type JobTimeoutOptions, type TimeoutCheck, type TimeoutWire } from './job-timeout.js'
export { decodePayload, type DispatchPayload } from './dispatch-payload.js'
export type {
  DcJobResult,
  DcJobSnapshot,
  JobAccounting,
  ShardReport,
  WorkflowCounts,
  WorkflowReport,
} from './job-report.js'
export type { JobTrouble } from './job-record.js'
export type { AbortRequest, Dispatch, JobSuspicion, SchedulerPort, TimeoutReport } from './scheduler-port.js'
export type { WaitExplanation, WaitReason } from './wait-reason.js'
export type { RecoveredJob } from './recovery.js'
export {
  JobScheduler,
  type CancelAnswer,
  type DispatchFailure,
  type JobSchedulerOptions,
  type JobSchedulerSnapshot,
  type ShardProgress,
} from './job-scheduler.js'
export type { SchedulerCounters } from './scheduler-state.js'
export {
  GlobalJob,
  type GlobalCheck,
  type GlobalJobCounters,
  type GlobalJobOptions,
  type GlobalJobResult,
  type GlobalJobSnapshot,
} from './global-job.js'
export { resolveOutcome, type ResolveOutcomeOptions } from './resolve-outcome.js'
