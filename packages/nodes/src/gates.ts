/** The gates a client knows of: one is preferred until it fails, then another takes its place. */
import { HsError, TransportError, type Random } from '@hs/core'
import { CircuitOpenError } from '@hs/health'
import { isLinkFailure } from './link-failure.js'
import type { RpcPeer } from './rpc-peer.js'
import type { Answer, Method } from './wire/method.js'

export class Gates {
  readonly #addresses: readonly string[]
  readonly #peer: RpcPeer
  readonly #onError: (error: unknown) => void
  #preferred: string

  /** @param onError what the network alone does not explain; another gate is tried all the same. */
  constructor(addresses: readonly string[], peer: RpcPeer, random: Random, onError: (error: unknown) => void) {
    this.#addresses = random.shuffle([...addresses])
    this.#peer = peer
    this.#onError = onError
    this.#preferred = this.#addresses[0] ?? ''
  }

  get preferred(): string {
    return this.#preferred
  }

  /** How many are known from the start. */
  get count(): number {
    return this.#addresses.length
  }

  prefer(address: string): void {
    this.#preferred = address
  }

  /** After a failure of the preferred one. */
  next(): void {
    const at = this.#addresses.indexOf(this.#preferred)
    this.#preferred = this.#addresses[(at + 1) % this.#addresses.length] ?? this.#preferred
  }

  /** Asks the preferred gate. Null when it could not be reached, and the next one is preferred from now on. */
  async ask<Q extends object, A extends object>(
    method: Method<Q, A>,
    request: Q,
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<Answer<A> | null> {
    const address = this.#preferred
    try {
      const answer = await this.#peer.ask(address, method, request, options)
      if (!answer.ok && answer.code === 'NODE_STOPPED') {
        if (this.#preferred === address) this.next()
        return null
      }
      return answer
    } catch (error) {
      if (options.signal?.aborted) throw options.signal.reason
      if (!isUnreachable(error)) throw error
      if (!isLinkFailure(error)) this.#onError(error)
      if (this.#preferred === address) this.next()
      return null
    }
  }
}

/** Whether another gate, or another time, may do better. */
function isUnreachable(error: unknown): boolean {
  if (error instanceof CircuitOpenError) return true
  if (!(error instanceof TransportError)) return HsError.is(error, 'DECODE_ERROR')
  return error.code !== 'MESSAGE_TOO_LARGE' && error.code !== 'INVALID_ARGUMENT' && error.code !== 'CLOSED'
}
