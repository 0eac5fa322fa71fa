/** A member of a cluster as a process: `[name, listen, ...seeds]` on its command line, its view over IPC when asked. */

import process from 'node:process'
import { Cluster, presets } from '@hs/swim'
import { TcpTransport, UdpTransport } from '@hs/transport'

const [name = '', listen = '', ...seeds] = process.argv.slice(2)

const rpc = new TcpTransport({ listen })
await rpc.start()
const datagram = new UdpTransport({ bind: rpc.address })
await datagram.start()

const cluster = new Cluster({ ...presets.local, name, datagram, rpc, seeds, reconnectIntervalMs: 5_000 })
await cluster.start()

// The parent has gone: nobody wants this member any more.
process.once('disconnect', () => process.exit(0))
process.on('message', () => {
  const members = cluster.members().map((member) => `${member.name} ${member.status}`)
  process.send?.({ address: rpc.address, generation: cluster.local.generation, members: members.sort() })
})
process.send?.({ address: rpc.address, generation: cluster.local.generation, members: [] })
