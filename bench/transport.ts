/**
 * `@hs/transport` against its peers, server and client in two processes on loopback: requests, datagrams, what urgent
 * calls wait for, and memory. Everyone takes turns within one run, and only ratios within it mean anything.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { datagramPeers, dialDatagrams } from './transport/datagrams.js'
import { dialGrpc } from './transport/grpc.js'
import { median, type EchoClient, type LoadResult } from './transport/load.js'
import { affordableConnections, measureGrowth, measureIdle } from './transport/memory.js'
import { dialNats, hasNatsServer } from './transport/nats.js'
import { OtherProcess } from './transport/other-process.js'
import { dialOurs } from './transport/ours.js'
import { measurePriority } from './transport/priority.js'
import { dialRaw } from './transport/raw-net.js'

interface Plan {
  readonly rounds: number
  readonly roundMs: number
  readonly warmUpMs: number
}

interface Goal {
  readonly text: string
  readonly reached: number
  readonly wanted: number
  readonly atMost?: boolean
}

interface Report {
  readonly workload: string
  readonly figures: readonly object[]
  readonly goals: readonly Goal[]
}

const { values: flags } = parseArgs({
  options: { smoke: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'string' } },
  strict: true,
})
const smoke = flags.smoke === true
const plan: Plan = smoke ? { rounds: 1, roundMs: 10, warmUpMs: 0 } : { rounds: 5, roundMs: 250, warmUpMs: 500 }

const RAW = 'raw node:net (limit)'
const OURS = '@hs/transport'
const GRPC = '@grpc/grpc-js'
const NATS = 'nats'

const other = new OtherProcess()
const reports: Report[] = []

interface EchoPeer {
  readonly name: string
  dial(): Promise<EchoClient>
}

const rpcPeers: EchoPeer[] = [
  { name: RAW, dial: async () => dialRaw(await other.ask('raw')) },
  { name: OURS, dial: async () => dialOurs(await other.ask('ours')) },
  { name: GRPC, dial: async () => dialGrpc(await other.ask('grpc')) },
]
if (hasNatsServer()) rpcPeers.push({ name: NATS, dial: async () => dialNats(await other.ask('nats')) })
else console.log('nats-server is not installed: NATS is left out')

const udpPeers: readonly EchoPeer[] = datagramPeers.map((name, index) => ({
  name,
  dial: async () => dialDatagrams(name, await other.ask('datagrams', String(index))),
}))

/** Everyone's figures: the median of the rounds, the contenders in turn. */
async function echoes(peers: readonly EchoPeer[], body: Uint8Array, concurrency: number) {
  const clients = new Map<string, EchoClient>()
  const rounds = new Map<string, LoadResult[]>()
  for (const { name, dial } of peers) {
    const client = await dial()
    clients.set(name, client)
    rounds.set(name, [])
    if (plan.warmUpMs > 0) await client.drive({ body, concurrency, durationMs: plan.warmUpMs })
  }
  for (let round = 0; round < plan.rounds; round++) {
    for (const [name, client] of clients) {
      rounds.get(name)?.push(await client.drive({ body, concurrency, durationMs: plan.roundMs }))
    }
  }
  for (const client of clients.values()) await client.close()
  return new Map(
    Array.from(rounds, ([name, results]) => [
      name,
      {
        name,
        perSecond: median(results.map((r) => r.perSecond)),
        p50Ms: median(results.map((r) => r.p50Ms)),
        p99Ms: median(results.map((r) => r.p99Ms)),
      },
    ]),
  )
}

type Figures = Awaited<ReturnType<typeof echoes>>

function faster(figures: Figures, ours: string, peer: string, wanted: number): Goal[] {
  const [a, b] = [figures.get(ours), figures.get(peer)]
  return a === undefined || b === undefined
    ? []
    : [{ text: `ours / ${peer}`, reached: a.perSecond / b.perSecond, wanted }]
}

