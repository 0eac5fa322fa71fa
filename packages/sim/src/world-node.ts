/**
 * A node of the simulated world: a name, an address, a disk and clocks that outlive its incarnations, and at most one
 * incarnation at a time.
 */

import { HsError, type PeerIdentity } from '@hs/core'
import { MemoryLogger } from '@hs/core/testing'
import type { DiskFaults } from './disk-faults.js'
import { hashText } from './hash.js'
import { Incarnation, type NodeEnv, type Surroundings } from './incarnation.js'
import type { LinkEnd } from './link-end.js'
import type { Link } from './link.js'
import { NodeTime } from './node-clock.js'
import { checkClockChange, checkPauseMs, checkRestart } from './node-options.js'
import { callGuarded } from './run-guard.js'
import { SimDisk } from './sim-disk.js'
import type { ClockChange, RestartOptions, SimNode } from './sim-node.js'
import { TimerEvent } from './timer-event.js'
import { traceKinds } from './trace.js'
import { afterTurn, turnBegan } from './turns.js'

export interface WorldNodeOptions {
  readonly skewMs: number
  readonly driftPpm: number
  readonly disk: DiskFaults
}

type Boot = (env: NodeEnv) => unknown

const PROTOCOL = Object.freeze({ major: 1, minor: 0 })

export class WorldNode<A = unknown> implements SimNode<A>, LinkEnd {
  // First what every message touches: of a thousand nodes little is in the cache.
  readonly name: string
  readonly address: string
  readonly traceSalt: number
  readonly tieSalt: number
  readonly linkLow: number
  readonly linkHigh: number
  links: Map<LinkEnd, Link> | undefined = undefined
  #life: Incarnation | undefined
  readonly identity: PeerIdentity
  readonly logs = new MemoryLogger()
  readonly disk: SimDisk
  readonly time: NodeTime
  /** What its clocks and its disk are like without faults, and the faults on top of it. */
  readonly clockFaults = new Set<ClockChange>()
  readonly diskFaults = new Set<DiskFaults>()
  #baseClock: Required<ClockChange>
  readonly #baseDisk: DiskFaults
  readonly #around: Surroundings
  readonly #boot: Boot
  #incarnation = 0
  #wasCrashed = false
  /** What ends the pauses of this incarnation by `pause()`, which `resume()` ends. */
  readonly #pauses = new Set<() => void>()
  #stopping: Promise<void> | undefined
  #onDown: (() => void)[] = []

  constructor(name: string, boot: Boot, around: Surroundings, options: WorldNodeOptions) {
    const { world } = around
    this.name = name
    this.address = `${name}:1`
    this.identity = Object.freeze({
      address: this.address,
      nodeId: name,
      encrypted: false,
      protocol: PROTOCOL,
      features: Object.freeze([]),
    })
    this.traceSalt = hashText(name, 2)
    this.tieSalt = world.saltOf(`ties/${name}`)
    this.linkLow = world.saltOf(`link/low/${name}`)
    this.linkHigh = world.saltOf(`link/high/${name}`)
    this.#around = around
    this.#boot = boot
    this.#baseClock = { skewMs: options.skewMs, driftPpm: options.driftPpm }
    this.time = new NodeTime(world, options.skewMs, options.driftPpm)
    this.#baseDisk = options.disk
    this.disk = new SimDisk({ ...options.disk, random: world.random.fork(`disk/${name}`) })
  }

  get life(): Incarnation | undefined {
    return this.#life
  }

  get state(): 'up' | 'paused' | 'down' {
    if (this.#life === undefined) return 'down'
    return this.#life.isPaused ? 'paused' : 'up'
  }

  get incarnation(): number {
    return this.#incarnation
  }

  get app(): A | undefined {
    return this.#life?.app as A | undefined
  }

  get env(): NodeEnv | null {
    return this.#life?.env ?? null
  }

  /** It is down because it crashed, rather than stopped or not yet started. */
  get isCrashed(): boolean {
    return this.#life === undefined && this.#wasCrashed
  }

  call<T>(fn: (app: A) => T): T {
    const life = this.#life
    if (life === undefined) throw new HsError('NODE_DOWN', `Node ${this.name} is down: restart() it before the call`)
    if (life.isBooting) throw new HsError('NODE_DOWN', `Node ${this.name} is still booting: its boot is asynchronous`)
    this.#around.world.changed = true
    return this.#inScope(life, () => fn(life.app as A))
  }

  start(): this {
    if (this.#life === undefined) this.#bootAnew()
    return this
  }

  restart(options: RestartOptions = {}): this {
    const { disk = 'keep' } = checkRestart(options)
    this.crash()
    if (disk === 'lose') this.disk.wipe()
    this.#bootAnew()
    return this
  }

  crash(): void {
    const life = this.#life
    if (life === undefined) return
    this.#wasCrashed = true
    this.#around.world.trace.number(this, traceKinds.crash, this.#incarnation)
    this.#takeDown(life)
    this.disk.crash()
  }

  stop(): Promise<void> {
    const life = this.#life
    if (life === undefined) return Promise.resolve()
    return (this.#stopping ??= new Promise((resolve) => {
      this.#onDown.push(resolve)
      this.resume()
      this.#stopApp(life)
    }))
  }

