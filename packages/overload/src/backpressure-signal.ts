/**
 * What a receiver of data tells its senders, as it crosses the wire: with its answers, or by itself. Signals may be
 * lost, doubled and overtaken: (epoch, seq) says which of two is the newer.
 */
import { backpressureLevels, DecodeError, type BackpressureLevel } from '@hs/core'
import { levelRank } from './backpressure-level.js'

export interface BackpressureSignal {
  readonly level: BackpressureLevel
  /** How long the sender is to pause before what is not urgent, in milliseconds, 0 or more. */
  readonly delayMs: number
  /** Which life of the receiver this is from: its generation. */
  readonly epoch: number
  /** Rises with each signal of that life. */
  readonly seq: number
}

interface Flaw {
  readonly path: string
  readonly expected: string
}

/**
 * A signal from decoded data; unknown fields are left out.
 * @throws DecodeError that names the field, whatever the value
 */
export function decodeBackpressureSignal(value: unknown): BackpressureSignal {
  const signal = readFields(value)
  const flaw = flawOf(signal)
  if (flaw !== null) throw malformed(flaw)
  return Object.freeze(signal)
}

/** What is wrong with it, if anything is: types do not hold for whoever calls without them. */
export function flawOf({ level, delayMs, epoch, seq }: BackpressureSignal): Flaw | null {
  if (levelRank(level) < 0) return { path: 'level', expected: `one of ${backpressureLevels.join(', ')}` }
  if (!(typeof delayMs === 'number' && delayMs >= 0 && delayMs < Infinity)) {
    return { path: 'delayMs', expected: 'milliseconds, 0 or more' }
  }
  if (!isCount(epoch)) return { path: 'epoch', expected: 'an integer from 0 to 2^53 - 1' }
  return isCount(seq) ? null : { path: 'seq', expected: 'an integer from 0 to 2^53 - 1' }
}

/** Each field once, so that a getter cannot answer differently later. */
function readFields(value: unknown): BackpressureSignal {
  if (typeof value !== 'object' || value === null) throw malformed({ path: '', expected: 'an object' })
  try {
    const { level, delayMs, epoch, seq } = value as BackpressureSignal
    return { level, delayMs, epoch, seq }
  } catch (cause) {
    throw malformed({ path: '', expected: 'plain data' }, cause)
  }
}

function malformed({ path, expected }: Flaw, cause?: unknown): DecodeError {
  const where = path === '' ? 'A backpressure signal' : `A backpressure signal at ${path}`
  return new DecodeError(`${where}: expected ${expected}`, cause === undefined ? { path } : { path, cause })
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
