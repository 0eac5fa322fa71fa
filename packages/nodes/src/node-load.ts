/**
 * How loaded a node is: an overload state, and what its process uses of its limits. The state comes from gauges alone:
 * handlers answer within one step, so it is the lateness of the event loop that tells how long a request has waited.
 * A worker's CPU is no gauge, for using it is its work. A node on transports that it was given measures nothing: many
 * such nodes share a process, or none of this is real.
 */
import { backpressureLevels, overloadStates, type OverloadState, type RuntimeOptions } from '@hs/core'
import { ResourceMonitor, type ResourceSnapshot } from '@hs/health'
import { nodeResourceSource } from '@hs/health/node'
import { BackpressureMeter, OverloadDetector, type BackpressureLevel, type BackpressureSignal } from '@hs/overload'
import type { WorkerResources } from './wire/manager-worker.js'

export interface NodeLoadOptions {
  readonly runtime: Required<RuntimeOptions>
  /** Whether the process is this node's. */
  readonly measures: boolean
  /** Of the node's life: signals of a later one outrank those of an earlier one. */
  generation(): number
  /** Whether using the CPU is what it is there for. */
  readonly worksHard: boolean
}

/** p99 of a second, in milliseconds: a collection of garbage is nothing, a request that waits a second is. */
const EVENT_LOOP_DELAY_MS = [250, 1_000, 5_000] as const
/** How full a buffer would be that asks for the same, by overload state and by backpressure level. */
const FILL = [0, 0.7, 0.85, 0.95] as const

export class NodeLoad {
  readonly detector: OverloadDetector
  readonly #options: NodeLoadOptions
  #measuring: { readonly monitor: ResourceMonitor; readonly source: { close(): void } } | null = null
  #meter: BackpressureMeter | undefined
  #stopped = false

  constructor(options: NodeLoadOptions) {
    this.#options = options
    this.detector = new OverloadDetector({ ...options.runtime, gauges: { eventLoopDelayMs: EVENT_LOOP_DELAY_MS } })
  }

  get state(): OverloadState {
    return this.detector.state
  }

  /** Undefined where nothing is measured, or not yet. */
  get resources(): WorkerResources | undefined {
    const measured = this.#measuring?.monitor.snapshot()
    if (measured == null || measured.cpu.uncertainty === Infinity) return undefined // the first sample has no rate yet
    return asWire(measured)
  }

  /**
   * What senders of data are asked for: by the worst of this node's state, the fill of what the data goes into (0 to 1),
   * and what this node is asked for itself.
   */
  signal(fill = 0, asked: BackpressureLevel = 'none'): BackpressureSignal {
    this.#meter ??= new BackpressureMeter({ ...this.#options.runtime, epoch: this.#options.generation() })
    const ofState = FILL[overloadStates.indexOf(this.state)] ?? 0
    const ofAsked = FILL[backpressureLevels.indexOf(asked)] ?? 0
    this.#meter.update(Math.max(fill, ofState, ofAsked))
    return this.#meter.signal()
  }

  async start(): Promise<void> {
    const { runtime, measures, worksHard } = this.#options
    if (!measures || this.#stopped) return
    const source = nodeResourceSource()
    const monitor = new ResourceMonitor({ ...runtime, source })
    this.#measuring = { monitor, source }
    monitor.events.on('sample', ({ cpu, memory, eventLoopDelayMs }) =>
      this.detector.observe({ cpu: worksHard ? undefined : cpu.value, memory: memory.value, eventLoopDelayMs }),
    )
    await monitor.start()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#measuring?.monitor.stop()
    this.#measuring?.source.close()
  }
}

function asWire({ cpu, memory, cpuLimit, memoryLimitBytes, eventLoopDelayMs }: ResourceSnapshot): WorkerResources {
  return {
    cpu: { value: cpu.value, uncertainty: cpu.uncertainty },
    memory: { value: memory.value, uncertainty: memory.uncertainty },
    cpuLimit,
    memoryLimitBytes,
    eventLoopDelayMs,
  }
}
