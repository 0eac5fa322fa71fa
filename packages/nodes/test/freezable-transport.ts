/** A transport whose node can be frozen as SIGSTOP freezes a process: it neither answers nor refuses, nor says anything. */
import type { RpcHandler, RpcTransport } from '@hs/core'

export class FreezableRpc implements RpcTransport {
  readonly #inner: RpcTransport
  #frozen = false
  #waiting: (() => void)[] = []

  constructor(inner: RpcTransport) {
    this.#inner = inner
  }

  get address(): string {
    return this.#inner.address
  }

  freeze(): void {
    this.#frozen = true
  }

  thaw(): void {
    this.#frozen = false
    for (const resume of this.#waiting.splice(0)) resume()
  }

  async request(...args: Parameters<RpcTransport['request']>): Promise<Uint8Array> {
    await this.#running()
    const answer = await this.#inner.request(...args)
    await this.#running()
    return answer
  }

  async notify(...args: Parameters<RpcTransport['notify']>): Promise<void> {
    await this.#running()
    return this.#inner.notify(...args)
  }

  handle(method: string, fn: RpcHandler): void {
    this.#inner.handle(method, async (body, from, call) => {
      await this.#running()
      return fn(body, from, call)
    })
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  async #running(): Promise<void> {
    while (this.#frozen) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}
