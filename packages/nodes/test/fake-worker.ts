/** A worker by its messages alone: it says of itself whatever a test wants, and accepts every shard without running it. */
import type { RpcTransport } from '@hs/core'
import {
  shardAbort,
  shardRun,
  workerPing,
  workerRegister,
  workerReport,
  type WorkerHealth,
} from '../src/wire/manager-worker.js'
import { DC, type MemoryCluster } from './memory-cluster.js'

const cluster = 'default'
const well: WorkerHealth = { ready: true, capacity: 4, overload: 'healthy', assigned: 0, done: 0 }

export class FakeWorker {
  /** Keys of the shards that it was given. */
  readonly given: string[] = []
  readonly id: string
  readonly #cluster: MemoryCluster
  readonly #rpc: RpcTransport
  #version = 0
  #hangs = false

  constructor(memory: MemoryCluster, id: string) {
    this.id = id
    this.#cluster = memory
    this.#rpc = memory.network.rpc(`${id}:1`)
    this.#rpc.handle(workerPing.name, () =>
      this.#hangs
        ? new Promise<never>(() => undefined)
        : workerPing.answer.encode({ ok: true, workerId: id, incarnation: 1 }),
    )
    this.#rpc.handle(shardRun.name, (body) => {
      const { dispatches } = shardRun.request.decode(body)
      this.given.push(...dispatches.map(({ key }) => key))
      return shardRun.answer.encode({ ok: true, admissions: dispatches.map(() => 'run' as const) })
    })
    this.#rpc.handle(shardAbort.name, (body) => {
      const { aborts } = shardAbort.request.decode(body)
      return shardAbort.answer.encode({ ok: true, states: aborts.map(() => 'unknown' as const) })
    })
  }

  async register(workflows: string[], cores = 4): Promise<void> {
    const { id: workerId } = this
    const about = { workerId, incarnation: 1, address: `${workerId}:1`, datacenter: DC, cores, workflows }
    const request = { cluster, ...about, running: [], undelivered: [] }
    await this.#ask(workerRegister.name, workerRegister.request.encode(request))
  }

  async report(health: Partial<WorkerHealth>): Promise<void> {
    const about = { workerId: this.id, incarnation: 1, version: ++this.#version, health: { ...well, ...health } }
    const request = { cluster, ...about, running: [], progress: [], results: [], stats: [], stopping: false }
    await this.#ask(workerReport.name, workerReport.request.encode(request))
  }

  /** From now on it answers nobody. */
  hang(): void {
    this.#hangs = true
  }

  /** From now on it refuses. */
  close(): Promise<void> {
    return this.#rpc.close()
  }

  async #ask(method: string, body: Uint8Array): Promise<void> {
    await this.#cluster.run(this.#rpc.request('m1:1', method, body))
  }
}
