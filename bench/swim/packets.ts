/** What a packet costs a member that knows 100 or 1,000 others; the socket is a stub, for all alike. */
import { GOSSIP, PING } from '../../packages/swim/src/wire.js'
import type { Contender, Workload } from '../harness.js'
import { npmSwim } from './npm-swim.js'
import { Alone, packet, recordOf } from './stub-members.js'

const UPDATES = 6
const OURS = '@hs/swim'
const PEER = 'swim 0.6.0'

/** Six members from the i-th on. */
const around = (i: number, known: number) => Array.from({ length: UPDATES }, (_, k) => (i + k) % known)

async function pings(known: number, withUpdates: boolean): Promise<Workload> {
  const alone = new Alone()
  await alone.start(known)
  drain(alone)
  const packets = Array.from({ length: known }, (_, i) =>
    packet(i, PING, withUpdates ? around(i, known).map((k) => recordOf(k)) : []),
  )
  const contenders: Contender[] = [
    {
      name: OURS,
      ours: true,
      run: (n) => {
        for (let i = 0; i < n; i++) alone.deliver(i % known, packets[i % known] as Uint8Array)
        return alone.sentBytes
      },
    },
  ]
  const peer = await npmSwim(known)
  if (peer !== undefined) contenders.push({ name: PEER, run: withUpdates ? peer.pingsWithUpdates : peer.pings })
  return {
    name: `ping ${withUpdates ? 'with 6 known updates ' : ''}→ ack, ${known} members known`,
    contenders,
    ...(peer === undefined ? {} : { goals: [{ peer: PEER, ratio: 3 }] }),
  }
}

/** Sends what is queued until nothing is, so that only the packet at hand is measured. */
function drain(alone: Alone): void {
  const ping = packet(0, PING, [])
  while (alone.cluster.snapshot().queued > 0) alone.deliver(0, ping)
}

/** Six news a packet, while the queue holds nothing else, or a thousand items. */
async function news(): Promise<Workload> {
  const known = 1_000
  const make = async (queued: number): Promise<(n: number) => unknown> => {
    const alone = new Alone()
    await alone.start(known + 100)
    drain(alone)
    for (let i = 0; i < queued; i++) alone.deliver(i, packet(i, GOSSIP, [recordOf(i, 1)]))
    let incarnation = 2
    return (n) => {
      // Of a hundred members that are none of those queued: each new record drops the one before.
      for (let i = 0; i < n; i++) {
        const records = around(i * UPDATES, 100).map((k) => recordOf(known + k, incarnation))
        if ((i * UPDATES) % 100 > 100 - 2 * UPDATES) incarnation++
        alone.deliver(i % known, packet(i % known, GOSSIP, records))
      }
      return alone.cluster.snapshot().queued
    }
  }
  const full = await make(1_000)
  const empty = await make(0)
  return {
    name: 'gossip packet of 6 news (encoding it included)',
    contenders: [
      { name: 'queue of 1,000', ours: true, run: full },
      { name: 'empty queue', run: empty },
    ],
    goals: [{ peer: 'empty queue', ratio: 0.7 }],
  }
}

export const packetWorkloads = async (): Promise<Workload[]> => [
  await pings(100, false),
  await pings(1_000, false),
  await pings(100, true),
  await pings(1_000, true),
  await news(),
]
