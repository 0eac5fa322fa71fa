/** JSON values as registers hold them: copied, frozen, and with one text for each value. */

/** What a register may hold: what JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** Lists and objects within each other; the codec of `@hs/core` takes 32 with what is around them. */
const MAX_DEPTH = 24

/** Why a value is no JSON. */
export class NotJson {
  readonly found: string

  constructor(found: string) {
    this.found = found
  }
}

/** A frozen copy that nobody else can change, or why there is none. Reads every value once. */
export function copyJson(value: unknown, depth = 0): Json | NotJson {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  // JSON has no sign of zero.
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : new NotJson(String(value))
  if (typeof value !== 'object') return new NotJson(value === undefined ? 'undefined' : `a ${typeof value}`)
  if (depth === MAX_DEPTH) return new NotJson(`more than ${MAX_DEPTH} levels`)
  return Array.isArray(value) ? copyList(value, depth) : copyObject(value, depth)
}

function copyList(list: readonly unknown[], depth: number): Json | NotJson {
  const copy: Json[] = []
  for (let i = 0, end = list.length; i < end; i++) {
    const item = copyJson(list[i], depth + 1)
    if (item instanceof NotJson) return item
    copy.push(item)
  }
  return Object.freeze(copy)
}

function copyObject(object: object, depth: number): Json | NotJson {
  const prototype: unknown = Object.getPrototypeOf(object)
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return new NotJson('an object with a class')
  const copy: [string, Json][] = []
  for (const key of Object.keys(object)) {
    const item = copyJson((object as Record<string, unknown>)[key], depth + 1)
    if (item instanceof NotJson) return item
    copy.push([key, item])
  }
  // `fromEntries` defines its keys, so `__proto__` is one like any other.
  return Object.freeze(Object.fromEntries(copy))
}

/** The JSON text with keys sorted: the same for equal values, whichever replica makes it. */
export function canonicalJson(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`
  const fields = Object.keys(value).sort()
  return `{${fields.map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] as Json)}`).join(',')}}`
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
