/**
 * Where this node is in the network, learned from round trips that happen anyway: after a few samples of a few peers,
 * the round trip to any other node is known from its coordinate alone.
 * Sources: Dabek et al., "Vivaldi: A Decentralized Network Coordinate System" (SIGCOMM 2004), with height; Ledlie,
 * Gardner, Seltzer, "Network Coordinates in the Wild" (NSDI 2007), median filter and gravity; Lee et al., "On
 * Suitability of Euclidean Embedding" (ToN 2010), adjustment. The constants are those of HashiCorp's Serf.
 *
 * A sample allocates the coordinate that is returned and nothing else.
 */
import { HsError, parseOptions, runtimeShape, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { checkCoordinate, type Coordinate } from './coordinate.js'
import { LatencyFilter } from './latency-filter.js'
import { ADJUSTMENT, defaultSpace, ERROR, HEIGHT, MAX_SPACE_DIMENSIONS, Position, VECTOR } from './position.js'

export interface VivaldiOptions extends RuntimeOptions {
  /** 1 to 64; all nodes of a cluster must have the same. @default 8 */
  dimensions?: number
  /** Relative error of who knows nothing, and the most it can be; above 0. @default 1.5 */
  errorMax?: number
  /** How fast the error follows, above 0 to 1. @default 0.25 */
  ce?: number
  /** How far one sample moves the coordinate, above 0 to 1. @default 0.25 */
  cc?: number
  /** Samples that the adjustment is the mean of, 0 (none) to 1,000. @default 20 */
  adjustmentWindow?: number
  /** The least height in milliseconds, at least 0. @default 0.01 */
  heightMinMs?: number
  /** Round trips per peer that the median is taken of, 1 to 101. @default 3 */
  latencyFilterSize?: number
  /** The distance from the origin at which gravity pulls a whole second a sample, in milliseconds. @default 150_000 */
  gravityRho?: number
}

const MAX_RTT_MS = 10_000
/** Peers whose last round trips are kept; the oldest gives way. */
const MAX_PEERS = 65_536
/** The peer's coordinate at hand. Shared: nothing of it outlives a call. */
const numbers = /* @__PURE__ */ new Float64Array(VECTOR + MAX_SPACE_DIMENSIONS)

export class Vivaldi {
  readonly #position: Position
  readonly #filter: LatencyFilter

  /** @throws ConfigError */
  constructor(options: VivaldiOptions = {}) {
    const parsed = parseOptions(optionsSchema(), options, 'Vivaldi')
    this.#position = new Position(parsed, parsed.random)
    this.#filter = new LatencyFilter(parsed.latencyFilterSize, MAX_PEERS)
  }

  /** Where this node is; a value that later samples leave as it is. */
  get coordinate(): Coordinate {
    return this.#position.coordinate
  }

  /** Round trips taken in since the start, or since a state that was not finite was thrown away. */
  get samples(): number {
    return this.#position.samples
  }

  /**
   * Takes in one round trip to `peer`, whose coordinate is `theirs`, and returns the new coordinate.
   * @param rttMs above 0, at most 10,000
   * @throws DecodeError for a coordinate that cannot be one of this space, HsError `'INVALID_ARGUMENT'` for another
   * round trip; then nothing has changed.
   */
  observe(peer: string, theirs: Coordinate, rttMs: number): Coordinate {
    if (!(rttMs > 0 && rttMs <= MAX_RTT_MS)) {
      throw new HsError('INVALID_ARGUMENT', `A round trip is above 0 and at most ${MAX_RTT_MS} ms, found ${rttMs}`)
    }
    checkCoordinate(theirs, this.#position.vec.length)
    numbers[HEIGHT] = theirs.heightMs
    numbers[ADJUSTMENT] = theirs.adjustmentMs
    numbers[ERROR] = theirs.error
    numbers.set(theirs.vec, VECTOR)
    this.#position.observe(numbers, this.#filter.push(peer, rttMs))
    return this.#position.coordinate
  }

  /** Drops the round trips of a peer that is gone. */
  forget(peer: string): void {
    this.#filter.forget(peer)
  }
}

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z.strictObject({
    ...runtimeShape,
    dimensions: z.int().min(1).max(MAX_SPACE_DIMENSIONS).default(defaultSpace.dimensions),
    errorMax: z.number().positive().default(defaultSpace.errorMax),
    ce: z.number().positive().max(1).default(defaultSpace.ce),
    cc: z.number().positive().max(1).default(defaultSpace.cc),
    adjustmentWindow: z.int().min(0).max(1_000).default(defaultSpace.adjustmentWindow),
    heightMinMs: z.number().min(0).default(defaultSpace.heightMinMs),
    latencyFilterSize: z.int().min(1).max(101).default(3),
    gravityRho: z.number().positive().default(defaultSpace.gravityRho),
  })
