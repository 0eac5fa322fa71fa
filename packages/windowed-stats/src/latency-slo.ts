/** How well latencies meet their objective: one level, one score, one factor that a router multiplies by. */
import { HsError, parseOptions } from '@hs/core'
import * as z from 'zod'
import type { DigestSummary } from './digest-summary.js'

/** What share of requests shall be how fast, and how strongly a router follows. */
export interface LatencySlo {
  /** Targets in milliseconds, above 0 and rising. @default 50 */
  readonly p50Ms: number
  /** @default 200 */
  readonly p95Ms: number
  /** @default 500 */
  readonly p99Ms: number
  /** How much each counts in the score; they add up to 1. @default 0.2, 0.5 and 0.3 */
  readonly weights: { readonly p50: number; readonly p95: number; readonly p99: number }
  /** From how many samples on there is a level and the score is trusted in full; an integer from 1. @default 100 */
  readonly minSamples: number
  /** Bounds of the routing factor: above 0 to 1, and from 1. @default 0.5 */
  readonly factorMin: number
  /** @default 3 */
  readonly factorMax: number
  /** How much of the score's distance from 1 enters the routing factor, from 0. @default 0.4 */
  readonly scoreWeight: number
}

/** From best to worst; `unknown` while there are too few samples. */
export type SloLevel = 'unknown' | 'exceeding' | 'meeting' | 'warning' | 'violating' | 'critical'

export interface SloEvaluation {
  readonly level: SloLevel
  /** The greatest of `ratios`; 0 without data. */
  readonly worstRatio: number
  /** Observed by target: above 1 is a miss. */
  readonly ratios: { readonly p50: number; readonly p95: number; readonly p99: number }
  /** 1 is just met; lower is better. Drawn to 1 while there are few samples. */
  readonly score: number
  /** 0 to 1. */
  readonly confidence: number
  /** What a router multiplies a round trip by; 1 without data. */
  readonly routingFactor: number
}

export interface ResourcePressure {
  /** 0 to 1. */
  readonly cpu: number
  /** @default 1 */
  readonly cpuConfidence?: number
  /** 0 to 1. */
  readonly memory: number
  /** @default 1 */
  readonly memoryConfidence?: number
}

export interface ResourceRiskWeights {
  /** From 0. @default 0.7 */
  readonly cpuWeight?: number
  /** From 0. @default 0.4 */
  readonly memoryWeight?: number
  /** How much of the blend is resources, 0 to 1. @default 0.4 */
  readonly blend?: number
}

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      p50Ms: z.number().positive().default(50),
      p95Ms: z.number().positive().default(200),
      p99Ms: z.number().positive().default(500),
      weights: z
        .strictObject({ p50: z.number().min(0), p95: z.number().min(0), p99: z.number().min(0) })
        .default({ p50: 0.2, p95: 0.5, p99: 0.3 }),
      minSamples: z.int().min(1).default(100),
      factorMin: z.number().positive().max(1).default(0.5),
      factorMax: z.number().min(1).default(3),
      scoreWeight: z.number().min(0).default(0.4),
    })
    .refine(({ p50Ms, p95Ms }) => p50Ms <= p95Ms, { path: ['p95Ms'], message: 'expected at least p50Ms' })
    .refine(({ p95Ms, p99Ms }) => p95Ms <= p99Ms, { path: ['p99Ms'], message: 'expected at least p95Ms' })
    .refine(({ weights: { p50, p95, p99 } }) => Math.abs(p50 + p95 + p99 - 1) < 1e-9, {
      path: ['weights'],
      message: 'expected weights that add up to 1',
    }))()

/** Checked and frozen. @throws ConfigError */
export function latencySlo(options: Partial<LatencySlo> = {}): LatencySlo {
  const slo = parseOptions(schema, options, 'latencySlo')
  return Object.freeze({ ...slo, weights: Object.freeze({ ...slo.weights }) })
}

/**
 * The level is the worst percentile's, because an objective is met only if all of it is: below half of the target
 * `exceeding`, below 0.8 `meeting`, up to 1 `warning`, up to 1.5 `violating`, above `critical`.
 * @param summary undefined: no data.
 */
export function evaluateSlo(summary: DigestSummary | undefined, slo: LatencySlo): SloEvaluation {
  const count = summary?.count ?? 0
  const ratios = Object.freeze({
    p50: (summary?.p50 ?? 0) / slo.p50Ms,
    p95: (summary?.p95 ?? 0) / slo.p95Ms,
    p99: (summary?.p99 ?? 0) / slo.p99Ms,
  })
  const worstRatio = Math.max(ratios.p50, ratios.p95, ratios.p99)
  const { weights, minSamples, factorMin, factorMax, scoreWeight } = slo
  const composite = weights.p50 * ratios.p50 + weights.p95 * ratios.p95 + weights.p99 * ratios.p99
  const confidence = Math.min(1, count / minSamples)
  const score = confidence * composite + (1 - confidence)
  return Object.freeze({
    level: count < minSamples ? 'unknown' : levelOf(worstRatio),
    worstRatio,
    ratios,
    score,
    confidence,
    routingFactor: Math.min(factorMax, Math.max(factorMin, 1 + scoreWeight * (score - 1))),
  })
}

/**
 * A score with what the machine's resources foretell: (1 - blend) * score + blend * (1 + cpu + memory), where cpu and
 * memory are pressure times confidence times weight.
 * @throws HsError `'INVALID_ARGUMENT'`
 */
export function blendResourceRisk(
  score: number,
  pressure: ResourcePressure,
  weights: ResourceRiskWeights = {},
): number {
  if (typeof pressure !== 'object' || pressure === null)
    throw new HsError('INVALID_ARGUMENT', `blendResourceRisk: expected pressures, found ${String(pressure)}`)
  const { cpu, cpuConfidence = 1, memory, memoryConfidence = 1 } = pressure
  const { cpuWeight = 0.7, memoryWeight = 0.4, blend = 0.4 } = weights
  checkRange('score', score, Number.MAX_VALUE)
  for (const [name, share] of Object.entries({ cpu, cpuConfidence, memory, memoryConfidence, blend }))
    checkRange(name, share, 1)
  for (const [name, weight] of Object.entries({ cpuWeight, memoryWeight })) checkRange(name, weight, Number.MAX_VALUE)
  const risk = 1 + cpuWeight * cpu * cpuConfidence + memoryWeight * memory * memoryConfidence
  return (1 - blend) * score + blend * risk
}

function levelOf(worstRatio: number): SloLevel {
  if (worstRatio < 0.5) return 'exceeding'
  if (worstRatio < 0.8) return 'meeting'
  if (worstRatio <= 1) return 'warning'
  if (worstRatio <= 1.5) return 'violating'
  return 'critical'
}

function checkRange(name: string, value: number, max: number): void {
  if (typeof value === 'number' && value >= 0 && value <= max) return
  const bound = max === 1 ? 'a number from 0 to 1' : 'a finite number from 0'
  throw new HsError('INVALID_ARGUMENT', `blendResourceRisk: expected ${bound} as ${name}, found ${String(value)}`)
}
