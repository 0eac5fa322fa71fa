/** What a directed link between two nodes does to what is sent over it. */

import * as z from 'zod'
import { latencySchema, type Latency } from './latency.js'

export interface LinkOptions {
  /** How long a copy is on its way. @default { kind: 'exponential', minMs: 0.5, meanMs: 2 } */
  latency: Latency
  /** Probability that a copy is lost, 0 to 1. @default 0 */
  loss: number
  /** Probability that a datagram is sent twice, 0 to 1. @default 0 */
  duplicate: number
  /** Probability that one bit of a copy is turned, 0 to 1. @default 0 */
  corrupt: number
  /** Bandwidth, above 0. @default Infinity */
  bytesPerSecond: number
  /** Bytes that may wait for the link, at least 0; what is beyond is dropped as `overflow`. @default 1_048_576 */
  queueBytes: number
}

const probability = () => z.number().min(0).max(1)

/** A change to a link: whatever is not named stays. */
export const linkChangeSchema = () =>
  z.strictObject({
    latency: latencySchema().optional(),
    loss: probability().optional(),
    duplicate: probability().optional(),
    corrupt: probability().optional(),
    bytesPerSecond: z.union([z.number().gt(0), z.literal(Infinity)]).optional(),
    queueBytes: z.number().min(0).optional(),
  })
