/**
 * Options are plain objects, checked once by a zod schema where they enter: `parseOptions` reports everything that is
 * wrong at once, with owner, path, bound and the value found, and never shows a secret.
 * Schemas are `z.strictObject`, so that a misspelt option is an error.
 */
import * as z from 'zod/v4/core'
import { ConfigError, type ConfigIssue } from './errors.js'

type Issue = z.$ZodIssue

/**
 * Checks options by a schema, and fills in its defaults.
 * @param schema any zod 4 schema, `zod/mini` included.
 * @param value the options; `undefined` is `{}`.
 * @param owner the class or function whose options these are.
 * @throws ConfigError with all issues.
 */
export function parseOptions<S extends z.$ZodType>(schema: S, value: unknown, owner: string): z.output<S> {
  const given = value === undefined ? {} : value
  const result = z.safeParse(schema, given)
  if (result.success) return result.data
  throw new ConfigError(
    owner,
    result.error.issues.flatMap((issue) => toIssues(issue, given)),
  )
}

function toIssues(issue: Issue, given: unknown): ConfigIssue[] {
  if (issue.code !== 'unrecognized_keys') {
    return [{ path: pathText(issue.path), message: expectation(issue), value: valueAt(given, issue.path) }]
  }
  // One issue a key, so that each has its own path and a secret under it is recognised.
  return issue.keys.map((key) => {
    const path = [...issue.path, key]
    return { path: pathText(path), message: 'no such option', value: valueAt(given, path) }
  })
}

function pathText(path: readonly PropertyKey[]): string {
  return path.map(String).join('.')
}

function valueAt(given: unknown, path: readonly PropertyKey[]): unknown {
  let found = given
  for (const key of path) {
    if (typeof found !== 'object' || found === null) return undefined
    found = (found as Record<PropertyKey, unknown>)[key]
  }
  return found
}

/** `zod/mini` has no texts unless a locale is loaded: then the bound is put into words here. */
function expectation(issue: Issue): string {
  if (issue.message !== 'Invalid input' && issue.message !== '') return issue.message
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${issue.expected}`
    case 'too_small':
      return `expected ${issue.origin} ${issue.inclusive === false ? '>' : '>='} ${issue.minimum}`
    case 'too_big':
      return `expected ${issue.origin} ${issue.inclusive === false ? '<' : '<='} ${issue.maximum}`
    case 'not_multiple_of':
      return `expected a multiple of ${issue.divisor}`
    case 'invalid_format':
      return `expected format ${issue.format}`
    case 'invalid_value':
      return `expected one of ${issue.values.map(String).join(', ')}`
    case 'invalid_union':
      return `expected one of: ${[...new Set(issue.errors.flat().map(expectation))].join(' | ')}`
    case 'invalid_key':
    case 'invalid_element':
      return `invalid ${issue.origin} entry: ${issue.issues.map(expectation).join(', ')}`
    default:
      return 'invalid value'
  }
}
