/**
 * A counter is read, and written after an await in which another request has counted. It takes no fault, only two
 * requests at a time. Mend: count after the await, in one step.
 */

import type { NodeEnv } from '@hs/sim'
import { planted } from './planted.js'

class Counter {
  count = 0
  asked = 0
  answered = 0

  constructor({ disk, rpc }: NodeEnv, inOneStep: boolean) {
    rpc.handle('count', async () => {
      this.asked++
      const before = this.count
      await disk.list()
      this.count = (inOneStep ? this.count : before) + 1
      this.answered++
      return new Uint8Array()
    })
  }
}

export const readModifyWrite = planted('read, await, write', [], (mended) => ({
  durationMs: 20_000,
  settleMs: 1_000,
  options: { disk: { latency: 1 } },
  nemesis: { kinds: ['pause', 'clog'] },
  mustReach: ['two requests at a time'],
  setup(sim) {
    const counter = sim.node('counter', (env) => new Counter(env, mended))
    const clients = ['a', 'b'].map((name) => sim.node(name, (env) => env.rpc))
    sim.every(500, () => {
      for (const client of clients)
        if (client.state === 'up') client.call((rpc) => void rpc.request('counter:1', 'count', new Uint8Array()))
    })
    sim.always('every request counts', () => {
      const { count, asked, answered } = counter.app ?? { count: 0, asked: 0, answered: 0 }
      sim.sometimes('two requests at a time', asked - answered > 1)
      return count === answered || `${count} of ${answered}`
    })
  },
}))
