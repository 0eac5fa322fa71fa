/** A request whose answer is late is sent again, and done again. Mend: it carries a key, and the server remembers. */

import { HsError } from '@hs/core'
import type { NodeEnv } from '@hs/sim'
import { decode, encode, planted } from './planted.js'

class Account {
  readonly bookings = new Map<number, number>()
  readonly #answered = new Set<number>()

  constructor({ rpc }: NodeEnv, remembers: boolean) {
    rpc.handle('book', (body) => {
      const key = decode<number>(body)
      if (remembers && this.#answered.has(key)) return encode('done before')
      this.#answered.add(key)
      this.bookings.set(key, (this.bookings.get(key) ?? 0) + 1)
      return encode('done')
    })
  }

  get doubled(): boolean {
    return Math.max(0, ...this.bookings.values()) > 1
  }
}

async function book({ clock, rpc }: NodeEnv): Promise<never> {
  for (let key = 1; ; key++) {
    while (!(await tryBook(rpc, key))) await clock.sleep(50)
    await clock.sleep(200)
  }
}

async function tryBook(rpc: NodeEnv['rpc'], key: number): Promise<boolean> {
  try {
    await rpc.request('account:1', 'book', encode(key), { timeoutMs: 300 })
    return true
  } catch (error) {
    if (HsError.is(error, 'DEADLINE_EXCEEDED')) return false
    throw error
  }
}

export const retryWithoutKey = planted('retry without idempotency key', ['clog'], (mended) => ({
  durationMs: 30_000,
  settleMs: 5_000,
  nemesis: { kinds: ['clog'] },
  mustReach: ['a booking'],
  setup(sim) {
    const account = sim.node('account', (env) => new Account(env, mended))
    sim.node('client', (env) => void book(env))
    sim.always('every booking once', () => account.app?.doubled !== true)
    sim.every(1_000, () => sim.sometimes('a booking', (account.app?.bookings.size ?? 0) > 0))
  },
}))
