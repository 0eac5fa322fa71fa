/** Decoded data against a schema: unknown fields are left out, and what is wrong is a `DecodeError`, whatever it is. */
import { DecodeError } from '@hs/core'
import * as z from 'zod'

/**
 * A frozen copy of `value` as the schema has it.
 * @param what is named in the error: `'A health report'`
 * @throws DecodeError
 */
export function decode<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = parse(schema, value, what)
  if (result.success) return Object.freeze(result.data)
  const [issue] = result.error.issues
  const path = issue?.path.map(String).join('.') ?? ''
  const where = path === '' ? what : `${what} at ${path}`
  throw new DecodeError(`${where}: ${issue?.message ?? 'malformed'}`, { path, cause: result.error })
}

function parse<T>(schema: z.ZodType<T>, value: unknown, what: string): z.ZodSafeParseResult<T> {
  try {
    return schema.safeParse(value)
  } catch (cause) {
    // A getter of the value threw.
    throw new DecodeError(`${what}: expected plain data`, { path: '', cause })
  }
}

/** An incarnation or a sequence number. */
export const natural = () => z.int().min(0)

/** A count or an amount that need not be whole. */
export const amount = () => z.number().min(0)

/** Orders what one sender says: later lives first, then what was said later in the same life. */
export function isNewer(
  than: { readonly incarnation: number; readonly seq: number } | undefined,
  said: { readonly incarnation: number; readonly seq: number },
): boolean {
  if (than === undefined || said.incarnation > than.incarnation) return true
  return said.incarnation === than.incarnation && said.seq > than.seq
}
