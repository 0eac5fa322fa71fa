/** Which seeds a campaign runs and what it does about a failure. */

import * as z from 'zod'
import { ConfigError, parseOptions } from '@hs/core'
import { faultSchema, parseFaults, type Fault } from './fault.js'

export interface CampaignProgress {
  readonly runs: number
  readonly failures: number
  readonly events: number
  readonly virtualMs: number
}

export interface CampaignOptions {
  /**
   * How many seeds (firstSeed, firstSeed + 1, …), or which. `HS_SIM_SEED` in the environment replaces them by that
   * one. @default `HS_SIM_SEEDS` in the environment, else 100
   */
  seeds?: number | Iterable<number>
  /** The first of so many seeds; an integer. Means nothing where `seeds` names them. @default 1 */
  firstSeed?: number
  /** This plan for every seed, instead of those that are drawn. */
  faults?: readonly Fault[]
  /** Runs the first seed twice; two runs that differ are a failure. @default true */
  checkDeterminism?: boolean
  /** Failing seeds after which the campaign ends, at least 1. @default 1 */
  maxFailures?: number
  /** Looks for the few faults that a failure needs. @default true */
  shrink?: boolean
  /** Runs that this may take for each failure, at least 0. @default 200 */
  maxShrinkRuns?: number
  /** Rejects instead of returning a report of failures. @default true */
  throwOnFailure?: boolean
  /** Told after every seed. */
  onProgress?: (progress: CampaignProgress) => void
}

export interface CampaignSettings {
  readonly seeds: Iterable<number>
  readonly faults: readonly Fault[] | undefined
  readonly checkDeterminism: boolean
  readonly maxFailures: number
  readonly shrink: boolean
  readonly maxShrinkRuns: number
  readonly throwOnFailure: boolean
  readonly onProgress: ((progress: CampaignProgress) => void) | undefined
}

const DEFAULT_SEEDS = 100

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z.strictObject({
    seeds: z
      .union([
        z.int().min(1),
        z.custom<Iterable<number>>(isIterable, 'expected a number of seeds, or seeds to iterate over'),
      ])
      .optional(),
    firstSeed: z.int().default(1),
    faults: z.array(faultSchema()).optional(),
    checkDeterminism: z.boolean().default(true),
    maxFailures: z.int().min(1).default(1),
    shrink: z.boolean().default(true),
    maxShrinkRuns: z.int().min(0).default(200),
    throwOnFailure: z.boolean().default(true),
    onProgress: z
      .custom<(progress: CampaignProgress) => void>((fn) => typeof fn === 'function', 'expected a function')
      .optional(),
  })

/** @throws ConfigError */
export function campaignSettings(options: CampaignOptions | undefined): CampaignSettings {
  const { seeds, firstSeed, faults, onProgress, ...rest } = parseOptions(optionsSchema(), options, 'simulate')
  const only = integerFrom('HS_SIM_SEED', -Infinity)
  const count = integerFrom('HS_SIM_SEEDS', 1)
  return {
    ...rest,
    seeds: only === undefined ? seedsOf(seeds ?? count ?? DEFAULT_SEEDS, firstSeed) : [only],
    faults: faults === undefined ? undefined : parseFaults(faults, 'simulate'),
    onProgress,
  }
}

function* seedsOf(seeds: number | Iterable<number>, firstSeed: number): Generator<number> {
  if (typeof seeds === 'number') {
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++) yield seed
    return
  }
  for (const seed of seeds) {
    if (!Number.isSafeInteger(seed))
      throw new ConfigError('simulate', [{ path: 'seeds', message: 'expected integers', value: seed }])
    yield seed
  }
}

function integerFrom(name: string, min: number): number | undefined {
  const text = process.env[name]
  if (text === undefined || text === '') return undefined
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= min) return value
  const bound = min === -Infinity ? '' : ` of at least ${min}`
  throw new ConfigError('environment', [{ path: name, message: `expected an integer${bound}`, value: text }])
}

function isIterable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}
