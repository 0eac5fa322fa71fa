/**
 * Tells the other managers what the leader knows: changes at once and then once a second at most, and every five
 * seconds the whole, by which a peer that missed something notices and asks for it. A peer that has not answered yet is
 * told nothing more: it catches up with the next whole.
 */
import type { OverloadState, Timer } from '@hs/core'
import type { DatacenterState } from './datacenter-state.js'
import { isLinkFailure } from './link-failure.js'
import type { NodeLife } from './node-life.js'
import type { LeaderRef } from './wire/fields.js'
import { managerState, stateCodec, type StateMessage } from './wire/manager-manager.js'
import { cut, type Part } from './wire/parts.js'

export interface StateBroadcastOptions {
  readonly life: NodeLife
  readonly state: DatacenterState
  readonly signal: AbortSignal
  self(): LeaderRef
  /** Addresses of the managers that are there now. */
  peers(): readonly string[]
  /** What a peer says of itself. */
  onAnswer(address: string, about: { readonly manager: string; readonly overload: OverloadState }): void
}

const BATCH_MS = 1_000
export const WHOLE_MS = 5_000

export class StateBroadcast {
  readonly #options: StateBroadcastOptions
  readonly #telling = new Set<string>()
  #timer: Timer | undefined
  #sentAt = -Infinity

  constructor(options: StateBroadcastOptions) {
    this.#options = options
  }

  /** There is something to tell. */
  wake(): void {
    const { life, signal } = this.#options
    if (this.#timer !== undefined || signal.aborted) return
    const { clock } = life.runtime
    const waitMs = Math.max(0, this.#sentAt + BATCH_MS - clock.now())
    this.#timer = clock.setTimer(waitMs, () => {
      this.#timer = undefined
      this.#flush()
    })
  }

  whole(): void {
    this.#toAll(this.#options.state.index())
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #flush(): void {
    const { life, state } = this.#options
    this.#sentAt = life.runtime.clock.now()
    const news = state.news(this.#sentAt)
    if (news !== null) this.#toAll(news)
  }

  #toAll(message: StateMessage): void {
    const idle = this.#options.peers().filter((peer) => !this.#telling.has(peer))
    if (idle.length === 0) return
    const parts = cut(stateCodec.encode(message))
    for (const peer of idle) this.#tell(peer, parts)
  }

  #tell(peer: string, parts: readonly Part[]): void {
    const { life, signal } = this.#options
    this.#telling.add(peer)
    this.#send(peer, parts)
      .catch((error: unknown) => {
        if (!signal.aborted && !isLinkFailure(error))
          life.reporter.report(`${life.label}.state`, error, { manager: peer })
      })
      .finally(() => this.#telling.delete(peer))
  }

  async #send(to: string, parts: readonly Part[]): Promise<void> {
    const { life, state } = this.#options
    const missing = await this.#ask(to, parts)
    if (missing.length > 0)
      await this.#ask(to, cut(stateCodec.encode(state.records(missing, life.runtime.clock.now()))))
  }

  /** Which jobs the peer needs whole. */
  async #ask(to: string, parts: readonly Part[]): Promise<readonly string[]> {
    const { life, self, signal, onAnswer } = this.#options
    let missing: readonly string[] = []
    for (const part of parts) {
      const answer = await life.peer.ask(to, managerState, { leader: self(), part }, { signal })
      if (!answer.ok) return []
      missing = answer.missing
      if (!signal.aborted) onAnswer(to, answer)
    }
    return missing
  }
}
