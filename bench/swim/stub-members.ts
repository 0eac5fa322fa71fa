/** Members that are nothing but packets: what one real member of a large cluster sees of the others. */
import type { Clock, DatagramTransport, RpcTransport } from '@hs/core'
import { Cluster } from '@hs/swim'
import { encodeAlive, PacketWriter } from '../../packages/swim/src/packet-writer.js'
import { GOSSIP, labelOf, PING } from '../../packages/swim/src/wire.js'

const LABEL = labelOf('default')

export const addressOf = (i: number) => `10.0.${i >> 8}.${i & 255}:7946`
export const nameOf = (i: number) => `node-${i}`
const placeOf = (i: number) => ({ address: addressOf(i), rpcAddress: addressOf(i), role: 'member', meta: {} })
export const recordOf = (i: number, incarnation = 0) => encodeAlive(nameOf(i), 1, incarnation, placeOf(i))

/** The machine's time, without timers: what a packet costs, and nothing else. */
const still: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimer: () => ({ cancel: () => undefined }),
  sleep: () => new Promise(() => undefined),
}

export class Alone {
  readonly cluster: Cluster
  sentBytes = 0
  #deliver: (from: string, bytes: Uint8Array) => void = () => undefined

  constructor() {
    const datagram: DatagramTransport = {
      address: '10.9.9.9:7946',
      maxMessageBytes: 65_507,
      send: (_, bytes) => {
        this.sentBytes += bytes.length
      },
      onMessage: (fn) => {
        this.#deliver = fn
      },
      close: async () => undefined,
    }
    const rpc: RpcTransport = {
      address: '10.9.9.9:7946',
      request: () => new Promise(() => undefined),
      notify: async () => undefined,
      handle: () => undefined,
      close: async () => undefined,
    }
    this.cluster = new Cluster({
      name: 'alone',
      clock: still,
      datagram,
      rpc,
      maxMembers: 1_000_000,
      inboundPerSecond: 1_000_000,
      inboundBurst: 1_000_000,
    })
  }

  async start(known: number): Promise<void> {
    await this.cluster.start()
    for (let i = 0; i < known; i++) this.deliver(i, packet(i, GOSSIP, [recordOf(i)]))
  }

  deliver(from: number, bytes: Uint8Array): void {
    this.#deliver(addressOf(from), bytes)
  }
}

/** A packet of member `i`; a ping is for the member that is alone. */
export function packet(i: number, kind: typeof PING | typeof GOSSIP, records: readonly Uint8Array[]): Uint8Array {
  const writer = new PacketWriter(1_400, LABEL)
  writer.identify(nameOf(i), 1, 0, 0)
  writer.begin(kind)
  if (kind === PING) {
    writer.u32(i)
    writer.string('alone')
  }
  writer.records()
  for (const record of records) writer.item(record)
  writer.entries()
  return writer.finish().slice()
}
