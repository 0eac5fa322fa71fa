/**
 * A method of the wire: its name, how urgent it is, what it carries and what it answers. Every request names its
 * cluster, so that a message that strays into another one is refused there on any transport.
 */
import type { Codec, MessagePriority } from '@hs/core'
import * as z from 'zod'
import { bodyCodec } from './codecs.js'
import { refusal, text, type Refusal } from './fields.js'

export interface Method<Q, A> {
  readonly name: string
  readonly priority: MessagePriority
  /** The answer waits for news, so it takes no slot of those that bound what is worked on. */
  readonly held: boolean
  readonly request: Codec<Q & { cluster: string }>
  readonly answer: Codec<({ ok: true } & A) | Refusal>
}

/** What a method answers. */
export type Answer<A> = ({ ok: true } & A) | Refusal

export function method<Q extends z.ZodRawShape, A extends z.ZodRawShape>(
  name: string,
  priority: MessagePriority,
  request: Q,
  answer: A,
  { held = false }: { held?: boolean } = {},
): Method<z.output<z.ZodObject<Q>>, z.output<z.ZodObject<A>>> {
  const asked = z.object({ ...request, cluster: text() })
  const answered = z.discriminatedUnion('ok', [z.object({ ...answer, ok: z.literal(true) }), refusal()])
  // The types of a spread shape do not survive inference; the schemas above are what they say.
  return Object.freeze({
    name,
    priority,
    held,
    request: bodyCodec(asked),
    answer: bodyCodec(answered),
  }) as unknown as Method<z.output<z.ZodObject<Q>>, z.output<z.ZodObject<A>>>
}

/** What a method carries. */
export type RequestOf<M> = M extends Method<infer Q, infer _A> ? Q : never
