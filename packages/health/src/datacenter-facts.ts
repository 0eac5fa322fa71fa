/** What a datacenter says of itself in each answer to a probe, and what of it may cross the wire. */
import { datacenterHealths, overloadStates, type DatacenterHealth, type OverloadState } from '@hs/core'
import * as z from 'zod'

/** Counts of one datacenter, as its leading manager sees them. */
export interface DatacenterFacts {
  /** Managers it should have. */
  readonly managers: number
  /** Of these, how many take part now. */
  readonly managersAlive: number
  readonly workers: number
  readonly workersHealthy: number
  readonly coresAvailable: number
  readonly coresTotal: number
  /** Of the managers alive. @default 0 */
  readonly managersOverloaded?: number
  /** Of the healthy workers. @default 0 */
  readonly workersOverloaded?: number
  /** Absent: nothing known. */
  readonly leaderOverload?: OverloadState
  /** `SloHealth.health`. Absent: nothing known. */
  readonly slo?: DatacenterHealth
}

/** The numbers among the facts; those that may be absent last. */
export const factCounts = [
  'managers',
  'managersAlive',
  'workers',
  'workersHealthy',
  'coresAvailable',
  'coresTotal',
  'managersOverloaded',
  'workersOverloaded',
] as const

const count = () => z.number().min(0)

/** `undefined` is as good as absent, for whoever fills in a field or not; it does not cross the wire. */
const fields = /* @__PURE__ */ (() =>
  z.object({
    managers: count(),
    managersAlive: count(),
    workers: count(),
    workersHealthy: count(),
    coresAvailable: count(),
    coresTotal: count(),
    managersOverloaded: count().optional(),
    workersOverloaded: count().optional(),
    leaderOverload: z.enum(overloadStates).optional(),
    slo: z.enum(datacenterHealths).optional(),
  }))()

export const factsSchema = fields as z.ZodType<DatacenterFacts>
