/**
 * What crosses the wire. `msgpackCodec` speaks the core of MessagePack and no extension types: the bytes are the
 * contract, so a peer in any language can be written against it. Decoding trusts nothing: a message is checked as a
 * whole before anything is built, then the schema decides what of it is taken.
 *
 * The encoder and the decoder are our own. msgpackr behind the same check was measured against them (`bench/core.ts`):
 * it is slower, knows extensions that must stay off, and needs its output copied.
 */
import * as z from 'zod'
import { isBinary } from './binary.js'
import { ConfigError, DecodeError } from './errors.js'
import { MsgpackChecker } from './msgpack-check.js'
import { MsgpackDecoder } from './msgpack-decode.js'
import { encodeMsgpack } from './msgpack-encode.js'
import { parseOptions } from './options.js'

export interface Codec<T> {
  /** Longer messages are neither made nor taken. */
  readonly maxBytes: number
  /**
   * The bytes of a value; they are the caller's, in a buffer of exactly their length. The schema is not run: the type
   * answers for what a process sends, the schema for what it receives.
   * @throws LimitError above a limit; HsError `'ENCODE_FAILED'` for what is not plain data
   */
  encode(value: T): Uint8Array
  /**
   * The value of the bytes, none of it a view onto them.
   * @throws DecodeError and nothing else, whatever the bytes
   */
  decode(bytes: Uint8Array): T
}

export interface MsgpackCodecOptions {
  /** The longest message that is made or taken, in bytes, 1 to 2^30. @default 1_048_576 */
  maxBytes?: number
  /** Arrays and maps within each other, 1 to 512. @default 32 */
  maxDepth?: number
  /** Values of a message, arrays and maps included, keys not; 1 to 2^30. @default 65_536 */
  maxItems?: number
}

/**
 * A codec for what `schema` describes: nil, booleans, numbers, strings, `Uint8Array`, arrays and plain objects.
 * Properties that are `undefined` are left out. A schema that changes what it parses must take its own output too,
 * as that is what is sent.
 * @throws ConfigError
 */
export function msgpackCodec<S extends z.core.$ZodType>(
  schema: S,
  options: MsgpackCodecOptions = {},
): Codec<z.output<S>> {
  const limits = parseOptions(optionsSchema(), options, 'msgpackCodec')
  if (!isSchema(schema)) {
    throw new ConfigError('msgpackCodec', [{ path: 'schema', message: 'expected a schema of zod 4', value: schema }])
  }
  const { maxBytes } = limits
  const checker = new MsgpackChecker(limits)
  const builder = (decoder ??= new MsgpackDecoder())
  return Object.freeze({
    maxBytes,
    encode: (value: z.output<S>) => encodeMsgpack(value, limits),
    decode(bytes: Uint8Array): z.output<S> {
      if (!isBinary(bytes)) throw new DecodeError('A message is a Uint8Array', { reason: 'syntax' })
      if (bytes.length > maxBytes) {
        throw new DecodeError(`A message has at most ${maxBytes} bytes, found ${bytes.length}`, { reason: 'size' })
      }
      return parse(schema, builder.decode(bytes, checker))
    },
  })
}

/** A schema of zod 3 would be found out only by the first message. */
function isSchema(schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && '_zod' in schema
}

/** One for all codecs, made with the first: what comes again does so across kinds of messages. */
let decoder: MsgpackDecoder | undefined

function parse<S extends z.core.$ZodType>(schema: S, value: unknown): z.output<S> {
  const result = tryParse(schema, value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const path = issue?.path.map(String).join('.') ?? ''
  const where = path === '' ? 'The message' : `The message at ${path}`
  throw new DecodeError(`${where} is not what its schema says: ${issue?.message ?? 'no reason given'}`, {
    path,
    cause: result.error,
  })
}

/** A refinement or transform of the schema that throws, or that is async, makes the message no better. */
function tryParse<S extends z.core.$ZodType>(schema: S, value: unknown): z.core.util.SafeParseResult<z.output<S>> {
  try {
    return z.core.safeParse(schema, value)
  } catch (cause) {
    throw new DecodeError('The schema failed on the message', { path: '', cause })
  }
}

const optionsSchema = () => (cachedSchema ??= makeSchema())
let cachedSchema: ReturnType<typeof makeSchema> | undefined
const makeSchema = () =>
  z.strictObject({
    maxBytes: z
      .int()
      .min(1)
      .max(2 ** 30)
      .default(1_048_576),
    maxDepth: z.int().min(1).max(512).default(32),
    maxItems: z
      .int()
      .min(1)
      .max(2 ** 30)
      .default(65_536),
  })
