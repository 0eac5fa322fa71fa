/** A majority of those that seem to be alive: on both sides of a partition there is one. Mend: a majority of all. */

import type { NodeEnv } from '@hs/sim'
import { decode, encode, planted } from './planted.js'

const members = ['a', 'b', 'c']
const HEARTBEAT_MS = 100
const ALIVE_MS = 500
const GRANT_MS = 1_000
/** Less than a grant, and counted from before it was asked for. */
const REIGN_MS = 800

class Member {
  #primaryUntil = -Infinity
  readonly #env: NodeEnv
  readonly #ofAll: boolean
  readonly #heard = new Map<string, number>()
  #granted = { to: '', until: -Infinity }

  constructor(env: NodeEnv, ofAll: boolean) {
    this.#env = env
    this.#ofAll = ofAll
    const { clock, datagram, name, random, rpc } = env
    datagram.onMessage((from) => void this.#heard.set(from, clock.now()))
    rpc.handle('grant', (body) => encode(this.#grant(decode<string>(body))))
    const beat = () => {
      for (const peer of members) if (peer !== name) datagram.send(`${peer}:1`, Uint8Array.of(1))
      clock.setTimer(HEARTBEAT_MS, beat)
    }
    const run = () => {
      void this.#run()
      clock.setTimer(500 + random.int(1_000), run)
    }
    beat()
    clock.setTimer(1_000, run)
  }

  get isPrimary(): boolean {
    return this.#env.clock.now() < this.#primaryUntil
  }

  async #run(): Promise<void> {
    const { clock, name, rpc } = this.#env
    const began = clock.now()
    const alive = members.filter((peer) => peer !== name && this.#isAlive(`${peer}:1`))
    const needed = Math.floor((this.#ofAll ? members.length : alive.length + 1) / 2) + 1
    let grants = this.#grant(name) ? 1 : 0
    const ask = async (peer: string): Promise<void> => {
      const answer = rpc.request(`${peer}:1`, 'grant', encode(name), { timeoutMs: 200 })
      // One that does not answer has not granted.
      if (await answer.then(decode<boolean>, () => false)) grants++
    }
    await Promise.all(alive.map(ask))
    if (grants >= needed) this.#primaryUntil = Math.max(this.#primaryUntil, began + REIGN_MS)
  }

  #grant(candidate: string): boolean {
    const now = this.#env.clock.now()
    if (now < this.#granted.until && this.#granted.to !== candidate) return false
    this.#granted = { to: candidate, until: now + GRANT_MS }
    return true
  }

  #isAlive(peer: string): boolean {
    return this.#env.clock.now() - (this.#heard.get(peer) ?? -Infinity) < ALIVE_MS
  }
}

export const quorumOfTheLiving = planted('quorum of live members', ['partition'], (mended) => ({
  durationMs: 30_000,
  settleMs: 5_000,
  nemesis: { kinds: ['partition'] },
  mustReach: ['a primary'],
  setup(sim) {
    for (const name of members) sim.node(name, (env) => new Member(env, mended))
    sim.always('one primary', () => {
      const primaries = sim.apps<Member>().filter((member) => member.isPrimary).length
      sim.sometimes('a primary', primaries === 1)
      return primaries <= 1
    })
  },
}))
