/** What a node says of itself: how it came to `ready` (a quorum, its links, its cores) is its own affair. */
import { overloadStates, type OverloadState } from '@hs/core'
import * as z from 'zod'
import { amount, decode, natural } from './decode.js'

/** Gossip payload. */
export interface HealthReport {
  /** Numbers the lives of the process: the generation of its `NodeId`. */
  readonly incarnation: number
  /** Rises with each report of a life. */
  readonly seq: number
  /** Takes work. */
  readonly ready: boolean
  /** How much more it could take; 0 is none. */
  readonly capacity: number
  readonly overload: OverloadState
  /** Work that it holds. */
  readonly assigned: number
  /** Units finished since its start; only grows. Whatever moves steadily: actions, not workflows. */
  readonly done: number
  /** Units a second that the work at hand should make. @default nothing is expected */
  readonly expectedPerSecond?: number
}

const schema = /* @__PURE__ */ (() =>
  z.object({
    incarnation: natural(),
    seq: natural(),
    ready: z.boolean(),
    capacity: amount(),
    overload: z.enum(overloadStates),
    assigned: amount(),
    done: amount(),
    expectedPerSecond: amount().optional(),
  }) as z.ZodType<HealthReport>)()

/**
 * A report from decoded data; unknown fields are left out.
 * @throws DecodeError that names the field
 */
export function decodeHealthReport(value: unknown): HealthReport {
  return decode(schema, value, 'A health report')
}
