/**
 * A consumer that finds nothing to do notes that down before it waits; what comes in between wakes nobody. It takes no
 * fault, only the right moment. Mend: look again, and wait in the same step.
 */

import type { NodeEnv } from '@hs/sim'
import { planted } from './planted.js'

class Consumer {
  readonly waiting: number[] = []
  #wake: () => void = () => {}

  constructor(env: NodeEnv, looksAgain: boolean) {
    env.datagram.onMessage(() => {
      this.waiting.push(env.clock.now())
      this.#wake()
    })
    void this.#run(env, looksAgain)
  }

  async #run({ disk }: NodeEnv, looksAgain: boolean): Promise<never> {
    for (;;) {
      while (this.waiting.shift() !== undefined) await disk.list()
      await disk.list()
      if (looksAgain && this.waiting.length > 0) continue
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

export const lostWakeUp = planted('lost wake-up', [], (mended) => ({
  durationMs: 20_000,
  settleMs: 1_000,
  options: { disk: { latency: 1 } },
  mustReach: ['work'],
  nemesis: { kinds: ['pause', 'link'] },
  setup(sim) {
    const consumer = sim.node('consumer', (env) => new Consumer(env, mended))
    const producer = sim.node('producer', (env) => env.datagram)
    const random = sim.random.fork('producer')
    sim.every(1_000, () => {
      if (producer.state !== 'up') return
      producer.call((datagram) => datagram.send('consumer:1', Uint8Array.of(1)))
      if (random.int(2) === 1) producer.call((datagram) => datagram.send('consumer:1', Uint8Array.of(2)))
    })
    sim.always('nothing waits for half a second', () => {
      const { app, env, state } = consumer
      // What waits while the process sleeps is not its fault.
      if (app === undefined || env === null || state !== 'up') return true
      const [oldest] = app.waiting
      sim.sometimes('work', oldest !== undefined)
      return oldest === undefined || env.clock.now() - oldest < 500 || sim.now - lastPauseEnd < 500
    })
    let lastPauseEnd = -Infinity
    sim.every(10, () => {
      if (consumer.state === 'paused') lastPauseEnd = sim.now
    })
  },
}))
