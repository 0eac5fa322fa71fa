/** A holder that was asleep while its lease ran out writes after the next holder has. Mend: the store compares tokens. */

import type { NodeEnv } from '@hs/sim'
import { decode, encode, planted } from './planted.js'

const LEASE_MS = 1_000
const WRITES = 9
const WRITE_EVERY_MS = 100

/** Grants the lease and keeps what its holders write. */
class Lock {
  latest = 0
  overwritten = false
  #granted = 0
  #until = -Infinity

  constructor({ clock, rpc }: NodeEnv, compares: boolean) {
    rpc.handle('acquire', () => {
      if (clock.now() < this.#until) return encode(null)
      this.#until = clock.now() + LEASE_MS
      return encode(++this.#granted)
    })
    rpc.handle('write', (body) => {
      const token = decode<number>(body)
      if (token < this.latest && compares) return encode(false)
      if (token < this.latest) this.overwritten = true
      this.latest = token
      return encode(true)
    })
  }
}

async function work({ clock, random, rpc }: NodeEnv): Promise<never> {
  for (;;) {
    await clock.sleep(random.int(100))
    const token = decode<number | null>(await rpc.request('lock:1', 'acquire', new Uint8Array()))
    for (let i = 0; i < WRITES && token !== null; i++) {
      await rpc.request('lock:1', 'write', encode(token))
      await clock.sleep(WRITE_EVERY_MS)
    }
  }
}

export const leaseWithoutFencing = planted('lease without fencing', ['pause'], (mended) => ({
  durationMs: 30_000,
  settleMs: 1_000,
  nemesis: { kinds: ['pause'] },
  mustReach: ['a second holder'],
  setup(sim) {
    const lock = sim.node('lock', (env) => new Lock(env, mended))
    for (const name of ['a', 'b']) sim.node(name, (env) => void work(env))
    sim.always('no write of an old holder after one of a newer', () => lock.app?.overwritten !== true)
    sim.every(1_000, () => sim.sometimes('a second holder', (lock.app?.latest ?? 0) > 1))
  },
}))
