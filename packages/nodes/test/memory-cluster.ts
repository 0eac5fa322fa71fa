/** A whole cluster on a virtual clock and a network in memory: the same seed, the same history. */
import type { RuntimeOptions } from '@hs/core'
import { MemoryLogger, MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import {
  Client,
  Gate,
  Manager,
  Worker,
  type ClientOptions,
  type GateOptions,
  type JobHandle,
  type JobResult,
  type ManagerOptions,
  type RetainOptions,
  type WorkerOptions,
  type WorkflowDefinition,
} from '../src/index.js'

export const DC = 'eu'

export interface ClusterOptions {
  workflows: readonly WorkflowDefinition[]
  workers?: number
  cores?: number
  seed?: number
  latencyMs?: number
  /** Of the gate and the manager. */
  retain?: RetainOptions
}

export class MemoryCluster {
  readonly clock = new VirtualClock()
  readonly logger = new MemoryLogger()
  readonly random: SeededRandom
  readonly network: MemoryNetwork
  readonly workers = new Map<string, Worker>()
  /** In order of starting. */
  readonly managers: Manager[] = []
  readonly gates: Gate[] = []
  readonly #workflows: readonly WorkflowDefinition[]
  readonly #cores: number
  readonly #nodes = new Set<{ stop(): Promise<void> }>()
  #lives = 0

  constructor({ workflows, cores = 4, seed = 1, latencyMs = 1 }: ClusterOptions) {
    this.#workflows = workflows
    this.#cores = cores
    this.random = new SeededRandom(seed)
    this.network = new MemoryNetwork({ clock: this.clock, latencyMs, logger: this.logger })
  }

  static async start(options: ClusterOptions): Promise<MemoryCluster> {
    const cluster = new MemoryCluster(options)
    const retain = options.retain === undefined ? {} : { retain: options.retain }
    await cluster.manager(retain)
    for (let i = 1; i <= (options.workers ?? 1); i++) await cluster.worker(`w${i}`)
    await cluster.gate(retain)
    await cluster.settle(50)
    return cluster
  }

  get runtime(): Required<RuntimeOptions> {
    return { clock: this.clock, random: this.random.fork(String(++this.#lives)), logger: this.logger }
  }

  transport(address: string) {
    return { datagram: this.network.datagram(address), rpc: this.network.rpc(address) }
  }

  async manager(options: Partial<ManagerOptions> = {}): Promise<Manager> {
    const manager = new Manager({
      ...this.runtime,
      id: 'm1',
      datacenter: DC,
      timing: 'local',
      ...options,
      transport: options.transport ?? this.transport('m1:1'),
    })
    this.#nodes.add(manager)
    this.managers.push(manager)
    await manager.start()
    return manager
  }

  async worker(id: string, options: Partial<WorkerOptions> = {}): Promise<Worker> {
    const worker = new Worker({
      ...this.runtime,
      id,
      datacenter: DC,
      managers: ['m1:1'],
      workflows: this.#workflows,
      cores: this.#cores,
      timing: 'local',
      ...options,
      transport: options.transport ?? this.transport(`${id}:1`),
    })
    this.#nodes.add(worker)
    this.workers.set(id, worker)
    await worker.start()
    return worker
  }

  async gate(options: Partial<GateOptions> = {}): Promise<Gate> {
    const gate = new Gate({
      ...this.runtime,
      id: 'g1',
      datacenters: { [DC]: ['m1:1'] },
      timing: 'local',
      ...options,
      transport: options.transport ?? this.transport('g1:1'),
    })
    this.#nodes.add(gate)
    this.gates.push(gate)
    await gate.start()
    return gate
  }

  client(options: Partial<ClientOptions> = {}): Client {
    const address = `c${++this.#lives}:1`
    const client = new Client({
      ...this.runtime,
      gates: ['g1:1'],
      timing: 'local',
      transport: { rpc: this.network.rpc(address) },
      ...options,
    })
    this.#nodes.add(client)
    return client
  }

  settle(ms: number): Promise<void> {
    return this.clock.advanceAsync(ms)
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.clock.run(promise)
  }

  result(handle: JobHandle): Promise<JobResult> {
    return this.clock.run(handle.result())
  }

  errors(): string[] {
    return this.logger.at('error').map(({ message, fields }) => `${message} ${String(fields['err'])}`)
  }

  /** Stops everything; returns how many timers are left, which is none. */
  async stop(): Promise<number> {
    await this.clock.run(Promise.all(Array.from(this.#nodes, (node) => node.stop())))
    await this.clock.advanceAsync(10) // what is still on the network arrives nowhere
    return this.clock.pendingTimers
  }
}
