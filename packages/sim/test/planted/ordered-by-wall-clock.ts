/** The last writer is told by the wall clocks of different machines. Mend: by a version that the store counts. */

import type { NodeEnv } from '@hs/sim'
import { decode, encode, planted } from './planted.js'

interface Put {
  readonly value: number
  readonly at: number
}

class Register {
  value = 0
  #at = 0

  constructor({ rpc }: NodeEnv) {
    rpc.handle('version', () => encode(this.#at))
    rpc.handle('put', (body) => {
      const { value, at } = decode<Put>(body)
      if (at > this.#at) {
        this.#at = at
        this.value = value
      }
      return encode(this.value)
    })
  }
}

async function put({ clock, rpc }: NodeEnv, value: number, counts: boolean): Promise<number> {
  const version = counts ? decode<number>(await rpc.request('register:1', 'version', new Uint8Array())) : 0
  const at = counts ? version + 1 : clock.wallNow()
  return decode<number>(await rpc.request('register:1', 'put', encode({ value, at })))
}

export const orderedByWallClock = planted('ordering by wall clock', ['clock'], (mended) => ({
  durationMs: 30_000,
  settleMs: 1_000,
  nemesis: { kinds: ['clock'] },
  mustReach: ['a write'],
  setup(sim) {
    let lost = 0
    sim.node('register', (env) => new Register(env))
    const writers = ['a', 'b'].map((name) => sim.node(name, (env) => env))
    let value = 0
    // One write after the other: there is nothing to argue about.
    sim.every(500, () => {
      const written = ++value
      void writers[written % 2]?.call((env) =>
        put(env, written, mended).then((stored) => {
          sim.sometimes('a write')
          if (stored !== written) lost = written
        }),
      )
    })
    sim.always('the last write is the one that is kept', () => lost === 0 || `write ${lost} is lost`)
  },
}))