function printEchoes(workload: string, figures: Figures, goals: readonly Goal[], ours: string): void {
  const own = figures.get(ours)?.perSecond ?? Number.NaN
  const table = new Table({
    head: [workload, 'per second', 'p50 ms', 'p99 ms', 'ours is'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  })
  for (const { name, perSecond, p50Ms, p99Ms } of figures.values()) {
    table.push([name, perSecond.toFixed(0), p50Ms.toFixed(3), p99Ms.toFixed(3), `${(own / perSecond).toFixed(2)}x`])
  }
  conclude(workload, [...figures.values()], goals, table)
}

function conclude(workload: string, figures: readonly object[], goals: readonly Goal[], table: { toString(): string }) {
  console.log(table.toString())
  for (const goal of smoke ? [] : goals) {
    const sign = goal.atMost === true ? '<=' : '>='
    const verdict = isReached(goal) ? 'reached' : 'MISSED'
    console.log(`  ${goal.text}: ${goal.reached.toFixed(2)}, goal ${sign} ${goal.wanted.toFixed(2)}: ${verdict}`)
  }
  reports.push({ workload, figures, goals })
}

function isReached({ reached, wanted, atMost }: Goal): boolean {
  return atMost === true ? reached <= wanted : reached >= wanted
}

function requests(bytes: number, concurrency: number): [string, () => Promise<void>] {
  const workload = `requests ${bytes} B x${concurrency}`
  const small = bytes === 128
  const toRaw = small ? (concurrency === 1 ? 0.7 : 0.35) : 0.85
  return [
    workload,
    async () => {
      const figures = await echoes(rpcPeers, Buffer.alloc(bytes, 7), concurrency)
      const goals = [
        ...faster(figures, OURS, RAW, toRaw),
        ...faster(figures, OURS, GRPC, small ? 12 : 3),
        ...faster(figures, OURS, NATS, small ? 4 : 1.4),
      ]
      if (concurrency === 64) {
        const p99Ms = figures.get(OURS)?.p99Ms ?? Number.NaN
        goals.push({
          text: 'p99 ms, below the p50 of grpc-js',
          reached: p99Ms,
          wanted: figures.get(GRPC)?.p50Ms ?? 0,
          atMost: true,
        })
      }
      printEchoes(workload, figures, goals, OURS)
    },
  ]
}

function datagrams(bytes: number): [string, () => Promise<void>] {
  const workload = `datagrams ${bytes} B x64`
  return [
    workload,
    async () => {
      const figures = await echoes(udpPeers, Buffer.alloc(bytes, 7), 64)
      printEchoes(workload, figures, faster(figures, 'UdpTransport', 'raw dgram', 0.85), 'UdpTransport')
    },
  ]
}

async function priority(): Promise<void> {
  const figures = await measurePriority(
    other,
    smoke
      ? { messages: 4, messageBytes: 65_536, unloadedMs: 10 }
      : { messages: 200, messageBytes: 262_144, unloadedMs: 500 },
  )
  const table = new Table({
    head: ['priority: critical calls', 'p99 ms unloaded', 'p99 ms loaded', 'p50 ms loaded', 'calls', 'load s'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  })
  for (const f of figures) {
    const ms = [f.unloadedP99Ms, f.loadedP99Ms, f.loadedP50Ms].map((value) => value.toFixed(2))
    table.push([f.name, ...ms, f.calls, (f.loadMs / 1_000).toFixed(1)])
  }
  const ours = figures.find(({ name }) => name === OURS)
  const goals =
    ours === undefined
      ? []
      : [{ text: 'p99 ms loaded', reached: ours.loadedP99Ms, wanted: 3 * ours.unloadedP99Ms + 5, atMost: true }]
  conclude('priority', figures, goals, table)
}

async function memory(): Promise<void> {
  const wanted = smoke ? 20 : 10_000
  const connections = affordableConnections(wanted)
  if (connections < wanted) console.log(`the limit of open files allows ${connections} connections of ${wanted}`)
  const idle = await measureIdle(connections)
  const growth = await measureGrowth(other, smoke ? 2_000 : 1_000_000)
  const table = new Table({
    head: ['memory', 'bytes of heap'],
    colAligns: ['left', 'right'],
    style: { head: [], border: [] },
  })
  for (const { name, bytesEach } of idle)
    table.push([`${name}: each of ${connections} idle connections`, bytesEach.toFixed(0)])
  table.push([`client, after ${growth.requests} requests`, growth.clientBytes])
  table.push([`server, after ${growth.requests} requests`, growth.serverBytes])
  const goals = [
    { text: 'KiB each idle connection', reached: (idle[0]?.bytesEach ?? 0) / 1_024, wanted: 4, atMost: true },
    { text: 'MB left at the client', reached: growth.clientBytes / 1e6, wanted: 1, atMost: true },
    { text: 'MB left at the server', reached: growth.serverBytes / 1e6, wanted: 1, atMost: true },
  ]
  conclude('memory', [...idle, growth], goals, table)
}

const workloads: [string, () => Promise<void>][] = [
  requests(128, 1),
  requests(128, 64),
  requests(128, 512),
  requests(16_384, 64),
  requests(16_384, 512),
  datagrams(200),
  datagrams(1_300),
  ['priority', priority],
  ['memory', memory],
]

const chosen = workloads.filter(([name]) => flags.only === undefined || name.includes(flags.only))
if (chosen.length === 0) throw new Error(`no workload has "${flags.only}" in its name`)
console.log(`transport: Node ${process.version}, ${plan.rounds} rounds of ${plan.roundMs} ms, contenders in turn`)
try {
  for (const [, run] of chosen) await run()
} finally {
  other.end()
}
if (flags.json !== undefined) {
  writeFileSync(flags.json, `${JSON.stringify({ title: 'transport', node: process.version, reports }, null, 2)}\n`)
}
if (!smoke) {
  const missed = reports.flatMap(({ goals }) => goals).filter((goal) => !isReached(goal)).length
  console.log(missed === 0 ? 'every goal reached' : `${missed} goal(s) missed`)
}
