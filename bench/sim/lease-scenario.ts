/** Three nodes of which at most one holds a lease: what the benches of campaigns run. It holds for every seed. */

import type { NodeEnv, Scenario } from '@hs/sim'

const members = ['a', 'b', 'c']
const GRANT_MS = 1_000
/** Less than a grant, and counted from before it was asked for. */
const HOLD_MS = 800
const ASK_EVERY_MS = 500

class LeaseNode {
  readonly #env: NodeEnv
  readonly #me: Uint8Array
  #heldUntil = -Infinity
  #grantedTo = ''
  #grantedUntil: number

  constructor(env: NodeEnv) {
    const { clock, name, random, rpc } = env
    this.#env = env
    this.#me = new TextEncoder().encode(name)
    // What an earlier life has granted is forgotten, so it must have run out.
    this.#grantedUntil = clock.now() + GRANT_MS
    rpc.handle('grant', (body) => Uint8Array.of(this.#grant(new TextDecoder().decode(body)) ? 1 : 0))
    const ask = () => {
      void this.#ask()
      clock.setTimer(ASK_EVERY_MS + random.int(ASK_EVERY_MS), ask)
    }
    clock.setTimer(GRANT_MS + random.int(ASK_EVERY_MS), ask)
  }

  get holds(): boolean {
    return this.#env.clock.now() < this.#heldUntil
  }

  async #ask(): Promise<void> {
    const { clock, name, rpc } = this.#env
    const began = clock.now()
    if (!this.#grant(name)) return
    const request = (peer: string) => rpc.request(`${peer}:1`, 'grant', this.#me, { timeoutMs: 200 })
    const peers = members.filter((peer) => peer !== name)
    const answers = await Promise.allSettled(peers.map(request))
    const grants = answers.filter((answer) => answer.status === 'fulfilled' && answer.value[0] === 1).length
    if (grants + 1 > members.length / 2) this.#heldUntil = began + HOLD_MS
  }

  #grant(candidate: string): boolean {
    const now = this.#env.clock.now()
    if (now < this.#grantedUntil && this.#grantedTo !== candidate) return false
    this.#grantedTo = candidate
    this.#grantedUntil = now + GRANT_MS
    return true
  }
}

const scenario: Scenario = {
  name: 'one lease holder',
  durationMs: 20_000,
  settleMs: 5_000,
  mustReach: ['someone holds it'],
  setup(sim) {
    for (const name of members) sim.node(name, (env) => new LeaseNode(env))
    const holders = () => sim.apps<LeaseNode>().filter((node) => node.holds).length
    sim.always('at most one holder', () => holders() <= 1)
    sim.every(1_000, () => sim.sometimes('someone holds it', holders() === 1))
  },
}

export default scenario
