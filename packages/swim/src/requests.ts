/**
 * Requests in flight. Each has a signal of its own: one signal for all would carry a listener for each of them, which
 * platforms take for a leak.
 */
import type { RpcTransport } from '@hs/core'

export interface RequestTerms {
  readonly timeoutMs: number
  /** Takes the request in while it is in flight, so that whoever holds it can end it. */
  readonly group?: Set<AbortController>
}

export class Requests {
  readonly #rpc: RpcTransport
  readonly #open = new Set<AbortController>()

  constructor(rpc: RpcTransport) {
    this.#rpc = rpc
  }

  send(to: string, method: string, body: Uint8Array, { timeoutMs, group }: RequestTerms): Promise<Uint8Array> {
    const controller = new AbortController()
    this.#open.add(controller)
    group?.add(controller)
    return this.#rpc.request(to, method, body, { timeoutMs, signal: controller.signal }).finally(() => {
      this.#open.delete(controller)
      group?.delete(controller)
    })
  }

  /** Ends them all. */
  abort(): void {
    for (const controller of [...this.#open]) controller.abort()
  }
}
