/**
 * Renders any value as plain data that `JSON.stringify` takes without throwing: what logs and `toJSON` show.
 * Errors keep name, message, code, stack and cause; bigints, functions, cycles and throwing getters become text.
 * Bounded in depth and in items per container, so that a log line cannot grow with what it is given.
 */

const MAX_DEPTH = 12
const MAX_ITEMS = 200

export type Plain = string | number | boolean | null | Plain[] | { [key: string]: Plain }

export function toPlain(value: unknown): Plain {
  return render(value, []) ?? null
}

export function isErrorLike(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]'
}

/** The message of whatever was thrown; never throws itself. */
export function messageOf(thrown: unknown): string {
  try {
    return isErrorLike(thrown) ? String(thrown.message) : typeof thrown === 'string' ? thrown : toText(toPlain(thrown))
  } catch {
    return '[unreadable]'
  }
}

/** One line of JSON; never throws. */
export function toJsonLine(value: unknown): string {
  return JSON.stringify(toPlain(value))
}

function toText(plain: Plain): string {
  return typeof plain === 'string' ? plain : JSON.stringify(plain)
}

/** `path` holds the containers on the way here: meeting one of them again is a cycle. Undefined: leave it out. */
function render(value: unknown, path: object[]): Plain | undefined {
  try {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value
      case 'number':
        return Number.isFinite(value) ? value : String(value)
      case 'bigint':
      case 'symbol':
        return String(value)
      case 'function':
        return `[Function ${value.name || 'anonymous'}]`
      case 'undefined':
        return undefined
      case 'object':
        return value === null ? null : renderObject(value, path)
    }
  } catch (thrown) {
    return unreadable(thrown)
  }
}

function renderObject(value: object, path: object[]): Plain | undefined {
  if (path.includes(value)) return '[Circular]'
  if (path.length >= MAX_DEPTH) return Array.isArray(value) ? '[Array]' : '[Object]'
  const below = [...path, value]
  if (isErrorLike(value)) return renderError(value, below)
  if (ArrayBuffer.isView(value)) return `[${value.constructor.name} of ${value.byteLength} bytes]`
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  if (Array.isArray(value)) return renderItems(value, below)
  if (value instanceof Map || value instanceof Set) return renderItems([...value], below)
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    const json = (value as { toJSON(): unknown }).toJSON()
    return json === value ? '[Circular]' : render(json, below)
  }
  return renderFields(value, Object.keys(value), below)
}

function renderItems(items: readonly unknown[], path: object[]): Plain[] {
  const shown: Plain[] = []
  for (let i = 0; i < items.length && i < MAX_ITEMS; i++) shown.push(readItem(items, i, path))
  if (items.length > MAX_ITEMS) shown.push(`[${items.length - MAX_ITEMS} more]`)
  return shown
}

function readItem(items: readonly unknown[], index: number, path: object[]): Plain {
  try {
    return render(items[index], path) ?? null
  } catch (thrown) {
    return unreadable(thrown)
  }
}

function renderFields(from: object, keys: readonly string[], path: object[]): { [key: string]: Plain } {
  const entries: [string, Plain][] = []
  for (const key of keys.slice(0, MAX_ITEMS)) {
    const plain = readField(from, key, path)
    if (plain !== undefined) entries.push([key, plain])
  }
  if (keys.length > MAX_ITEMS) entries.push(['…', `[${keys.length - MAX_ITEMS} more]`])
  return Object.fromEntries(entries) // and not assignment: a key may be `__proto__`
}

function readField(from: object, key: string, path: object[]): Plain | undefined {
  try {
    return render((from as Record<string, unknown>)[key], path)
  } catch (thrown) {
    return unreadable(thrown)
  }
}

const errorFields = ['name', 'message', 'code', 'details', 'errors', 'stack', 'cause'] as const

function renderError(error: Error, path: object[]): Plain {
  const fields = renderFields(
    error,
    errorFields.filter((key) => key in error),
    path,
  )
  const details = fields['details']
  if (typeof details === 'object' && details !== null && Object.keys(details).length === 0) delete fields['details']
  return fields
}

function unreadable(thrown: unknown): string {
  try {
    return `[Throws: ${isErrorLike(thrown) ? thrown.message : String(thrown)}]`
  } catch {
    return '[Throws]'
  }
}
