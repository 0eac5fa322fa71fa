/**
 * One real member, the others stubs that answer its pings, agree with its view, and probe it once a period among them
 * all: the processor time of a second must not depend on how many they are.
 */
import { VirtualClock, SeededRandom } from '@hs/core/testing'
import { Cluster } from '@hs/swim'
import { PacketReader } from '../../packages/swim/src/packet-reader.js'
import { PacketWriter } from '../../packages/swim/src/packet-writer.js'
import { syncCodecs, ViewBuilder } from '../../packages/swim/src/sync-messages.js'
import { ACK, labelOf, PING } from '../../packages/swim/src/wire.js'
import { addressOf, nameOf, packet, recordOf } from './stub-members.js'

export interface Load {
  readonly members: number
  /** Median. */
  readonly cpuUsPerSecond: number
}

const LABEL = labelOf('default')
const BUCKETS = 64
const LATENCY_MS = 1

/** @param seconds of virtual time a round: of every size once around its probe ring at the least */
export async function constantLoad(sizes: readonly number[], rounds: number, seconds: number): Promise<Load[]> {
  const crowds: Crowd[] = []
  for (const size of sizes) crowds.push(await Crowd.of(size))
  const spent = sizes.map((): number[] => [])
  // Everyone has been spoken to before it counts.
  for (const crowd of crowds) await crowd.play(2 * seconds)
  for (let round = 0; round < rounds; round++) {
    for (const [i, crowd] of crowds.entries()) {
      globalThis.gc?.()
      const cpu = process.cpuUsage()
      await crowd.play(seconds)
      const { user, system } = process.cpuUsage(cpu)
      spent[i]?.push((user + system) / seconds)
    }
  }
  for (const crowd of crowds) await crowd.end()
  return sizes.map((members, i) => ({ members, cpuUsPerSecond: median(spent[i] ?? []) }))
}

class Crowd {
  readonly #clock = new VirtualClock()
  readonly #members: number
  readonly #cluster: Cluster
  readonly #reader = new PacketReader()
  readonly #writer = new PacketWriter(256, LABEL)
  readonly #places = new Map<string, number>()
  #deliver: (from: string, bytes: Uint8Array) => void = () => undefined
  #isJoining = true
  #next = 0

  static async of(size: number): Promise<Crowd> {
    const crowd = new Crowd(size - 1)
    await crowd.#clock.run(crowd.#cluster.join([addressOf(0)]))
    crowd.#isJoining = false
    if (crowd.#cluster.size !== size) throw new Error(`it knows ${crowd.#cluster.size} members of ${size}`)
    crowd.#probeIt()
    return crowd
  }

  private constructor(members: number) {
    this.#members = members
    for (let i = 0; i < members; i++) this.#places.set(addressOf(i), i)
    const address = '10.9.9.9:7946'
    this.#cluster = new Cluster({
      name: 'alone',
      clock: this.#clock,
      random: new SeededRandom(1),
      datagram: {
        address,
        maxMessageBytes: 65_507,
        send: (to, bytes) => this.#onSent(to, bytes),
        onMessage: (fn) => {
          this.#deliver = fn
        },
        close: async () => undefined,
      },
      rpc: {
        address,
        request: async (to) => this.#compare(this.#places.get(to) ?? 0),
        notify: async () => undefined,
        handle: () => undefined,
        close: async () => undefined,
      },
    })
  }

  play(seconds: number): Promise<void> {
    return this.#clock.advanceAsync(seconds * 1_000)
  }

  async end(): Promise<void> {
    const { probeFailures, rateLimited } = this.#cluster.snapshot().counters
    if (probeFailures + rateLimited > 0) throw new Error('a member that answered was not heard')
    await this.#cluster.stop()
  }

  /** As often as each of them meets it, once in as many periods as they are. */
  #probeIt(): void {
    this.#clock.setTimer(1_000, () => {
      const i = this.#next++ % this.#members
      this.#deliver(addressOf(i), packet(i, PING, []))
      this.#probeIt()
    })
  }

  #onSent(to: string, bytes: Uint8Array): void {
    if (bytes[1] !== PING || this.#reader.open(bytes, LABEL) !== 'ok') return
    const { sequence } = this.#reader
    this.#clock.setTimer(LATENCY_MS, () => this.#deliver(to, this.#ack(this.#places.get(to) ?? 0, sequence)))
  }

  #ack(i: number, sequence: number): Uint8Array {
    const writer = this.#writer
    writer.identify(nameOf(i), 1, 0, 0)
    writer.begin(ACK)
    writer.u32(sequence)
    writer.u8(0)
    writer.records()
    writer.entries()
    const coordinate = { vec: [1, 2, 3, 4, 5, 6, 7, 8], heightMs: 1, adjustmentMs: 0, error: 0.1, samples: 100 }
    return writer.finishWithCoordinate(coordinate).slice()
  }

  /** Who joins hears of everyone; later the views are equal. */
  #compare(i: number): Uint8Array {
    const self = new ViewBuilder()
    self.add(recordOf(i), 0, [])
    const others = new ViewBuilder()
    for (let k = 0; this.#isJoining && k < this.#members; k++) others.add(recordOf(k), 0, [])
    const buckets = this.#isJoining ? Array.from({ length: BUCKETS }, (_, bucket) => bucket) : []
    return syncCodecs().answer.encode({ self: self.toBytes(), buckets, records: others.toBytes() })
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}
