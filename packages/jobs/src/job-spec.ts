/**
 * What a client submits: workflows by name, encoded inputs, dependencies. `parseJobSpec` checks all of it once, at the
 * door, so that nothing behind it meets a malformed job.
 */
import { parseOptions } from '@hs/core'
import * as z from 'zod'
import { idPattern } from './shard-key.js'
import { WorkflowGraph } from './workflow-graph.js'

export const priorities = Object.freeze(['exclusive', 'high', 'normal', 'low', 'auto'] as const)
/** From first to last; `'exclusive'` runs alone, `'auto'` takes what the others leave. */
export type Priority = (typeof priorities)[number]

export interface WorkflowSpec {
  /** Unique in the job; 1 to 128 of A-Z a-z 0-9 . _ : - */
  id: string
  /** The name under which workers registered it, 1 to 128 characters. */
  workflow: string
  /** Opaque here: what the workflow makes of it is its own matter. */
  input: Uint8Array
  /** Ids of the workflows that must have ended before. @default [] */
  dependsOn?: readonly string[]
  /** What happens when a dependency ends other than completed. @default 'skip' */
  onDependencyFailure?: 'skip' | 'run'
  /** @default 'auto' */
  priority?: Priority
  /** Virtual users, split exactly over the shards. @default 1 */
  vus?: number
  /** A number: that many on one worker; `'auto'`: at most `vus`, over several workers. @default 'auto' */
  cores?: number | 'auto'
  /** Executions of a shard that are allowed when `run()` itself fails. @default 1 */
  attempts?: number
  /** Of one attempt, in milliseconds. @default that of the job */
  timeoutMs?: number
  /** No progress of a shard for this long: it is aborted and queued again. @default off */
  stuckMs?: number
  /** How long it is expected to take, for capacity reports. @default timeoutMs */
  expectedMs?: number
}

export interface JobSpec {
  /** 1 to 128 of A-Z a-z 0-9 . _ : - */
  jobId: string
  workflows: readonly WorkflowSpec[]
  /** Unit of fair sharing. @default jobId */
  tenant?: string
  /** Of the whole job, in milliseconds. @default 300_000 */
  timeoutMs?: number
  /** No progress of the whole job for this long: it times out. @default off */
  stuckMs?: number
  /** Who decides that a job has timed out: this datacenter, or whoever coordinates several. @default 'local' */
  timeoutMode?: 'local' | 'coordinated'
}

export type ParsedWorkflowSpec = Readonly<Required<Omit<WorkflowSpec, 'stuckMs'>> & Pick<WorkflowSpec, 'stuckMs'>>
export type ParsedJobSpec = Readonly<
  Required<Omit<JobSpec, 'stuckMs' | 'workflows'>> &
    Pick<JobSpec, 'stuckMs'> & { workflows: readonly ParsedWorkflowSpec[] }
>

// Ids become keys of records on the wire, where '__proto__' is forbidden.
const id = () =>
  z
    .string()
    .regex(idPattern, 'expected 1-128 characters of A-Z a-z 0-9 . _ : -')
    .refine((text) => text !== '__proto__', 'expected another id than __proto__')
const durationMs = () => z.number().positive()
const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array

export const WorkflowSpecSchema = /* @__PURE__ */ z.strictObject({
  id: id(),
  workflow: z.string().min(1).max(128),
  input: z.custom<Uint8Array>(isBytes, 'expected a Uint8Array'),
  dependsOn: z.array(z.string()).optional(),
  onDependencyFailure: z.enum(['skip', 'run']).optional(),
  priority: z.enum(priorities).optional(),
  vus: z.int().min(1).optional(),
  cores: z.union([z.int().min(1), z.literal('auto')]).optional(),
  attempts: z.int().min(1).optional(),
  timeoutMs: durationMs().optional(),
  stuckMs: durationMs().optional(),
  expectedMs: durationMs().optional(),
})

export const JobSpecSchema = /* @__PURE__ */ z.strictObject({
  jobId: id(),
  workflows: z.array(WorkflowSpecSchema).min(1),
  tenant: z.string().min(1).optional(),
  timeoutMs: durationMs().optional(),
  stuckMs: durationMs().optional(),
  timeoutMode: z.enum(['local', 'coordinated']).optional(),
})

const NO_DEPENDENCIES: readonly string[] = Object.freeze([])

/** The graph of each spec that has been parsed, so that submitting one does not check it again. */
const graphs = new WeakMap<object, WorkflowGraph>()

/**
 * Checks a job and fills in the defaults.
 * @throws ConfigError with path, value and bound of everything that is malformed.
 * @throws JobError for a graph that is none; LimitError for more than 10,000 workflows.
 */
export function parseJobSpec(input: unknown): ParsedJobSpec {
  if (isParsed(input)) return input
  const given = parseOptions(JobSpecSchema, input, 'JobSpec')
  const { jobId, tenant = jobId, timeoutMs = 300_000, stuckMs, timeoutMode = 'local' } = given
  const graph = new WorkflowGraph(given.workflows as readonly WorkflowSpec[])
  const workflows = Object.freeze(given.workflows.map((workflow) => parsedWorkflow(workflow, timeoutMs)))
  const parsed = { jobId, workflows, tenant, timeoutMs, timeoutMode }
  const spec: ParsedJobSpec = Object.freeze(stuckMs === undefined ? parsed : { ...parsed, stuckMs })
  graphs.set(spec, graph)
  return spec
}

/** For this package: the graph of a spec that `parseJobSpec` returned. */
export function graphOf(spec: ParsedJobSpec): WorkflowGraph {
  return graphs.get(spec) ?? new WorkflowGraph(spec.workflows)
}

function isParsed(input: unknown): input is ParsedJobSpec {
  return typeof input === 'object' && input !== null && graphs.has(input)
}

function parsedWorkflow(given: z.output<typeof WorkflowSpecSchema>, jobTimeoutMs: number): ParsedWorkflowSpec {
  const { timeoutMs = jobTimeoutMs, stuckMs } = given
  const parsed = {
    id: given.id,
    workflow: given.workflow,
    input: given.input,
    dependsOn: given.dependsOn === undefined ? NO_DEPENDENCIES : Object.freeze(given.dependsOn),
    onDependencyFailure: given.onDependencyFailure ?? 'skip',
    priority: given.priority ?? 'auto',
    vus: given.vus ?? 1,
    cores: given.cores ?? 'auto',
    attempts: given.attempts ?? 1,
    timeoutMs,
    expectedMs: given.expectedMs ?? timeoutMs,
  }
  return Object.freeze(stuckMs === undefined ? parsed : { ...parsed, stuckMs })
}
