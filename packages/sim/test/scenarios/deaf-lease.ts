import type { NodeEnv, Scenario } from '@hs/sim'

const names = ['a', 'b', 'c'] as const

/** Takes the lease every second and lets go when it hears of another: so a node that cannot hear keeps it. */
class DeafLease {
  holds = false

  constructor(env: NodeEnv) {
    env.datagram.onMessage(() => {
      this.holds = false
    })
    const tick = () => {
      this.holds = true
      for (const peer of names) if (peer !== env.name) env.datagram.send(`${peer}:1`, Uint8Array.of(1))
      env.clock.setTimer(1_000, tick)
    }
    env.clock.setTimer(env.random.int(1_000), tick)
  }
}

/** Fails for most seeds: a test imports it, and `hs-sim` runs it as a file. */
const scenario: Scenario = {
  name: 'deaf lease',
  durationMs: 30_000,
  settleMs: 5_000,
  nemesis: { kinds: ['partition', 'pause'] },
  mustReach: ['nobody holds it'],
  setup(sim) {
    const leases = () => sim.apps<DeafLease>()
    for (const name of names) sim.node(name, (env) => new DeafLease(env))
    sim.always('at most two hold it', () => leases().filter((lease) => lease.holds).length <= 2)
    sim.every(100, () => sim.sometimes('nobody holds it', !leases().some((lease) => lease.holds)))
  },
}

export default scenario
