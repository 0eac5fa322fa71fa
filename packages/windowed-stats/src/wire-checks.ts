/** Checks of decoded data: each returns what it was given, typed, or throws a DecodeError that names the path. */
import { DecodeError } from '@hs/core'

export type Fields = Readonly<Record<string, unknown>>

export function wireError(path: string, expected: string): DecodeError {
  return new DecodeError(`${path}: expected ${expected}`, { path })
}

export function wireObject(value: unknown, path: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wireError(path, 'an object')
  return value as Fields
}

export function wireArray(value: unknown, path: string, maxLength: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > maxLength) throw wireError(path, `a list of at most ${maxLength}`)
  return value
}

export function wireText(value: unknown, path: string): string {
  if (typeof value !== 'string') throw wireError(path, 'a text')
  return value
}

/** A finite number from 0. */
export function wireAmount(value: unknown, path: string): number {
  if (typeof value !== 'number' || !(value >= 0 && value < Infinity)) throw wireError(path, 'a finite number from 0')
  return value
}

export function wireInteger(value: unknown, path: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
    throw wireError(path, `an integer from ${min} to ${max}`)
  return value as number
}

/** `[min, max]`, or `[]` exactly when there are no samples. */
export function wireExtremes(value: unknown, path: string, count: number): { min: number; max: number } {
  const list = wireArray(value, path, 2)
  if (count === 0 && list.length === 0) return { min: Infinity, max: -Infinity }
  if (count === 0 || list.length !== 2) throw wireError(path, 'two numbers, or none for an empty sketch')
  const min = wireAmount(list[0], `${path}.0`)
  const max = wireAmount(list[1], `${path}.1`)
  if (min > max) throw wireError(path, 'the minimum first')
  return { min, max }
}
