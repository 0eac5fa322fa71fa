/** What a simulated disk does wrong, and how long it takes. */

import * as z from 'zod'
import { latencySchema, type Latency } from './latency.js'

export interface DiskFaults {
  /** How long an operation takes, on the clock of the node. @default 0.1 */
  latency?: Latency
  /** Probability that a read fails with `'DISK_IO'`, 0 to 1. @default 0 */
  readErrorRate?: number
  /** Probability that a write or truncation fails with `'DISK_IO'` and changes nothing, 0 to 1. @default 0 */
  writeErrorRate?: number
  /** Probability that a `sync` fails with `'DISK_IO'`, and what it covered never becomes durable, 0 to 1. @default 0 */
  syncErrorRate?: number
  /** Bytes that all files may have together; what goes beyond fails with `'DISK_FULL'`. @default Infinity */
  capacityBytes?: number
}

const probability = () => z.number().min(0).max(1)

/** Fields to spread into the schema of whatever takes them. */
export const diskFaultsShape = () => ({
  latency: latencySchema().optional(),
  readErrorRate: probability().optional(),
  writeErrorRate: probability().optional(),
  syncErrorRate: probability().optional(),
  capacityBytes: z.union([z.number().min(0), z.literal(Infinity)]).optional(),
})
