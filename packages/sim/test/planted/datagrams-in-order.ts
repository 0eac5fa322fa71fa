/** What arrives last is taken for the newest. Mend: the number in the message decides. */

import type { NodeEnv } from '@hs/sim'
import { decode, encode, planted } from './planted.js'

class Mirror {
  version = 0
  wentBack = false

  constructor({ datagram }: NodeEnv, compares: boolean) {
    datagram.onMessage((_from, bytes) => {
      const version = decode<number>(bytes)
      if (compares && version <= this.version) return
      if (version < this.version) this.wentBack = true
      this.version = version
    })
  }
}

export const datagramsInOrder = planted('datagrams taken to come in order', ['link'], (mended) => ({
  durationMs: 20_000,
  settleMs: 1_000,
  // Without faults a copy takes a few milliseconds: the next one never overtakes it.
  nemesis: { kinds: ['link', 'partition'] },
  mustReach: ['ten versions'],
  setup(sim) {
    const mirror = sim.node('mirror', (env) => new Mirror(env, mended))
    sim.node('source', ({ clock, datagram }) => {
      let version = 0
      const publish = () => {
        datagram.send('mirror:1', encode(++version))
        clock.setTimer(100, publish)
      }
      publish()
    })
    sim.always('the mirror never goes back', () => mirror.app?.wentBack !== true)
    sim.every(1_000, () => sim.sometimes('ten versions', (mirror.app?.version ?? 0) >= 10))
  },
}))
