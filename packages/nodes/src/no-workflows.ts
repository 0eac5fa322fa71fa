import type { WorkflowCounts } from '@hs/jobs'

/** What is counted of a job of which nothing is known. */
export const NO_WORKFLOWS: Readonly<WorkflowCounts> = /* @__PURE__ */ Object.freeze({
  total: 0,
  waiting: 0,
  queued: 0,
  running: 0,
  completed: 0,
  failed: 0,
  timedOut: 0,
  cancelled: 0,
  skipped: 0,
})
