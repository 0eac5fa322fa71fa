/**
 * Checks of decoded data: each reads a value once, so that a getter cannot answer differently later, and returns it
 * typed or throws a `DecodeError` that names the place.
 */
import { DecodeError } from '@hs/core'
import { MAX_COUNT } from './arguments.js'

export type Fields = Readonly<Record<string, unknown>>

export function wireError(path: string, expected: string, cause?: unknown): DecodeError {
  const where = path === '' ? 'The state' : path
  return new DecodeError(`${where}: expected ${expected}`, cause === undefined ? { path } : { path, cause })
}

/** Runs `build`; whatever a hostile value throws when it is read is a `DecodeError` too. */
export function decoding<T>(build: () => T): T {
  try {
    return build()
  } catch (thrown) {
    if (thrown instanceof DecodeError) throw thrown
    throw wireError('', 'plain data', thrown)
  }
}

/** A plain object, of whichever realm: anything else has fields by accident only. */
export function wireFields(value: unknown, path: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wireError(path, 'an object')
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) throw wireError(path, 'a plain object')
  return value as Fields
}

/** A list of whole groups of `group` values. */
export function wireList(value: unknown, path: string, group: number, maxGroups = Infinity): readonly unknown[] {
  if (!Array.isArray(value)) throw wireError(path, 'a list')
  if (value.length % group !== 0) throw wireError(path, `groups of ${group} values`)
  if (value.length / group > maxGroups) throw wireError(path, `at most ${maxGroups} entries`)
  return value
}

/** The same for a field that is absent when empty. */
export function wireOptionalList(value: unknown, path: string, group: number, maxGroups?: number): readonly unknown[] {
  return value === undefined ? [] : wireList(value, path, group, maxGroups)
}

export function wireName(list: readonly unknown[], index: number, path: string, maxLength: number): string {
  const name = list[index]
  if (typeof name !== 'string' || name.length === 0 || name.length > maxLength) {
    throw wireError(`${path}.${index}`, `a text of 1 to ${maxLength} UTF-16 units`)
  }
  return name
}

export function wireInteger(
  list: readonly unknown[],
  index: number,
  path: string,
  min: number,
  max = MAX_COUNT,
): number {
  const n = list[index]
  if (!Number.isSafeInteger(n) || (n as number) < min || (n as number) > max) {
    throw wireError(`${path}.${index}`, `an integer from ${min} to ${max}`)
  }
  return n as number
}
