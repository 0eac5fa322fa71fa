/**
 * The judgement of a peer's HELLO: label, version, then `authorize`, in this order (NEG-1, NEG-2, TLS-3). What
 * `authorize` throws is reported here and reaches the peer only as its reason's name.
 */
import { HsError, type ErrorReporter, type PeerIdentity } from '@hs/core'
import { negotiate } from './negotiate.js'
import type { Hello } from './payloads.js'
import type { TcpSettings } from './tcp-options.js'
import type { Direction } from './tcp-stats.js'

export type RefusalReason = 'label' | 'version' | 'authorize'

export interface Refusal {
  readonly reason: RefusalReason
  readonly message: string
}

export type Judgement = { readonly peer: PeerIdentity } | { readonly refusal: Refusal }

/** @param address what the handlers are to see as the peer's. */
export function judge(
  hello: Hello,
  settings: TcpSettings,
  address: string,
  direction: Direction,
  reporter: ErrorReporter,
): Judgement {
  if (hello.label !== settings.label) return refuse('label', 'the labels differ')
  const agreed = agreement(hello, settings)
  if (typeof agreed === 'string') return refuse('version', agreed)
  const { major, minor, features } = agreed
  const protocol = Object.freeze({ major, minor })
  const peer = Object.freeze({ address, nodeId: hello.node, encrypted: false, protocol, features })
  if (!isAuthorized(peer, settings, direction, reporter)) return refuse('authorize', 'not authorized')
  return { peer }
}

export function isRefusalReason(reason: string): reason is RefusalReason {
  return reason === 'label' || reason === 'version' || reason === 'authorize'
}

function refuse(reason: RefusalReason, message: string): Judgement {
  return { refusal: { reason, message } }
}

function agreement(hello: Hello, settings: TcpSettings) {
  const { protocol, features } = settings
  try {
    return negotiate({ ...protocol, features }, hello)
  } catch (error) {
    if (HsError.is(error, 'PEER_REJECTED')) return error.message
    throw error
  }
}

function isAuthorized(
  peer: PeerIdentity,
  settings: TcpSettings,
  direction: Direction,
  reporter: ErrorReporter,
): boolean {
  const { authorize } = settings
  if (authorize === undefined) return true
  const fields = { from: peer.address, nodeId: peer.nodeId, direction }
  try {
    const result: unknown = authorize(peer, direction)
    if (!isThenable(result)) return true
    // An async function is assignable to it, and would let everyone in.
    Promise.resolve(result).catch((error: unknown) => reporter.report('TcpTransport.authorize', error, fields))
    throw new HsError('INVALID_ARGUMENT', '`authorize` must decide at once: it returned a promise')
  } catch (error) {
    reporter.report('TcpTransport.authorize', error, fields)
    return false
  }
}

/** A promise of any make. */
function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
