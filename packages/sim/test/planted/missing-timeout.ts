/** A question sent as a datagram is waited for without end, though it may be lost. Mend: ask again after a while. */

import type { NodeEnv } from '@hs/sim'
import { planted } from './planted.js'

const ASK_AGAIN_MS = 500

class Client {
  answers = 0
  waitingSince: number | undefined

  constructor(env: NodeEnv, asksAgain: boolean) {
    env.datagram.onMessage(() => {
      if (this.waitingSince === undefined) return
      this.answers++
      this.waitingSince = undefined
      env.clock.setTimer(200, ask)
    })
    const ask = () => {
      this.waitingSince ??= env.clock.now()
      env.datagram.send('server:1', Uint8Array.of(1))
      const asked = this.answers
      if (asksAgain)
        env.clock.setTimer(ASK_AGAIN_MS, () => {
          if (this.waitingSince !== undefined && this.answers === asked) ask()
        })
    }
    ask()
  }
}

export const missingTimeout = planted('missing timeout', ['partition'], (mended) => ({
  durationMs: 30_000,
  settleMs: 5_000,
  nemesis: { kinds: ['partition'] },
  mustReach: ['ten answers'],
  setup(sim) {
    sim.node('server', ({ datagram }) => datagram.onMessage((from) => datagram.send(from, Uint8Array.of(2))))
    const client = sim.node('client', (env) => new Client(env, mended))
    sim.every(1_000, () => sim.sometimes('ten answers', (client.app?.answers ?? 0) >= 10))
    sim.eventually('the client gets its answers', () => {
      const { app, env } = client
      return app?.waitingSince === undefined || (env?.clock.now() ?? 0) - app.waitingSince < 1_000
    })
  },
}))
