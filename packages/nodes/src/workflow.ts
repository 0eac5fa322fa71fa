/** A workflow: a registered name, the schemas of what goes in and out, and the function that does the work. */
import { parseOptions } from '@hs/core'
import type { Priority } from '@hs/jobs'
import { priorities } from '@hs/jobs'
import * as z from 'zod'
import type { ZodType } from 'zod'
import type { WorkflowContext } from './workflow-context.js'

/** What a step of a job may override; meanings and defaults as in the `WorkflowSpec` of `@hs/jobs`. */
export interface WorkflowDefaults {
  cores?: number | 'auto'
  vus?: number
  priority?: Priority
  attempts?: number
  timeoutMs?: number
  stuckMs?: number
  expectedMs?: number
  dependsOn?: readonly string[]
}

export interface WorkflowOptions<I, O> extends WorkflowDefaults {
  /** The name on the wire, 1 to 128 of A-Z a-z 0-9 . _ : - */
  name: string
  /** Checked by the client before it sends, and again by the worker, whose `run` gets what the schema makes of it. */
  input?: ZodType<I>
  /** Checked by the worker. */
  output?: ZodType<O>
}

export interface WorkflowDefinition<I = unknown, O = unknown> {
  readonly name: string
  readonly input?: ZodType<I>
  readonly output?: ZodType<O>
  readonly defaults: Readonly<WorkflowDefaults>
  /** A method, so that definitions of any input fit one list. */
  run(ctx: WorkflowContext<I>): O | Promise<O>
}

const isSchema = (x: unknown): boolean => typeof (x as ZodType | null)?.safeParseAsync === 'function'
const durationMs = () => z.number().positive().optional()

export const defaultsShape = () => ({
  cores: z.union([z.int().min(1), z.literal('auto')]).optional(),
  vus: z.int().min(1).optional(),
  priority: z.enum(priorities).optional(),
  attempts: z.int().min(1).optional(),
  timeoutMs: durationMs(),
  stuckMs: durationMs(),
  expectedMs: durationMs(),
  dependsOn: z.array(z.string()).optional(),
})

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...defaultsShape(),
    name: z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/, 'expected 1-128 characters of A-Z a-z 0-9 . _ : -'),
    input: z.custom<ZodType>(isSchema, 'expected a zod schema').optional(),
    output: z.custom<ZodType>(isSchema, 'expected a zod schema').optional(),
    run: z.custom<WorkflowDefinition['run']>((x) => typeof x === 'function', 'expected a function'),
  }))()

/**
 * Defines a workflow that runs in the worker's process: asynchronous work.
 * @throws ConfigError
 */
export function defineWorkflow<I = unknown, O = unknown>(
  options: WorkflowOptions<I, O> & { run: (ctx: WorkflowContext<I>) => O | Promise<O> },
): WorkflowDefinition<I, O> {
  const { name, input, output, run, ...rest } = parseOptions(schema, options, 'defineWorkflow')
  const defaults = Object.freeze(Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)))
  const definition = { name, defaults, run, ...(input && { input }), ...(output && { output }) }
  return Object.freeze(definition) as WorkflowDefinition<I, O>
}

/** For options that take definitions. */
export function isWorkflowDefinition(x: unknown): x is WorkflowDefinition {
  const definition = x as Partial<WorkflowDefinition> | null | undefined
  return typeof definition?.name === 'string' && typeof definition.run === 'function'
}
