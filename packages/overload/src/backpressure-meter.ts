/**
 * At the receiver of data: turns the fill of a buffer into a level for its senders. Up at once; down from a level only
 * when the fill is clearly below its threshold, so that a fill that trembles at a threshold sends one signal, not many.
 * Guarantee: signals are numbered, so that senders tell the newer of two whatever the network does with them.
 */
import {
  ErrorReporter,
  parseOptions,
  runtimeShape,
  Sequence,
  TypedEmitter,
  type BackpressureLevel,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { defaultDelaysMs, levelAt } from './backpressure-level.js'
import type { BackpressureSignal } from './backpressure-signal.js'
import { reached, thresholdsSchema, type Thresholds } from './thresholds.js'

export interface BackpressureMeterOptions extends RuntimeOptions {
  /** Fills at which to throttle, batch and reject; ascending, above 0, at most 1. @default [0.70, 0.85, 0.95] */
  thresholds?: Thresholds
  /** How far below a level's threshold the fill must be for that level to end, 0 to the lowest threshold. @default 0.05 */
  release?: number
  /** What senders are asked to pause at each level, in milliseconds. @default 0, 100, 500, 1_000 */
  delaysMs?: Record<BackpressureLevel, number>
  /** The node's generation, an integer from 0: signals of a later life outrank those of an earlier one. @default 0 */
  epoch?: number
}

export interface BackpressureMeterEvents {
  change: [now: BackpressureLevel, was: BackpressureLevel]
}

const schema = /* @__PURE__ */ (() => {
  const delay = z.number().min(0)
  return z
    .strictObject({
      ...runtimeShape,
      thresholds: thresholdsSchema(1).default(Object.freeze([0.7, 0.85, 0.95] as const)),
      release: z.number().min(0).default(0.05),
      delaysMs: z
        .strictObject({ none: delay, throttle: delay, batch: delay, reject: delay })
        .default({ ...defaultDelaysMs }),
      epoch: z.int().min(0).default(0),
    })
    .refine(({ release, thresholds: [lowest] }) => release < lowest, {
      path: ['release'],
      message: 'expected less than the lowest threshold, or the level it asks for would never end',
    })
})()

/** One for each buffer that others fill. */
export class BackpressureMeter {
  readonly events: TypedEmitter<BackpressureMeterEvents>
  readonly #thresholds: Thresholds
  readonly #release: number
  readonly #delaysMs: Readonly<Record<BackpressureLevel, number>>
  readonly #epoch: number
  readonly #sequence = new Sequence()
  #rank = 0

  /** @throws ConfigError */
  constructor(options?: BackpressureMeterOptions) {
    const { thresholds, release, delaysMs, epoch, ...runtime } = parseOptions(schema, options, 'BackpressureMeter')
    this.events = new TypedEmitter('BackpressureMeter', new ErrorReporter(runtime))
    this.#thresholds = thresholds
    this.#release = release
    this.#delaysMs = delaysMs
    this.#epoch = epoch
  }

  get level(): BackpressureLevel {
    return levelAt(this.#rank)
  }

  /**
   * Takes the fill of the buffer, 0 to 1 and beyond, and returns the level that follows.
   * A fill that is NaN or negative changes nothing.
   */
  update(fill: number): BackpressureLevel {
    if (!(fill >= 0)) return this.level
    const was = this.#rank
    this.#rank = Math.max(reached(fill, this.#thresholds), this.#heldAt(fill))
    if (this.#rank !== was) this.events.emit('change', this.level, levelAt(was))
    return this.level
  }

  /** The next signal, for the next answer. */
  signal(): BackpressureSignal {
    const { level } = this
    return Object.freeze({ level, delayMs: this.#delaysMs[level], epoch: this.#epoch, seq: this.#sequence.next() })
  }

  /** The highest level, up to the present one, that does not end at this fill. */
  #heldAt(fill: number): number {
    let rank = this.#rank
    while (rank > 0 && fill < (this.#thresholds[rank - 1] as number) - this.#release) rank--
    return rank
  }
}
