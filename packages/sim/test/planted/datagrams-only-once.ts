/** Every arrival is counted, also that of a copy. Mend: each number counts once. */

import type { NodeEnv } from '@hs/sim'
import { decode, encode, planted } from './planted.js'

class Till {
  readonly #seen = new Set<number>()
  takings = 0
  twice = 0

  constructor({ datagram }: NodeEnv, remembers: boolean) {
    datagram.onMessage((_from, bytes) => {
      const number = decode<number>(bytes)
      if (this.#seen.has(number)) {
        if (remembers) return
        this.twice = number
      }
      this.#seen.add(number)
      this.takings++
    })
  }
}

export const datagramsOnlyOnce = planted('datagrams taken to come once', ['link'], (mended) => ({
  durationMs: 20_000,
  settleMs: 1_000,
  nemesis: { kinds: ['link', 'clog'] },
  mustReach: ['ten takings'],
  setup(sim) {
    const till = sim.node('till', (env) => new Till(env, mended))
    sim.node('customer', ({ clock, datagram }) => {
      let number = 0
      const pay = () => {
        datagram.send('till:1', encode(++number))
        clock.setTimer(100, pay)
      }
      pay()
    })
    sim.always('nobody pays twice', () => till.app === undefined || till.app.twice === 0 || `payment ${till.app.twice}`)
    sim.every(1_000, () => sim.sometimes('ten takings', (till.app?.takings ?? 0) >= 10))
  },
}))
