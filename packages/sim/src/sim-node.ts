/** A node as a test sees it. */

import type { MemoryLogger } from '@hs/core/testing'
import type { DiskFaults } from './disk-faults.js'
import type { NodeEnv } from './incarnation.js'
import type { SimDisk } from './sim-disk.js'

export interface NodeOptions {
  /** Whether it boots at once. @default true */
  start?: boolean
  /** How far its wall clock is ahead, in milliseconds. @default 0 */
  skewMs?: number
  /** Millionths that its clocks run too fast, above -1,000,000. @default 0 */
  driftPpm?: number
  /** What of its disk is not as the simulation's `disk` says. */
  disk?: DiskFaults
}

export interface ClockChange {
  /** How far the wall clock is ahead, in milliseconds. @default as it was */
  skewMs?: number
  /** Millionths that the clocks run too fast, above -1,000,000. @default as it was */
  driftPpm?: number
}

export interface RestartOptions {
  /** `'lose'`: the new incarnation finds an empty disk. @default 'keep' */
  disk?: 'keep' | 'lose'
}

export interface SimNode<A = unknown> {
  readonly name: string
  /** `name:1` */
  readonly address: string
  readonly state: 'up' | 'paused' | 'down'
  /** Of the current life, or of the last one while it is down; 0 before the first. */
  readonly incarnation: number
  /** What boot returned; undefined while it is down, and until an asynchronous boot is done. */
  readonly app: A | undefined
  /** What its program was given; null while it is down. */
  readonly env: NodeEnv | null
  /** Of all incarnations. */
  readonly logs: MemoryLogger
  readonly disk: SimDisk
  /** Runs `fn` as code of this node. @throws HsError `'NODE_DOWN'` */
  call<T>(fn: (app: A) => T): T
  /** Boots a node that is down; one that is up stays as it is. */
  start(): this
  /**
   * Calls `app.stop()`, waits for it, aborts `env.signal` and takes the node down. What `app.stop()` waits for may need
   * time to pass: `sim.run(node.stop())`.
   */
  stop(): Promise<void>
  /** Ends the process at once: nothing that it began ever completes. */
  crash(): void
  /** Crashes the node if it is up, and boots it anew. @throws ConfigError */
  restart(options?: RestartOptions): this
  /** Stops the process without its knowledge: its clocks go on. Without `ms`, until `resume`. @throws ConfigError */
  pause(ms?: number): void
  /** Ends all pauses but those of faults. */
  resume(): void
  /** Sets its clocks, for timers that are set from now on; what has drifted stays. @throws ConfigError */
  setClock(change: ClockChange): void
}
