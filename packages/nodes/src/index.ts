export { NodeError, type NodeErrorCode } from './node-errors.js'
export type { Node, ReadyOptions } from './node.js'
export type { NodeOptions, RetainOptions } from './node-options.js'
export type { NodeTiming, TimingProfile } from './timing.js'
export { defineWorkflow, type WorkflowDefaults, type WorkflowDefinition, type WorkflowOptions } from './workflow.js'
export type { WorkflowContext } from './workflow-context.js'
export {
  Manager,
  type ManagerEvents,
  type ManagerLimits,
  type ManagerOptions,
  type ManagerSnapshot,
} from './manager.js'
export { Worker, type WorkerCounters, type WorkerEvents, type WorkerOptions, type WorkerSnapshot } from './worker.js'
export { Gate, type GateEvents, type GateLimits, type GateOptions, type GateSnapshot } from './gate.js'
export type { DatacenterSnapshot } from './datacenter-link.js'
export { Client, type ClientOptions, type DatacenterView } from './client.js'
export { JobHandle, type CancelAnswer, type JobHandleEvents, type ResultOptions } from './job-handle.js'
export type { JobDescription, JobProgress, JobResult, JobStep, StepResult, SubmitOptions } from './job-types.js'
