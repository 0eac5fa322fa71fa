/** What a datacenter says of itself: to its gates, and to the managers that do not lead it. */
import { datacenterHealths, overloadStates } from '@hs/core'
import type { DatacenterFacts } from '@hs/health'
import * as z from 'zod'
import { amount, natural } from './fields.js'

/** Of AD-16: by these a datacenter is classified. */
export const factsField = (): z.ZodType<DatacenterFacts, DatacenterFacts> =>
  z.object({
    managers: natural(),
    managersAlive: natural(),
    workers: natural(),
    workersHealthy: natural(),
    coresAvailable: natural(),
    coresTotal: natural(),
    managersOverloaded: natural().exactOptional(),
    workersOverloaded: natural().exactOptional(),
    leaderOverload: z.enum(overloadStates).exactOptional(),
    slo: z.enum(datacenterHealths).exactOptional(),
  })

/** Of AD-42: how long workers took to accept what was sent to them, over the last minute. */
export const sloField = () => z.object({ p50Ms: amount(), p95Ms: amount(), p99Ms: amount(), samples: natural() })
export type SloField = z.output<ReturnType<typeof sloField>>
