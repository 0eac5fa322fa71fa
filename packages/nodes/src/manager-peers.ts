/** What the other managers of a datacenter tell this one, and ask of it: see `DatacenterState`. */
import { BoundedMap } from '@hs/core'
import type { DatacenterState } from './datacenter-state.js'
import type { NodeLife } from './node-life.js'
import type { RpcPeer } from './rpc-peer.js'
import { refuse } from './wire/fields.js'
import { managerState, managerSync, stateCodec } from './wire/manager-manager.js'
import type { RequestOf } from './wire/method.js'
import { cut, PartCollector, type Part } from './wire/parts.js'

/** Leaders, and new leaders, that are in the middle of a message. */
const MAX_TALKING = 8

export class ManagerPeers {
  readonly #life: NodeLife
  readonly #state: DatacenterState
  readonly #leads: () => boolean
  readonly #collecting: BoundedMap<string, PartCollector>
  readonly #answering: BoundedMap<string, readonly Part[]>

  constructor(life: NodeLife, state: DatacenterState, leads: () => boolean) {
    const { runtime, timing } = life
    const bounds = { ...runtime, maxEntries: MAX_TALKING, ttlMs: 10 * timing.rpcTimeoutMs }
    this.#life = life
    this.#state = state
    this.#leads = leads
    this.#collecting = new BoundedMap(bounds)
    this.#answering = new BoundedMap(bounds)
  }

  serve(peer: RpcPeer): void {
    peer.serve(managerState, (request) => this.#told(request))
    peer.serve(managerSync, (request) => this.#asked(request))
  }

  #told({ leader, part }: RequestOf<typeof managerState>) {
    if (this.#leads() && (this.#state.leader?.term ?? 0) >= leader.term) return this.#refuse()
    const collector = this.#collecting.get(leader.id) ?? new PartCollector()
    this.#collecting.set(leader.id, collector) // its time begins anew with every part
    const whole = collector.add(part)
    if (whole === null) return this.#taken([])
    this.#collecting.delete(leader.id)
    const verdict = this.#state.apply(stateCodec.decode(whole), leader, this.#life.runtime.clock.now())
    return verdict === 'stale' ? this.#refuse() : this.#taken(verdict.missing)
  }

  /** All parts are of one moment: the one in which the first was asked for. */
  #asked({ leader, cursor }: RequestOf<typeof managerSync>) {
    if (cursor === 0)
      this.#answering.set(leader.id, cut(stateCodec.encode(this.#state.all(this.#life.runtime.clock.now()))))
    const parts = this.#answering.get(leader.id)
    const part = parts?.[cursor]
    if (part === undefined) return refuse('NOT_READY', `${this.#life.id} has no part ${cursor}: begin with the first`)
    if (cursor + 1 === parts?.length) this.#answering.delete(leader.id)
    return { ok: true as const, part }
  }

  #taken(missing: readonly string[]) {
    const { id, load } = this.#life
    return { ok: true as const, missing: [...missing], manager: id, overload: load.state }
  }

  #refuse() {
    const { leader } = this.#state
    return refuse('NOT_LEADER', `${this.#life.id} has heard of a higher term`, leader === null ? {} : { leader })
  }
}