  pause(ms?: number): void {
    checkPauseMs(ms)
    const life = this.#life
    if (life === undefined) return
    const end = this.#pause(life)
    this.#pauses.add(end)
    if (ms === undefined) return
    const { world } = this.#around
    const over = () => {
      if (this.#pauses.delete(end)) end()
    }
    world.schedule(world.now + ms, world.workload, new TimerEvent(world, world.workload, over))
  }

  resume(): void {
    const ends = [...this.#pauses]
    this.#pauses.clear()
    for (const end of ends) end()
  }

  /** Pauses until the result is called, as long as this incarnation lives. */
  pauseForNow(): () => void {
    const life = this.#life
    return life === undefined ? () => undefined : this.#pause(life)
  }

  setClock(change: ClockChange): void {
    const { skewMs = this.#baseClock.skewMs, driftPpm = this.#baseClock.driftPpm } = checkClockChange(change)
    this.#baseClock = { skewMs, driftPpm }
    this.applyClock()
  }

  /** The clocks are as their base and the faults on top of it say. */
  applyClock(): void {
    let { skewMs, driftPpm } = this.#baseClock
    for (const fault of this.clockFaults) {
      skewMs += fault.skewMs ?? 0
      driftPpm += fault.driftPpm ?? 0
    }
    this.time.skewMs = skewMs
    if (driftPpm !== this.time.driftPpm) this.time.setDrift(driftPpm)
    this.#around.world.trace.text(this, traceKinds.clock, `${skewMs} ${driftPpm}`)
  }

  /** The disk is as its base and the faults on top of it say. */
  applyDisk(): void {
    let faults = this.#baseDisk
    for (const fault of this.diskFaults) faults = { ...faults, ...fault }
    this.disk.faults(faults)
  }

  #bootAnew(): void {
    const life = new Incarnation(this, ++this.#incarnation, this.#around)
    this.#life = life
    this.#wasCrashed = false
    this.#around.world.changed = true
    this.#around.world.trace.number(this, traceKinds.start, this.#incarnation)
    this.#inScope(life, () => {
      try {
        this.#booted(life, this.#boot(life.env))
      } catch (error) {
        life.failed(error)
      }
    })
  }

  #booted(life: Incarnation, app: unknown): void {
    if (!isThenable(app)) {
      life.app = app
      life.isBooting = false
      return
    }
    app.then(
      (later) => {
        life.app = later
        life.isBooting = false
      },
      (error: unknown) => life.failed(error),
    )
  }

  /** `app.stop()`, then the signal, and when what hears of it has run, the end. */
  #stopApp(life: Incarnation): void {
    const { world } = this.#around
    const goDown = () => {
      if (life.isDead) return
      life.abort()
      const over = () => {
        if (!life.isDead) this.#stopped(life)
      }
      if (world.isRunning) return world.schedule(world.now, world.workload, new TimerEvent(world, world.workload, over))
      // No event comes while no run is in progress, and whoever awaits the stop may begin none.
      afterTurn(() => {
        turnBegan()
        over()
      })
    }
    this.#inScope(life, () => {
      try {
        const { app } = life
        const stop = typeof app === 'object' && app !== null ? (app as { stop?: unknown }).stop : undefined
        const stopped: unknown = typeof stop === 'function' ? Reflect.apply(stop, app, []) : undefined
        if (!isThenable(stopped)) return goDown()
        stopped.then(goDown, (error: unknown) => {
          life.failed(error)
          goDown()
        })
      } catch (error) {
        life.failed(error)
        goDown()
      }
    })
  }

  #stopped(life: Incarnation): void {
    this.#around.world.trace.number(this, traceKinds.stop, this.#incarnation)
    this.#inScope(life, () => void life.rpc.close())
    this.#takeDown(life)
    this.disk.unmount()
  }

  #takeDown(life: Incarnation): void {
    this.#around.world.changed = true
    this.#life = undefined
    this.#pauses.clear()
    this.#stopping = undefined
    life.end(this.#around.datagrams)
    for (const tell of this.#onDown.splice(0)) tell()
  }

  #inScope<T>(life: Incarnation, fn: () => T): T {
    return callGuarded(life, this.#around.world.options.forbidGlobals, fn)
  }

  #pause(life: Incarnation): () => void {
    life.pause()
    this.#around.world.trace.number(this, traceKinds.pause, this.#incarnation)
    return () => {
      if (!life.isDead) this.#unpause(life)
    }
  }

  #unpause(life: Incarnation): void {
    life.unpause()
    if (!life.isPaused) this.#around.world.trace.number(this, traceKinds.resume, this.#incarnation)
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
