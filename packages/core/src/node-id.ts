/**
 * A `NodeId` is `name@generation`: the name outlives the process, the generation does not. A process takes a new one
 * at each start; a node that meets its own name with a higher generation renews with `after`, so that a clock that
 * stepped back cannot make it invisible. Source of the renewal: foca's `Identity::renew`.
 */
import * as z from 'zod'
import type { Brand } from './brand.js'
import { DecodeError, HsError, LimitError } from './errors.js'
import { parseOptions } from './options.js'
import { runtimeShape, type RuntimeOptions } from './runtime.js'

/** `name@generation`; of two with the same name the greater text is the later process. */
export type NodeId = Brand<string, 'NodeId'>

export interface NewNodeIdOptions extends RuntimeOptions {
  /** A generation that the new one must be above, an integer from 0 to 2^53 - 1. */
  after?: number
}

export interface ParsedNodeId {
  readonly name: string
  readonly generation: number
}

const YEAR_2024 = 1_704_067_200_000
const RANDOM_STEPS = 4_096
/** Base-36 digits of the largest safe integer: all generations have as many, so that their order is string order. */
const DIGITS = 11

const schema = /* @__PURE__ */ (() => z.strictObject(runtimeShape))()

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/
const nodeIdPattern = /^([A-Za-z0-9][A-Za-z0-9._-]{0,99})@([0-9a-z]{11})$/

/**
 * An id for a process that starts now.
 * @param name `[A-Za-z0-9][A-Za-z0-9._-]{0,99}`.
 * @throws HsError `'INVALID_ARGUMENT'` for another name, or an `after` that is not a non-negative safe integer;
 *   ConfigError for other options; LimitError when generations are used up (the year 2093, or `after` at 2^53 - 1).
 */
export function newNodeId(name: string, options: NewNodeIdOptions = {}): NodeId {
  const { after, ...runtime } = options
  if (typeof name !== 'string' || !namePattern.test(name)) {
    throw new HsError('INVALID_ARGUMENT', `A node's name must match ${namePattern.source}, found ${quote(name)}`)
  }
  if (after !== undefined && !(Number.isSafeInteger(after) && after >= 0)) {
    throw new HsError('INVALID_ARGUMENT', `after must be a generation, found ${String(after)}`)
  }
  const { clock, random } = parseOptions(schema, runtime, 'newNodeId')
  const sinceMs = Math.max(0, Math.floor(clock.wallNow()) - YEAR_2024)
  const fresh = sinceMs * RANDOM_STEPS + random.int(RANDOM_STEPS)
  const generation = after === undefined ? fresh : Math.max(fresh, after + 1)
  if (!Number.isSafeInteger(generation)) throw new LimitError('Generation of a node', Number.MAX_SAFE_INTEGER)
  return `${name}@${generation.toString(36).padStart(DIGITS, '0')}` as NodeId
}

/** Name and generation of an id. @throws DecodeError for anything that `newNodeId` does not make. */
export function parseNodeId(text: string): ParsedNodeId {
  const [, name, digits] = (typeof text === 'string' && nodeIdPattern.exec(text)) || []
  const generation = digits === undefined ? NaN : parseInt(digits, 36)
  if (name === undefined || !Number.isSafeInteger(generation)) {
    throw new DecodeError(`A node id is name@generation, the generation ${DIGITS} base-36 digits; found ${quote(text)}`)
  }
  return Object.freeze({ name, generation })
}

/** Whether `a` is a later process of the same name than `b`. @throws DecodeError */
export function supersedes(a: NodeId, b: NodeId): boolean {
  const later = parseNodeId(a)
  const earlier = parseNodeId(b)
  return later.name === earlier.name && later.generation > earlier.generation
}

function quote(found: unknown): string {
  return typeof found === 'string' ? JSON.stringify(found.slice(0, 120)) : typeof found
}
