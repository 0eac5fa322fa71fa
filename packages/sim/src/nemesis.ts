/** Which faults a campaign draws, how many and how long. */

import * as z from 'zod'
import { faultKinds, type Fault } from './fault.js'

export interface NemesisOptions {
  /** What may happen, at least one kind. @default all of `faultKinds` */
  kinds?: readonly Fault['kind'][]
  /** Mean time between the beginnings of two faults, in milliseconds, above 0. @default 5_000 */
  meanGapMs?: number
  /** The longest duration of a fault, in milliseconds, at least 100. @default 15_000 */
  maxForMs?: number
  /** Nodes that may be crashed at a time, at least 0. @default ⌊(n−1)/2⌋ of n nodes, so that a majority lives */
  maxDown?: number
  /** Probability that a crash takes the disk, 0 to 1. @default 0 */
  loseDisk?: number
  /** Gives each seed a subset of `kinds` and an intensity of its own. @default true */
  swarm?: boolean
}

/** The shortest duration of a fault, in milliseconds. */
export const MIN_FOR_MS = 100

export const nemesisShape = () => ({
  kinds: z
    .array(z.enum([...faultKinds]))
    .min(1)
    .optional(),
  meanGapMs: z.number().gt(0).default(5_000),
  maxForMs: z.number().min(MIN_FOR_MS).default(15_000),
  maxDown: z.int().min(0).optional(),
  loseDisk: z.number().min(0).max(1).default(0),
  swarm: z.boolean().default(true),
})
