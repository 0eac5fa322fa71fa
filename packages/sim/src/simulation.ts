/**
 * A whole cluster in one thread on virtual time: nodes whose time, dice, network and disk are given to them, faults, and
 * what must hold. One seed gives one run, to the last event, whatever else the process does (README: what that covers).
 */

import * as z from 'zod'
import { ConfigError, HsError, parseOptions, type Clock } from '@hs/core'
import type { SeededRandom } from '@hs/core/testing'
import { Datagrams, type SimNetworkStats } from './datagrams.js'
import { Driver } from './driver.js'
import { FaultSchedule } from './fault-schedule.js'
import type { Fault } from './fault.js'
import type { NodeEnv, Surroundings } from './incarnation.js'
import { Invariants, type Check } from './invariants.js'
import { LinkDice } from './link-dice.js'
import { Links } from './links.js'
import { TrueClock } from './node-clock.js'
import { checkNodeName, parseNodeOptions } from './node-options.js'
import { WorldNetwork, type SimNetwork } from './sim-network.js'
import type { NodeOptions, SimNode } from './sim-node.js'
import { parseSimulationOptions, type SimulationOptions } from './simulation-options.js'
import { TimerEvent } from './timer-event.js'
import type { Trace } from './trace.js'
import { Wire } from './wire.js'
import { World } from './world.js'
import { WorldNode } from './world-node.js'

const HOUR = 3_600_000
const SETTLE_MS = 30_000

let cachedSchemas: ReturnType<typeof makeSchemas> | undefined
const schemas = () => (cachedSchemas ??= makeSchemas())
const makeSchemas = () => ({
  run: z.strictObject({ limitMs: z.number().min(0).default(HOUR) }),
  finish: z.strictObject({ settleMs: z.number().min(0).default(SETTLE_MS) }),
})

export interface SimulationRunOptions {
  /** True time after which to give up, in milliseconds, at least 0. @default 3_600_000 */
  limitMs?: number
}

export interface FinishOptions {
  /** How long the cluster has, without faults, for what must hold in the end, in milliseconds. @default 30_000 */
  settleMs?: number
}

export interface SimulationReport {
  /** 16 hex digits. */
  readonly seed: string
  /** True time, in milliseconds from 0. */
  readonly nowMs: number
  /** Events that happened. */
  readonly events: number
  /** 16 hex digits: two runs with one hash took the same course. */
  readonly traceHash: string
  readonly network: SimNetworkStats
  readonly coverage: Readonly<Record<string, number>>
  readonly nodes: readonly { readonly name: string; readonly state: SimNode['state']; readonly incarnation: number }[]
}

export class Simulation {
  /** True time, for the workload; not a node's. */
  readonly clock: Clock
  readonly network: SimNetwork
  readonly nodes: ReadonlyMap<string, SimNode>
  readonly #world: World
  readonly #nodes = new Map<string, WorldNode>()
  readonly #links: Links
  readonly #around: Surroundings
  readonly #invariants: Invariants
  readonly #driver: Driver
  readonly #faults: FaultSchedule

