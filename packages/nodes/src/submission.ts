/** From what a client describes to what it sends: checked as a whole before anything leaves. */
import { HsError, LimitError, parseOptions } from '@hs/core'
import { parseJobSpec, type WorkflowSpec } from '@hs/jobs'
import * as z from 'zod'
import type { JobDescription, JobStep, SubmitOptions } from './job-types.js'
import { NodeError } from './node-errors.js'
import { submissionCodec } from './wire/client-gate.js'
import { encodeValue } from './wire/value.js'
import { defaultsShape, isWorkflowDefinition, type WorkflowDefinition } from './workflow.js'

/** What every gate takes at most; one may take less. */
const MAX_JOB_BYTES = 4_000_000

const stepSchema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...defaultsShape(),
    workflow: z.union([
      z.string().min(1).max(128),
      z.custom<WorkflowDefinition>(isWorkflowDefinition, 'expected what defineWorkflow returns, or a name'),
    ]),
    id: z.string().optional(),
    input: z.unknown().optional(),
    onDependencyFailure: z.enum(['skip', 'run']).optional(),
  }))()

const jobSchema = /* @__PURE__ */ (() =>
  z.strictObject({
    name: z.string().max(1_024).optional(),
    tenant: z.string().min(1).max(1_024).optional(),
    workflows: z.array(stepSchema).min(1),
  }))()

const optionsSchema = /* @__PURE__ */ (() =>
  z.strictObject({
    idempotencyKey: z.string().min(1).max(1_024).optional(),
    datacenters: z.union([z.int().min(1), z.literal('all'), z.array(z.string().min(1)).min(1)]).default(1),
    timeoutMs: z.number().positive().max(2_147_483_647).default(300_000),
    stuckMs: z.number().positive().max(2_147_483_647).optional(),
    signal: z.custom<AbortSignal>((x) => typeof (x as AbortSignal | null)?.aborted === 'boolean').optional(),
  }))()

/** @throws ConfigError for options that are none. */
export function parseSubmitOptions(options: SubmitOptions): z.output<typeof optionsSchema> {
  return parseOptions(optionsSchema, options, 'Client.submit')
}

/**
 * @throws (as a rejection) NodeError `'INVALID_JOB'` naming the path, `'MESSAGE_TOO_LARGE'`.
 */
export async function encodeSubmission(
  job: JobDescription,
  { datacenters, timeoutMs, stuckMs }: Pick<z.output<typeof optionsSchema>, 'datacenters' | 'timeoutMs' | 'stuckMs'>,
): Promise<Uint8Array> {
  const { name, tenant, workflows: steps } = asInvalidJob(() => parseOptions(jobSchema, job, 'Client.submit'))
  const workflows: WorkflowSpec[] = []
  for (const [index, step] of steps.entries()) workflows.push(await specOf(step as JobStep, `workflows.${index}`))
  const stuck = stuckMs === undefined ? {} : { stuckMs }
  // The id is the gate's to make; what is checked here are the steps and how they depend on each other.
  asInvalidJob(() => parseJobSpec({ jobId: 'checked', workflows, timeoutMs, ...stuck }))
  const submission = { workflows: workflows as Parameters<typeof submissionCodec.encode>[0]['workflows'] }
  const named = { ...(name !== undefined && { name }), ...(tenant !== undefined && { tenant }) }
  const bytes = encoded({ ...named, ...submission, datacenters, timeoutMs, ...stuck })
  if (bytes.length <= MAX_JOB_BYTES) return bytes
  throw tooLarge(`a job may take ${MAX_JOB_BYTES} bytes, this one takes ${bytes.length}: submit its parts as jobs`)
}

function encoded(submission: Parameters<typeof submissionCodec.encode>[0]): Uint8Array {
  try {
    return submissionCodec.encode(submission)
  } catch (error) {
    if (error instanceof LimitError) throw tooLarge(error.message)
    throw error
  }
}

async function specOf({ workflow, id, input, ...step }: JobStep, path: string): Promise<WorkflowSpec> {
  const definition = typeof workflow === 'string' ? null : workflow
  const name = typeof workflow === 'string' ? workflow : workflow.name
  if (definition?.input !== undefined) {
    const result = await definition.input.safeParseAsync(input)
    const [issue] = result.success ? [] : result.error.issues
    if (issue !== undefined)
      throw invalidJob(`${[path, 'input', ...issue.path].map(String).join('.')}: ${issue.message}`)
  }
  const given = { ...definition?.defaults, ...defined(step) }
  return { ...given, id: id ?? name, workflow: name, input: inputBytes(input, path) }
}

function inputBytes(input: unknown, path: string): Uint8Array {
  try {
    return encodeValue(input)
  } catch (error) {
    if (error instanceof LimitError) throw tooLarge(`${path}.input: ${error.message}`)
    if (HsError.is(error)) throw invalidJob(`${path}.input: ${error.message}`, error)
    throw error
  }
}

function asInvalidJob<T>(check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (HsError.is(error)) throw invalidJob(error.message, error)
    throw error
  }
}

function invalidJob(message: string, cause?: HsError): NodeError {
  return new NodeError('INVALID_JOB', message, { cause, details: cause === undefined ? {} : { ...cause.details } })
}

function tooLarge(message: string): NodeError {
  return new NodeError('MESSAGE_TOO_LARGE', message)
}

function defined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>
}
