/**
 * A fault as data: what happens to which node or link, when, and for how long. A list of them is a plan that is made
 * before the run, goes to a file as JSON, and can be made smaller.
 */

import * as z from 'zod'
import { parseOptions } from '@hs/core'
import { diskFaultsShape, type DiskFaults } from './disk-faults.js'
import { linkChangeSchema, type LinkOptions } from './link-options.js'

interface Span {
  /** True time at which it begins, in milliseconds from the start of the run. */
  atMs: number
  /** Milliseconds after which it is undone. */
  forMs: number
}

/** Plain JSON; undone after `forMs`. */
export type Fault = Span &
  (
    | { kind: 'crash'; node: string; disk?: 'keep' | 'lose' }
    | { kind: 'pause'; node: string }
    | { kind: 'partition' | 'clog'; from: string[]; to: string[]; oneWay?: boolean }
    | { kind: 'link'; from: string[]; to: string[]; change: Partial<LinkOptions> }
    | { kind: 'clock'; node: string; skewMs?: number; driftPpm?: number }
    | { kind: 'disk'; node: string; change: DiskFaults }
  )

export const faultKinds: readonly Fault['kind'][] = Object.freeze([
  'crash',
  'pause',
  'partition',
  'clog',
  'link',
  'clock',
  'disk',
] as const)

const span = () => ({ atMs: z.number().min(0), forMs: z.number().min(0) })
const sides = () => ({ from: z.array(z.string()).min(1), to: z.array(z.string()).min(1) })

let cachedSchema: ReturnType<typeof makeSchema> | undefined
/** One fault. A node that the simulation does not have is the business of `schedule`. */
export const faultSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z.discriminatedUnion('kind', [
    z.strictObject({
      ...span(),
      kind: z.literal('crash'),
      node: z.string(),
      disk: z.enum(['keep', 'lose']).optional(),
    }),
    z.strictObject({ ...span(), kind: z.literal('pause'), node: z.string() }),
    z.strictObject({ ...span(), kind: z.enum(['partition', 'clog']), ...sides(), oneWay: z.boolean().optional() }),
    z.strictObject({ ...span(), kind: z.literal('link'), ...sides(), change: linkChangeSchema() }),
    z.strictObject({
      ...span(),
      kind: z.literal('clock'),
      node: z.string(),
      skewMs: z.number().optional(),
      driftPpm: z.number().gt(-1_000_000).optional(),
    }),
    z.strictObject({ ...span(), kind: z.literal('disk'), node: z.string(), change: z.strictObject(diskFaultsShape()) }),
  ])

let cachedPlanSchema: ReturnType<typeof makePlanSchema> | undefined
const planSchema = () => (cachedPlanSchema ??= makePlanSchema())
const makePlanSchema = () => z.strictObject({ faults: z.array(faultSchema()) })

/**
 * Checks a plan, and copies it, so that nothing that its giver changes later reaches the run.
 * @param owner who takes the plan, for the message
 * @throws ConfigError with every fault that is none
 */
export function parseFaults(faults: unknown, owner: string): Fault[] {
  const { faults: parsed } = parseOptions(planSchema(), { faults }, owner)
  // zod says "or undefined" of what may be absent; JSON has no such thing, and neither has a plan.
  return parsed.map((fault) => withoutUndefined(fault) as Fault)
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(entries.map(([key, field]) => [key, withoutUndefined(field)]))
}
