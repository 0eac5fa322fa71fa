/**
 * A whole cluster on loopback UDP in a process of its own, so that its processor time is its own. Arguments:
 * contender, members, probe interval in ms, seconds of warming up, windows, seconds a window, seconds of quiet before the first.
 * Prints one line of JSON a window.
 */
import { createSocket, type Socket } from 'node:dgram'
import { setTimeout as wait } from 'node:timers/promises'
import { Cluster } from '@hs/swim'
import { TcpTransport, UdpTransport } from '@hs/transport'
import { npmSwimMember } from './npm-swim.js'

interface Running {
  /** Everyone sees everyone. */
  isTogether(): boolean
  /** Sent until now, where that is known. */
  packets(): number
  stop(): Promise<unknown>
}

type Start = (members: number, probeMs: number) => Promise<Running>

/** A small and hasty cluster runs first, so that code which runs for months is not measured while it is being compiled. */
const WARM_UP = { members: 20, probeMs: 50 }
const PING_BYTES = 50
const ACK_BYTES = 88
const TOGETHER_WITHIN_MS = 60_000

async function ours(members: number, probeMs: number): Promise<Running> {
  const all: Cluster[] = []
  const transports: (TcpTransport | UdpTransport)[] = []
  const seeds: string[] = []
  for (let i = 0; i < members; i++) {
    // Members compare views with another one each time: its connection is not worth keeping alive.
    const rpc = new TcpTransport({ listen: '127.0.0.1:0', idleTimeoutMs: 10_000 })
    const datagram = new UdpTransport()
    transports.push(rpc, datagram)
    await rpc.start()
    await datagram.start()
    if (i === 0) seeds.push(rpc.address)
    const name = `node-${i}`
    const cluster = new Cluster({
      name,
      datagram,
      rpc,
      seeds,
      probeIntervalMs: probeMs,
      probeTimeoutMs: probeMs / 2,
    })
    await cluster.start()
    all.push(cluster)
  }
  return {
    isTogether: () => all.every((cluster) => cluster.size === members),
    packets: () => all.reduce((sum, cluster) => sum + cluster.snapshot().counters.packetsOut, 0),
    stop: () => Promise.all([...all, ...transports].map((part) => part.stop())),
  }
}

async function peer(members: number, probeMs: number): Promise<Running> {
  const ports = await freePorts(members)
  const all: Awaited<ReturnType<typeof npmSwimMember>>[] = []
  for (const port of ports) all.push(await npmSwimMember(port, ports[0] ?? port, probeMs))
  return {
    isTogether: () => all.every((member) => member.known() === members - 1),
    packets: () => Number.NaN,
    stop: async () => all.forEach((member) => member.stop()),
  }
}

/** Each asks its neighbour once an interval and answers its other one: as many packets, as many bytes, nothing else. */
async function floor(members: number, probeMs: number): Promise<Running> {
  const ping = new Uint8Array(PING_BYTES)
  const ack = new Uint8Array(ACK_BYTES)
  let sent = 0
  const timers: NodeJS.Timeout[] = []
  const sockets: Socket[] = []
  for (let i = 0; i < members; i++) sockets.push(await boundSocket(0))
  for (const [i, socket] of sockets.entries()) {
    const port = sockets[(i + 1) % members]?.address().port
    socket.on('message', (bytes, from) => {
      if (bytes.length !== PING_BYTES) return
      sent++
      socket.send(ack, from.port, from.address)
    })
    const ask = () => {
      sent++
      socket.send(ping, port, '127.0.0.1')
    }
    // Not all at the same moment.
    timers.push(setTimeout(() => timers.push(setInterval(ask, probeMs)), (i * probeMs) / members))
  }
  return {
    isTogether: () => true,
    packets: () => sent,
    stop: async () => {
      timers.forEach((timer) => clearTimeout(timer))
      await Promise.all(sockets.map(closed))
    },
  }
}

/** Its look-up answers at once, as that of our transport. */
function boundSocket(port: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) })
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, '127.0.0.1', () => resolve(socket))
  })
}

const closed = (socket: Socket) => new Promise<void>((resolve) => socket.close(resolve))

async function freePorts(count: number): Promise<number[]> {
  const sockets: Socket[] = []
  for (let i = 0; i < count; i++) sockets.push(await boundSocket(0))
  const ports = sockets.map((socket) => socket.address().port)
  await Promise.all(sockets.map(closed))
  return ports
}

async function together(running: Running): Promise<void> {
  const deadline = performance.now() + TOGETHER_WITHIN_MS
  while (!running.isTogether()) {
    if (performance.now() > deadline) throw new Error('not all members see all after a minute: the machine is too busy')
    await wait(100)
  }
}

const [contender = '', ...numbers] = process.argv.slice(2)
const [members = 100, probeMs = 1_000, warmS = 8, windows = 5, windowS = 5, quietS = 10] = numbers.map(Number)
const contenders: Readonly<Record<string, Start>> = { ours, peer, floor }
const start = contenders[contender]
if (start === undefined) throw new Error(`no contender is called "${contender}"`)

const hasty = await start(WARM_UP.members, WARM_UP.probeMs)
await wait(warmS * 1_000)
await hasty.stop()

const running = await start(members, probeMs)
await together(running)
await wait(quietS * 1_000)
for (let i = 0; i < windows; i++) {
  const sent = running.packets()
  const cpu = process.cpuUsage()
  const begin = performance.now()
  await wait(windowS * 1_000)
  const { user, system } = process.cpuUsage(cpu)
  const memberSeconds = (members * (performance.now() - begin)) / 1_000
  const cpuMsPerMemberSecond = (user + system) / 1_000 / memberSeconds
  const packetsPerMemberSecond = (running.packets() - sent) / memberSeconds
  console.log(JSON.stringify({ cpuMsPerMemberSecond, packetsPerMemberSecond }))
}
// Its members need not say goodbye.
process.exit(0)
