/** Heap a known member: of members that only an answer to a join brought, and of members that were spoken to. */
import { MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import { Cluster } from '@hs/swim'
import { PacketReader } from '../../packages/swim/src/packet-reader.js'
import { PacketWriter } from '../../packages/swim/src/packet-writer.js'
import { ACK, GOSSIP, labelOf, PING } from '../../packages/swim/src/wire.js'
import { addressOf, nameOf, packet, recordOf } from './stub-members.js'

const LABEL = labelOf('default')
const JOINERS = 10

export interface Memory {
  readonly members: number
  readonly bytesKnown: number
  readonly bytesContacted: number
  /** Requests and answers of one comparison of equal views. */
  readonly syncBytes: number
}

export async function memoryPerMember(members: number): Promise<Memory> {
  const collect = globalThis.gc
  if (collect === undefined) throw new Error('run with --expose-gc')
  const clock = new VirtualClock()
  const net = new MemoryNetwork({ clock, latencyMs: 1 })
  const dice = new SeededRandom(1)
  let syncBytes = 0
  const make = (name: string) => {
    const rpc = net.rpc(`${name}:1`)
    return new Cluster({
      name,
      clock,
      random: dice.fork(name),
      datagram: net.datagram(`${name}:1`),
      rpc: {
        address: rpc.address,
        request: async (to, method, body, options) => {
          const answer = await rpc.request(to, method, body, options)
          syncBytes += body.length + answer.length
          return answer
        },
        notify: (to, method, body) => rpc.notify(to, method, body),
        handle: (method, fn) => rpc.handle(method, fn),
        close: () => rpc.close(),
      },
      inboundPerSecond: 1_000_000,
      inboundBurst: 1_000_000,
    })
  }
  answerPings(net, members)
  const seed = make('seed')
  await seed.start()
  const teller = net.datagram('teller:1')
  for (let i = 0; i < members; i++) teller.send('seed:1', packet(i, GOSSIP, [recordOf(i)]))
  await clock.advanceAsync(2)
  const joiners = Array.from({ length: JOINERS }, (_, i) => make(`joiner-${i}`))
  for (const joiner of joiners) await joiner.start()
  const heap = () => {
    collect()
    collect()
    return process.memoryUsage().heapUsed + process.memoryUsage().external
  }

  const empty = heap()
  for (const joiner of joiners) await clock.run(joiner.join(['seed:1']))
  const known = heap() - empty
  // The first time brings what joined meanwhile.
  for (let i = 0; i < 2; i++) {
    await clock.advanceAsync(10)
    syncBytes = 0
    await clock.run((joiners[0] as Cluster).join(['seed:1']))
  }
  const compared = syncBytes

  // Everyone is probed by everyone within two rounds.
  const late = members * 2 * 1_000 * 1.1
  await clock.advanceAsync(late)
  const contacted = heap() - empty
  for (const cluster of [seed, ...joiners]) await cluster.stop()
  const per = JOINERS * members
  return { members, bytesKnown: known / per, bytesContacted: contacted / per, syncBytes: compared }
}

/** The members answer, and do nothing else. */
function answerPings(net: MemoryNetwork, members: number): void {
  const reader = new PacketReader()
  const writer = new PacketWriter(256, LABEL)
  for (let i = 0; i < members; i++) {
    const socket = net.datagram(addressOf(i))
    socket.onMessage((from, bytes) => {
      if (reader.open(bytes, LABEL) !== 'ok' || reader.kind !== PING) return
      writer.identify(nameOf(i), 1, 0, 0)
      writer.begin(ACK)
      writer.u32(reader.sequence)
      writer.u8(0)
      writer.records()
      writer.entries()
      const coordinate = { vec: [1, 2, 3, 4, 5, 6, 7, 8], heightMs: 1, adjustmentMs: 0, error: 0.1, samples: 100 }
      socket.send(from, writer.finishWithCoordinate(coordinate))
    })
  }
}
