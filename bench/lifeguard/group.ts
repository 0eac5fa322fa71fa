/** A group of members on virtual time, each behind a gate. */
import type { Logger } from '@hs/core'
import { MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import { Cluster, type ClusterOptions } from '@hs/swim'
import { Gate, gatedDatagram, gatedRpc, type Traffic } from './gate.js'

export const seedAddresses = ['n0:1', 'n1:1', 'n2:1']

/** Held members make seeds unreachable, which is no news here. */
const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (message, fields) => console.error(message, fields),
  child: () => quiet,
}

export class Group {
  readonly clock = new VirtualClock()
  readonly dice: SeededRandom
  readonly gates: readonly Gate[]
  readonly members: Cluster[] = []
  readonly traffic: Traffic = { messages: 0, bytes: 0 }
  readonly #options: Partial<ClusterOptions>
  readonly #transports: readonly Pick<ClusterOptions, 'datagram' | 'rpc'>[]
  #lives = 0

  constructor(size: number, seed: number, options: Partial<ClusterOptions>) {
    this.dice = new SeededRandom(seed)
    this.#options = options
    const network = new MemoryNetwork({ clock: this.clock, latencyMs: 1, logger: quiet })
    this.gates = Array.from({ length: size }, () => new Gate())
    this.#transports = this.gates.map((gate, i) => ({
      datagram: gatedDatagram(network.datagram(`n${i}:1`), gate, this.traffic),
      rpc: gatedRpc(network.rpc(`n${i}:1`), gate, this.traffic, this.clock),
    }))
  }

  /** All start at once; throws unless they know each other after `quietMs`. */
  async start(quietMs: number): Promise<void> {
    for (let i = 0; i < this.gates.length; i++) await this.boot(i)
    await this.clock.advanceAsync(quietMs)
    const { size } = this
    const lost = this.members.find((member) => member.size !== size)
    if (lost !== undefined) throw new Error(`${lost.local.name} knows ${lost.size} of ${size} after ${quietMs} ms`)
  }

  get size(): number {
    return this.gates.length
  }

  /** A new process in place of member `i`. */
  async boot(i: number): Promise<Cluster> {
    const transports = this.#transports[i]
    if (transports === undefined) throw new Error(`There is no member ${i}`)
    const member = new Cluster({
      ...this.#options,
      ...transports,
      name: `n${i}`,
      clock: this.clock,
      random: this.dice.fork(`n${i}/${this.#lives++}`),
      logger: quiet,
      seeds: seedAddresses,
      historySize: 0,
    })
    this.members[i] = member
    await member.start()
    return member
  }

  /** So many of them, drawn from the seed. */
  draw(count: number): number[] {
    const order = this.dice.fork('drawn').shuffle(this.members.map((_, i) => i))
    return order.slice(0, count)
  }

  async stop(): Promise<void> {
    for (const member of this.members) await member.stop()
  }
}

/** The number of a member. */
export const numberOf = (name: string) => Number(name.slice(1))
