/**
 * One write of a last-writer-wins register, and the total order of writes: greater time; then greater writer by UTF-16
 * units; then greater canonical JSON of the value, where a value beats a deletion. The last step is what makes replicas
 * agree on two writes with the same time and writer, which a restarted writer can make.
 */
import { checkName, checkTime, invalidArgument } from './arguments.js'
import { canonicalJson, copyJson, NotJson, type Json } from './json.js'
import type { Limits } from './limits.js'
import { wireError, wireInteger, wireName } from './wire.js'

export interface Write<T extends Json> {
  /** Undefined: a deletion. */
  readonly value: T | undefined
  /** 0: never written. */
  readonly time: number
  readonly writer: string
}

/** @throws HsError `'INVALID_ARGUMENT'` */
export function newWrite<T extends Json>(value: T, time: number, writer: string, limits: Limits): Write<T> {
  checkStamp(time, writer, limits)
  const copy = copyJson(value)
  if (copy instanceof NotJson) throw invalidArgument('A value is JSON', copy.found)
  return { value: copy as T, time, writer }
}

/** @throws HsError `'INVALID_ARGUMENT'` */
export function newDeletion(time: number, writer: string, limits: Limits): Write<never> {
  checkStamp(time, writer, limits)
  return { value: undefined, time, writer }
}

function checkStamp(time: number, writer: string, limits: Limits): void {
  checkTime(time)
  checkName('A writer', writer, limits.maxNameLength)
}

/** Whether `a` comes after `b`, so that it wins. */
export function isLater<T extends Json>(a: Write<T>, b: Write<T>): boolean {
  if (a.time !== b.time) return a.time > b.time
  if (a.writer !== b.writer) return a.writer > b.writer
  return isGreater(a.value, b.value)
}

export function sameWrite<T extends Json>(a: Write<T>, b: Write<T>): boolean {
  return a === b || (a.time === b.time && a.writer === b.writer && sameValue(a.value, b.value))
}

function isGreater(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b || a === undefined) return false
  return b === undefined || canonicalJson(a) > canonicalJson(b)
}

function sameValue(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true
  return a !== undefined && b !== undefined && canonicalJson(a) === canonicalJson(b)
}

/** Time and writer at `index`, and the value behind them if there is one. */
export function wireWrite<T extends Json>(
  list: readonly unknown[],
  index: number,
  path: string,
  limits: Limits,
  deleted: boolean,
): Write<T> {
  const time = wireInteger(list, index, path, 1, limits.maxTime)
  const writer = wireName(list, index + 1, path, limits.maxNameLength)
  if (deleted) return { value: undefined, time, writer }
  const value = copyJson(list[index + 2])
  if (value instanceof NotJson) throw wireError(`${path}.${index + 2}`, `JSON, found ${value.found}`)
  return { value: value as T, time, writer }
}
