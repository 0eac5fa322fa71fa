/**
 * The configurations of the Lifeguard paper, what it measured of them, and what is to be reached here.
 * Source: Dadgar, Phillips, Currey, "Lifeguard" (arXiv 1707.00788), tables IV, VI and VII.
 */
import type { ClusterOptions } from '@hs/swim'

export interface Configuration {
  readonly name: string
  readonly options: Partial<ClusterOptions>
  /** As the paper has it; what stands in percent is percent of plain SWIM. */
  readonly paper?: {
    readonly falsePositives?: number
    readonly healthyFalsePositives?: number
    readonly falsePercent: string
    readonly healthyPercent: string
    readonly messagesPercent: string
    readonly bytesPercent: string
  }
  /** Percent of plain SWIM, at the most. */
  readonly reach?: {
    readonly falsePercent: number
    readonly healthyPercent?: number
    readonly messagesPercent?: number
    readonly bytesPercent?: number
  }
}

/** α, β, K and S of the paper. Deadlines are never late on virtual time, so nothing is taken for a stall. */
const paperOptions: Partial<ClusterOptions> = {
  suspicionMultiplier: 5,
  suspicionMaxMultiplier: 6,
  suspicionConfirmations: 3,
  maxLocalHealth: 8,
  stallToleranceMs: 3_600_000,
}

const noProbe: Partial<ClusterOptions> = { maxLocalHealth: 0 }
const noSuspicion: Partial<ClusterOptions> = { suspicionMaxMultiplier: 1 }
const noBuddy: Partial<ClusterOptions> = { buddy: false }

export const SWIM: Configuration = {
  name: 'SWIM',
  options: { ...paperOptions, ...noProbe, ...noSuspicion, ...noBuddy },
  paper: {
    falsePositives: 339_002,
    healthyFalsePositives: 1_326,
    falsePercent: '100',
    healthyPercent: '100',
    messagesPercent: '100',
    bytesPercent: '100',
  },
}

export const LIFEGUARD: Configuration = {
  name: 'Lifeguard',
  options: paperOptions,
  paper: {
    falsePositives: 5_193,
    healthyFalsePositives: 25,
    falsePercent: '1.53',
    healthyPercent: '1.89',
    messagesPercent: '110.59',
    bytesPercent: '97.97',
  },
  reach: { falsePercent: 1.53, healthyPercent: 1.89, messagesPercent: 110.6, bytesPercent: 98 },
}

export const LIFEGUARD_4: Configuration = {
  name: 'Lifeguard, α = 4',
  options: { ...paperOptions, suspicionMultiplier: 4 },
  reach: { falsePercent: 5 },
}

export const LIFEGUARD_2: Configuration = {
  name: 'Lifeguard, α = 2',
  options: { ...paperOptions, suspicionMultiplier: 2 },
  reach: { falsePercent: 14 },
}

/** In the order of the paper's tables; plain SWIM, which the others are measured by, first. */
export const configurations: readonly Configuration[] = [
  SWIM,
  {
    name: 'LHA-Probe',
    options: { ...paperOptions, ...noSuspicion, ...noBuddy },
    paper: {
      falsePositives: 229_574,
      healthyFalsePositives: 436,
      falsePercent: '67.72',
      healthyPercent: '32.88',
      messagesPercent: '98.46',
      bytesPercent: '90.03',
    },
    reach: { falsePercent: 67.7, healthyPercent: 32.9 },
  },
  {
    name: 'LHA-Suspicion',
    options: { ...paperOptions, ...noProbe, ...noBuddy },
    paper: {
      falsePositives: 10_174,
      healthyFalsePositives: 89,
      falsePercent: '3.00',
      healthyPercent: '6.71',
      messagesPercent: '111.31',
      bytesPercent: '106.52',
    },
    reach: { falsePercent: 10, healthyPercent: 10 },
  },
  {
    name: 'Buddy System',
    options: { ...paperOptions, ...noProbe, ...noSuspicion },
    paper: {
      falsePositives: 318_935,
      healthyFalsePositives: 591,
      falsePercent: '94.08',
      healthyPercent: '44.57',
      messagesPercent: '100.07',
      bytesPercent: '99.01',
    },
    reach: { falsePercent: 100, healthyPercent: 100 },
  },
  LIFEGUARD,
  LIFEGUARD_4,
  LIFEGUARD_2,
]
