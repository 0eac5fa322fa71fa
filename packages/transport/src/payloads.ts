/**
 * The payloads that are JSON: HELLO, ERROR and GOAWAY. Decoding takes any bytes; what cannot be read is null, and the
 * connection decides what that means. Unknown fields are ignored, so that a minor version can add some.
 */
import { TransportError, type TransportErrorCode } from '@hs/core'
import { viewOf } from './byte-gatherer.js'
import type { ProtocolOffer } from './negotiate.js'
import { MIN_LENGTH } from './wire.js'

/** A peer has one `'control'` connection for critical messages, and one `'bulk'` connection for the others. */
export type ConnectionClass = 'bulk' | 'control'

export interface Hello extends ProtocolOffer {
  readonly label: string
  readonly node: string
  readonly connectionClass: ConnectionClass
  /** Undefined: this end's own value. */
  readonly maxFrameBytes: number | undefined
  readonly maxInFlight: number | undefined
  readonly deflate: boolean
}

const WIRE_VERSION = 1
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

export function encodeHello(hello: Hello): Uint8Array {
  const { label, major, minor, features, node, connectionClass, maxFrameBytes, maxInFlight, deflate } = hello
  return encodeJson({
    v: WIRE_VERSION,
    label,
    major,
    minor,
    features,
    node: node === '' ? undefined : node,
    class: connectionClass,
    maxFrameBytes,
    maxInFlight,
    deflate: deflate ? true : undefined,
  })
}

/**
 * Null: not HELLO of this wire version. The offer and the label are handed on as they came: judging them has reasons
 * of their own (`negotiate`; a label that is no text equals none).
 */
export function decodeHello(bytes: Uint8Array, start: number, end: number): Hello | null {
  const json = decodeObject(bytes, start, end)
  if (json === null || json['v'] !== WIRE_VERSION) return null
  const { label, major, minor, features, node = '', maxFrameBytes, maxInFlight, deflate } = json
  const { class: connectionClass = 'bulk' } = json
  if (typeof node !== 'string' || (connectionClass !== 'bulk' && connectionClass !== 'control')) return null
  if (!isLimit(maxFrameBytes) || !isLimit(maxInFlight)) return null
  const offer = { major, minor, features } as ProtocolOffer
  return {
    ...offer,
    label: label as string,
    node,
    connectionClass,
    maxFrameBytes,
    maxInFlight,
    deflate: deflate === true,
  }
}

export interface Goaway {
  /** `'label'`, `'version'`, `'authorize'` refuse the peer; anything else is a farewell. */
  readonly reason: string
  readonly message: string
  /** The highest request id taken; undefined if the peer does not tell. */
  readonly lastId: number | undefined
}

export function encodeGoaway(reason: string, message: string, lastId?: number): Uint8Array {
  return encodeJson({ reason, message, lastId })
}

/** Always something: a farewell that cannot be read is still one. */
export function decodeGoaway(bytes: Uint8Array, start: number, end: number): Goaway {
  const json = decodeObject(bytes, start, end) ?? {}
  const { reason, message, lastId } = json
  return {
    reason: typeof reason === 'string' ? reason.slice(0, MAX_MESSAGE_CHARS) : 'unknown',
    message: typeof message === 'string' ? message.slice(0, MAX_MESSAGE_CHARS) : '',
    lastId: typeof lastId === 'number' && lastId >= 0 ? lastId : undefined,
  }
}

export interface WireError {
  readonly code: TransportErrorCode
  readonly message: string
  readonly notExecuted?: boolean
  readonly remoteCode?: string
  readonly retryAfterMs?: number
}

/** Of a remote error's message, this much crosses. */
export const MAX_MESSAGE_CHARS = 1_024

/** @param maxLength what the frame's length may be; the message is what gives way, and at last all but the code. */
export function encodeError(error: WireError, maxLength: number): Uint8Array {
  const room = maxLength - MIN_LENGTH
  const { code, notExecuted } = error
  let { message } = error
  for (;;) {
    const bytes = encodeJson({ ...error, message })
    if (bytes.length <= room) return bytes
    if (message === '') return encodeJson({ code, notExecuted })
    message = message.slice(0, Math.min(message.length >>> 1, room))
  }
}

/** What the answer to a request says, as the error that its caller gets. */
export function decodeError(
  bytes: Uint8Array,
  start: number,
  end: number,
  method: string,
  from: string,
): TransportError {
  const json = decodeObject(bytes, start, end)
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, MAX_MESSAGE_CHARS) : '')
  const { message, remoteCode, retryAfterMs } = json ?? {}
  const code = text(json?.['code'])
  const said = text(message) === '' ? 'no message' : text(message)
  const where = `${method} at ${from}`
  const delay = typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? { retryAfterMs } : {}
  switch (code) {
    case 'UNKNOWN_METHOD':
    case 'RESOURCE_EXHAUSTED':
      return new TransportError(code, `${where}: ${said}`, { notExecuted: true, ...delay })
    case 'MESSAGE_TOO_LARGE':
      return new TransportError(code, `${where}: ${said}`)
    case 'DEADLINE_EXCEEDED':
      return new TransportError(code, `${where}: ${said}`, { notExecuted: json?.['notExecuted'] === true })
    case 'CLOSED':
      // Of the peer, which takes nothing more: `'CLOSED'` means that this end is.
      return new TransportError('CONNECT_FAILED', `${where}: ${said}`, { notExecuted: true })
    case 'REMOTE_ERROR': {
      const remote = typeof remoteCode === 'string' ? { remoteCode: text(remoteCode) } : {}
      return new TransportError(code, said, { ...remote, ...delay, details: { method, from } })
    }
    default: {
      const remote = code === '' ? {} : { remoteCode: code }
      const found = json === null ? 'an error that cannot be read' : `${code || 'an error without a code'}: ${said}`
      return new TransportError('REMOTE_ERROR', `${where} answered ${found}`, { ...remote, ...delay })
    }
  }
}

function encodeJson(value: object): Uint8Array {
  return encoder.encode(JSON.stringify(value))
}

function decodeObject(bytes: Uint8Array, start: number, end: number): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(decoder.decode(viewOf(bytes, start, end)))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

function isLimit(value: unknown): value is number | undefined {
  return value === undefined || (Number.isSafeInteger(value) && (value as number) > 0)
}