  /** @throws ConfigError */
  constructor(options?: SimulationOptions) {
    const world = new World(parseSimulationOptions(options))
    this.#world = world
    this.#links = new Links(world.options.link, {
      datagrams: (link, held) => datagrams.release(link, held),
    })
    const dice = new LinkDice(world)
    const datagrams = new Datagrams(world, this.#links, dice)
    this.#around = { world, datagrams, wire: new Wire(world, this.#links, dice) }
    this.#invariants = new Invariants(world)
    this.#driver = new Driver(world, this.#invariants)
    const network = new WorldNetwork(this.#nodes, this.#links, datagrams)
    this.#faults = new FaultSchedule(world, this.#nodes, network, this.#links)
    this.clock = new TrueClock(world)
    this.network = network
    this.nodes = this.#nodes
  }

  /** 16 hex digits, as `SeededRandom.seed`. */
  get seed(): string {
    return this.#world.random.seed
  }

  /** True time, in milliseconds from 0. */
  get now(): number {
    return this.#world.now
  }

  /** For the workload: fork it, so that a draw more in one place disturbs no other. */
  get random(): SeededRandom {
    return this.#world.random
  }

  get trace(): Trace {
    return this.#world.trace
  }

  /** Events that happened. */
  get events(): number {
    return this.#world.events
  }

  /** What ended the run, if something did: every later run throws it again. */
  get failure(): HsError | undefined {
    return this.#world.failure
  }

  /** How often the condition of each `sometimes` was true. */
  get coverage(): Readonly<Record<string, number>> {
    return this.#invariants.coverage
  }

  /**
   * Adds a node, and boots it unless `start` is false.
   * @param name `[A-Za-z0-9][A-Za-z0-9_-]{0,62}`
   * @param boot the program: what it returns is the node's `app`
   * @throws ConfigError for a malformed or taken name, and bad options
   */
  node<A>(name: string, boot: (env: NodeEnv) => A | Promise<A>, options?: NodeOptions): SimNode<A> {
    checkNodeName(name)
    checkFunction('node: boot', boot)
    if (this.#nodes.has(name)) {
      const message = 'expected a name that no other node has'
      throw new ConfigError('Simulation.node', [{ path: 'name', message, value: name }])
    }
    const { start, skewMs = 0, driftPpm = 0, disk } = parseNodeOptions(options)
    const node = new WorldNode<A>(name, boot, this.#around, {
      skewMs,
      driftPpm,
      disk: { ...this.#world.options.disk, ...(disk as NodeOptions['disk']) },
    })
    this.#nodes.set(name, node)
    this.#links.add(node)
    return start ? node.start() : node
  }

  /** What boot returned, of the nodes that are not down; a paused node has its state too. */
  apps<A>(): A[] {
    const apps: A[] = []
    for (const { app } of this.#nodes.values()) if (app !== undefined) apps.push(app as A)
    return apps
  }

  /** Calls `fn` at a true time, as part of the workload. A time that is past is now. @throws HsError `'INVALID_ARGUMENT'` */
  at(atMs: number, fn: () => unknown): void {
    checkFunction('at', fn)
    if (!Number.isFinite(atMs))
      throw new HsError('INVALID_ARGUMENT', `at: expected a time in milliseconds, got ${atMs}`)
    this.#schedule(Math.max(atMs, this.#world.now), fn)
  }

  /** Calls `fn` again and again, as part of the workload, first in `ms`. @throws HsError `'INVALID_ARGUMENT'` */
  every(ms: number, fn: () => unknown): void {
    checkFunction('every', fn)
    if (!Number.isFinite(ms) || ms <= 0)
      throw new HsError('INVALID_ARGUMENT', `every: expected more than 0 milliseconds, got ${ms}`)
    const startMs = this.#world.now
    let round = 1
    const tick = () => {
      this.#schedule(startMs + ++round * ms, tick)
      return fn()
    }
    this.#schedule(startMs + ms, tick)
  }

  /** Must hold after the last event of every instant, and when a run ends. @throws HsError `'INVALID_ARGUMENT'` */
  always(name: string, check: Check): void {
    checkFunction('always', check)
    this.#invariants.always(name, check)
  }

  /** Must hold in the end, when everything is healed: see `finish`. @throws HsError `'INVALID_ARGUMENT'` */
  eventually(name: string, check: Check): void {
    checkFunction('eventually', check)
    this.#invariants.eventually(name, check)
  }

  /** Counts that something happened, if the condition is true: a test that never gets there proves nothing. */
  sometimes(name: string, condition = true): void {
    this.#invariants.sometimes(name, condition)
  }

  /**
   * Has faults happen. One that should have begun already begins now, and ends when it should.
   * @throws ConfigError if any is no fault, or of a node that is none; then none happens
   */
  schedule(faults: readonly Fault[]): void {
    this.#faults.add(faults)
  }

  /** Ends all faults, calls off those to come, and ends all partitions, clogs and pauses. */
  healAll(): void {
    this.#faults.end()
    this.network.heal()
    this.network.unclog()
    for (const node of this.#nodes.values()) node.resume()
  }

  /** Lets `ms` of true time pass. @throws HsError what failed the run, `'SIMULATION_BUSY'`, `'INVALID_ARGUMENT'` */
  runFor(ms: number): Promise<void> {
    return this.#driver.runFor(ms)
  }

  /**
   * Lets time pass until a condition holds, which is asked before the first event and after every one.
   * @throws TimeoutError if the limit passes or nothing is left to happen; ConfigError; what `runFor` throws
   */
  async runUntil(condition: () => boolean, options?: SimulationRunOptions): Promise<void> {
    checkFunction('runUntil', condition)
    const { limitMs } = parseOptions(schemas().run, options, 'Simulation.runUntil')
    return this.#driver.runUntil('Simulation.runUntil', condition, limitMs)
  }

  /** Lets time pass until a promise settles, then is what it is. @throws what `runUntil` throws */
  async run<T>(promise: Promise<T>, options?: SimulationRunOptions): Promise<T> {
    let settled = false
    const settle = () => {
      settled = true
    }
    // It may be no promise at all, where the code under test is synchronous.
    Promise.resolve(promise).then(settle, settle)
    const { limitMs } = parseOptions(schemas().run, options, 'Simulation.run')
    await this.#driver.runUntil('Simulation.run', () => settled, limitMs)
    return promise
  }

  /**
   * Heals everything, restarts what crashed, lets the cluster settle, and checks what must hold in the end.
   * @throws HsError `'INVARIANT_VIOLATED'`, ConfigError, and what `runFor` throws
   */
  async finish(options?: FinishOptions): Promise<void> {
    const { settleMs } = parseOptions(schemas().finish, options, 'Simulation.finish')
    if (this.#driver.isBusy || this.#world.failure !== undefined) return this.#driver.runFor(0)
    this.healAll()
    for (const node of this.#nodes.values()) if (node.isCrashed) node.restart()
    await this.#driver.runFor(settleMs)
    this.#invariants.checkEventually()
    if (this.#world.failure !== undefined) throw this.#world.failure
  }

  /** Stops every node that is up as `SimNode.stop` does. After a failure they are simply taken down. */
  async stop(): Promise<void> {
    if (this.#world.failure !== undefined && !this.#driver.isBusy) {
      for (const node of this.#nodes.values()) node.crash()
      return
    }
    let left = 0
    const stopAll = () => {
      for (const node of this.#nodes.values()) {
        left++
        void node.stop().then(() => left--)
      }
      return true
    }
    await this.#driver.runUntil('Simulation.stop', stopAll, 0)
    await this.#driver.runUntil('Simulation.stop', () => left === 0, HOUR)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** What a dashboard or a test reads. */
  report(): SimulationReport {
    const nodes = [...this.#nodes.values()].map(({ name, state, incarnation }) =>
      Object.freeze({ name, state, incarnation }),
    )
    return Object.freeze({
      seed: this.seed,
      nowMs: this.now,
      events: this.events,
      traceHash: this.trace.hash,
      network: this.network.stats(),
      coverage: this.coverage,
      nodes: Object.freeze(nodes),
    })
  }

  #schedule(atMs: number, fn: () => unknown): void {
    const { workload } = this.#world
    this.#world.schedule(atMs, workload, new TimerEvent(this.#world, workload, fn))
  }
}

function checkFunction(what: string, fn: unknown): void {
  if (typeof fn !== 'function')
    throw new HsError('INVALID_ARGUMENT', `${what}: expected a function, got ${fn === null ? 'null' : typeof fn}`)
}
