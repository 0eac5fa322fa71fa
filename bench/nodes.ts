/**
 * The runtime as a whole on loopback, everything in one process: a gate, a manager, a worker with 64 cores, a client.
 *
 *   node --expose-gc --import tsx bench/nodes.ts [--smoke] [--only text] [--json file]
 */

import { Client, Gate, Manager, Worker, defineWorkflow, type JobStep } from '@hs/nodes'
import { TcpTransport } from '@hs/transport'
import { runBench, type Workload } from './harness.js'

const JOB = 10_000
const INPUT = new Uint8Array(100)
const HOPS = 4
/** Jobs before the first that is measured: what is compiled late must be compiled. */
const WARM_UP = 500

const noop = defineWorkflow({ name: 'noop', run: () => undefined })

let enteredAt = 0
const enter = defineWorkflow({
  name: 'enter',
  run: () => {
    enteredAt = performance.now()
  },
})

class Cluster {
  readonly #nodes: { stop(): Promise<void> }[] = []
  #client: Client | undefined

  get client(): Client {
    if (this.#client === undefined) throw new Error('the cluster is not started')
    return this.#client
  }

  async start(): Promise<void> {
    const manager = new Manager({ id: 'm1', datacenter: 'eu', retain: { completedMs: 0 } })
    await manager.start()
    const managers = [manager.address]
    const worker = new Worker({ id: 'w1', datacenter: 'eu', managers, workflows: [noop, enter], cores: 64 })
    await worker.start()
    const gate = new Gate({ id: 'g1', datacenters: { eu: managers }, retain: { completedMs: 0 } })
    await gate.start()
    await Promise.all([worker.ready(), gate.ready()])
    this.#client = new Client({ gates: [gate.address] })
    this.#nodes.push(this.#client, gate, worker, manager)
  }

  async stop(): Promise<void> {
    for (const node of this.#nodes.splice(0)) await node.stop()
  }

  /** `n` jobs of 10,000 workflows, one after the other. */
  async run(n: number): Promise<number> {
    let completed = 0
    for (let i = 0; i < n; i++) {
      const workflows: JobStep[] = Array.from({ length: JOB }, (_, step) => ({
        workflow: noop,
        id: `s${step}`,
        input: INPUT,
      }))
      const { accounting } = await (await this.client.submit({ workflows })).result()
      if (accounting.completed !== JOB || accounting.executions !== JOB)
        throw new Error(`not all was done, once: ${JSON.stringify(accounting)}`)
      completed += accounting.completed
    }
    return completed
  }
}

const cluster = new Cluster()
const latency = new Cluster()
/** Milliseconds of each round trip. */
const toEntry: number[] = []
const toAnswer: number[] = []
let server: TcpTransport | undefined
let dialer: TcpTransport | undefined

const workloads: Workload[] = [
  {
    name: 'jobs of 10,000 no-op workflows, submit to result',
    contenders: [
      {
        name: '@hs/nodes, one gate',
        ours: true,
        setup: () => cluster.start(),
        run: (n) => cluster.run(n),
        teardown: () => cluster.stop(),
      },
    ],
  },
  {
    name: `one workflow, submit to result, beside ${HOPS} requests of the transport`,
    contenders: [
      {
        name: '@hs/nodes',
        ours: true,
        setup: async () => {
          await latency.start()
          for (let i = 0; i < WARM_UP; i++) await enterOnce()
        },
        run: async (n) => {
          for (let i = 0; i < n; i++) toEntry.push(await enterOnce())
        },
        teardown: () => latency.stop(),
      },
      {
        name: `${HOPS} requests of TcpTransport`,
        setup: async () => {
          server = new TcpTransport({ listen: '127.0.0.1:0' })
          server.handle('echo', (body) => body)
          await server.start()
          dialer = new TcpTransport()
        },
        run: async (n) => {
          for (let i = 0; i < n; i++) {
            const startedAt = performance.now()
            for (let hop = 0; hop < HOPS; hop++) await dialer?.request(server?.address ?? '', 'echo', INPUT)
            toAnswer.push(performance.now() - startedAt)
          }
        },
        teardown: async () => {
          await dialer?.stop()
          await server?.stop()
        },
      },
    ],
  },
]

/** Milliseconds from the submission to the first line of `run`. */
async function enterOnce(): Promise<number> {
  const startedAt = performance.now()
  const job = await latency.client.submit({ workflows: [{ workflow: enter }] })
  await job.result()
  return enteredAt - startedAt
}

function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.floor(q * (sorted.length - 1))] ?? Number.NaN
}

await runBench('nodes', workloads)

if (toEntry.length > 0) {
  const [ours, hops] = [quantile(toEntry, 0.5), quantile(toAnswer, 0.5)]
  const p99 = quantile(toEntry, 0.99)
  console.log(
    `submit to run entered: p50 ${(ours / hops).toFixed(2)} x ${HOPS} requests, goal at most 2; p99 ${p99.toFixed(1)} ms, goal 15`,
  )
}
