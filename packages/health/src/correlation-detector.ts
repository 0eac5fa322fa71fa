/**
 * Doubts oneself before others: when several datacenters seem to fail at once, the reason is more likely here, or the
 * network between, than a death in each of them. Whoever evicts asks `assess().holdEvictions` first.
 * Guarantee: `partitionDetected` and `partitionHealed` come once an episode and without anyone asking.
 * Source: Lifeguard (2018), doubt yourself first; Kubernetes' slower eviction where a whole zone looks dark.
 */
import {
  deepFreeze,
  ErrorReporter,
  HsError,
  parseOptions,
  runtimeShape,
  TypedEmitter,
  type Clock,
  type Logger,
  type OnError,
  type RuntimeOptions,
  type Timer,
} from '@hs/core'
import * as z from 'zod'
import { isRegional, severityOf, type CorrelationSeverity } from './correlation-severity.js'
import { ReportedState, type CorrelationState } from './correlation-state.js'
import { LatencyHabit } from './latency-habit.js'
import { StrainWindow } from './strain-window.js'

export interface CorrelationDetectorOptions extends RuntimeOptions {
  /** How long one must be down to count as failed, in milliseconds, 0 or more. @default 5_000 */
  confirmMs?: number
  /** How long one must be up to count as healthy again, in milliseconds, 0 or more. @default 30_000 */
  recoverMs?: number
  /** Share of the known datacenters that is medium, above 0, at most `highFraction`. @default 0.3 */
  mediumFraction?: number
  /** Share of the known datacenters that is high, at most 1. @default 0.5 */
  highFraction?: number
  /** Times that one goes down within `flapWindowMs` to be flapping, 1 to 1,000. @default 3 */
  flapCount?: number
  /** In milliseconds, above 0. @default 120_000 */
  flapWindowMs?: number
  /** How long it is flapping then, in milliseconds, above 0. @default 300_000 */
  flapCooldownMs?: number
  /** How many times its habit a latency is elevated, above 1. @default 2 */
  latencyRatio?: number
  /** Latencies below are never elevated, in milliseconds, 0 or more. @default 100 */
  latencyFloorMs?: number
  /** Strain within `strainMs` that makes a datacenter strained, above 0. @default 2 */
  strainThreshold?: number
  /** In milliseconds, above 0. @default 120_000 */
  strainMs?: number
  /** The region of each datacenter, by name; one that is not named here has none. @default {} */
  regions?: Record<string, string>
  /** Told what listeners and the logger throw. */
  onError?: OnError
}

export interface CorrelationAssessment {
  readonly severity: CorrelationSeverity
  /** Failed or flapping, in the order of their addition, as all lists here. */
  readonly affected: readonly string[]
  readonly failing: readonly string[]
  readonly flapping: readonly string[]
  /** All affected lie in one region, and all others are healthy: then it is that region, and not us. */
  readonly regional: boolean
  readonly latencyElevated: boolean
  readonly strained: boolean
  /** Rather believe that we are cut off than that they are dead. */
  readonly holdEvictions: boolean
}

export interface PartitionDetected {
  /** Affected at that moment. */
  readonly datacenters: readonly string[]
  readonly severity: CorrelationSeverity
  /** On `clock.now()`. */
  readonly at: number
}

export interface PartitionHealed {
  /** All that were affected during the episode. */
  readonly datacenters: readonly string[]
  /** Since the detection. */
  readonly durationMs: number
  /** On `clock.now()`. */
  readonly at: number
}

export interface CorrelationDetectorEvents {
  /** The first medium or high severity of an episode. */
  partitionDetected: [PartitionDetected]
  /** All are healthy again. */
  partitionHealed: [PartitionHealed]
}

export interface CorrelationDetectorSnapshot extends CorrelationAssessment {
  /** In an episode. */
  readonly partitioned: boolean
  readonly states: Readonly<Record<string, CorrelationState>>
  /** Episodes so far. */
  readonly partitions: number
  /** Those among them that are over. */
  readonly healed: number
}

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      ...runtimeShape,
      confirmMs: z.number().min(0).default(5_000),
      recoverMs: z.number().min(0).default(30_000),
      mediumFraction: z.number().positive().max(1).default(0.3),
      highFraction: z.number().positive().max(1).default(0.5),
      flapCount: z.int().min(1).max(1_000).default(3),
      flapWindowMs: z.number().positive().default(120_000),
      flapCooldownMs: z.number().positive().default(300_000),
      latencyRatio: z.number().gt(1).default(2),
      latencyFloorMs: z.number().min(0).default(100),
      strainThreshold: z.number().positive().default(2),
      strainMs: z.number().positive().default(120_000),
      regions: z.record(z.string(), z.string()).default({}),
      onError: z.custom<OnError>((x) => typeof x === 'function', 'expected a function').optional(),
    })
    .refine(({ mediumFraction, highFraction }) => mediumFraction <= highFraction, {
      path: ['highFraction'],
      message: 'expected at least mediumFraction',
    }))()

type Settings = Omit<z.output<typeof schema>, 'clock' | 'random' | 'logger' | 'onError' | 'regions'>

/** What is known of one datacenter. */
interface DatacenterRecord {
  readonly state: ReportedState
  readonly latency: LatencyHabit
  readonly strain: StrainWindow
  timer: Timer | null
}

interface Episode {
  readonly detectedAtMs: number
  readonly affected: Set<string>
}

/** Knows the datacenters that are added, and what is reported of them. */
export class CorrelationDetector {
  readonly events: TypedEmitter<CorrelationDetectorEvents>
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #settings: Settings
  readonly #regions: ReadonlyMap<string, string>
  readonly #reporter: ErrorReporter
  readonly #datacenters = new Map<string, DatacenterRecord>()
  #episode: Episode | null = null
  #partitions = 0
  #healed = 0
  #stopped = false

  /** @throws ConfigError */
  constructor(options?: CorrelationDetectorOptions) {
    const { clock, random, logger, onError, regions, ...settings } = parseOptions(
      schema,
      options,
      'CorrelationDetector',
    )
    this.#clock = clock
    this.#logger = logger
    this.#settings = settings
    this.#regions = new Map(Object.entries(regions))
    this.#reporter = new ErrorReporter({ clock, random, logger, ...(onError === undefined ? {} : { onError }) })
    this.events = new TypedEmitter('CorrelationDetector', this.#reporter, {
      describe: (_name, [{ datacenters }]) => ({ datacenters }),
    })
  }

  /** Takes in a datacenter, healthy; one that is known stays as it is. @throws HsError `'INVALID_ARGUMENT'` */
  add(datacenter: string): void {
    if (typeof datacenter !== 'string')
      throw new HsError('INVALID_ARGUMENT', `A datacenter is a string, found ${typeof datacenter}`)
    if (this.#datacenters.has(datacenter)) return
    const state = new ReportedState(this.#settings)
    this.#datacenters.set(datacenter, { state, latency: new LatencyHabit(), strain: new StrainWindow(), timer: null })
    this.#judge()
  }

  /** Forgets it. True if it was there. */
  remove(datacenter: string): boolean {
    const record = this.#datacenters.get(datacenter)
    if (record === undefined) return false
    record.timer?.cancel()
    this.#datacenters.delete(datacenter)
    this.#judge()
    return true
  }

  /**
   * Whether it can be reached. Nothing happens if that is known already, or the datacenter is not.
   * @throws HsError `'INVALID_ARGUMENT'` unless `up` is a boolean
   */
  report(datacenter: string, up: boolean): void {
    if (typeof up !== 'boolean') throw new HsError('INVALID_ARGUMENT', `up is a boolean, found ${typeof up}`)
    const record = this.#datacenters.get(datacenter)
    if (record === undefined) return
    record.state.report(up, this.#clock.now())
    this.#arm(record)
    this.#judge()
  }

  /** A round trip, in milliseconds. Of what is not known, and numbers that are no latency, are ignored. */
  recordLatency(datacenter: string, ms: number): void {
    this.#datacenters.get(datacenter)?.latency.record(ms)
  }

  /** Something that shows strain there: more time asked, local health. Ignores as `recordLatency`. @param amount @default 1 */
  recordStrain(datacenter: string, amount = 1): void {
    this.#datacenters.get(datacenter)?.strain.record(amount, this.#clock.now(), this.#settings.strainMs)
  }

  /** How it stands now. */
  assess(): CorrelationAssessment {
    return deepFreeze(this.#assess(this.#states()))
  }

  /** Undefined if it is not known. */
  state(datacenter: string): CorrelationState | undefined {
    return this.#datacenters.get(datacenter)?.state.at(this.#clock.now())
  }

  /** From `partitionDetected` to `partitionHealed`. */
  get partitioned(): boolean {
    return this.#episode !== null
  }

  /** Ends all timers, and with them the events. */
  stop(): void {
    this.#stopped = true
    for (const record of this.#datacenters.values()) this.#arm(record)
  }

  /** What a dashboard shows. */
  snapshot(): CorrelationDetectorSnapshot {
    const states = this.#states()
    return deepFreeze({
      ...this.#assess(states),
      partitioned: this.partitioned,
      states: Object.fromEntries(states),
      partitions: this.#partitions,
      healed: this.#healed,
    })
  }

  #states(): Map<string, CorrelationState> {
    const now = this.#clock.now()
    return new Map(Array.from(this.#datacenters, ([name, { state }]) => [name, state.at(now)]))
  }

  #assess(states: ReadonlyMap<string, CorrelationState>): CorrelationAssessment {
    const inState = (...wanted: CorrelationState[]) =>
      Array.from(states.keys()).filter((name) => wanted.includes(states.get(name) ?? 'healthy'))
    const affected = inState('failed', 'flapping')
    const failing = inState('failing')
    const found = severityOf({ known: states.size, affected: affected.length, failing: failing.length }, this.#settings)
    const regional = isRegional(affected, states, this.#regions)
    const severity = regional && found !== 'none' ? 'low' : found
    const { latencyElevated, strained } = this.#signs()
    const holdEvictions =
      severity === 'medium' ||
      severity === 'high' ||
      (latencyElevated && strained) ||
      (severity === 'low' && !regional && latencyElevated)
    const flapping = inState('flapping')
    return { severity, affected, failing, flapping, regional, latencyElevated, strained, holdEvictions }
  }

  /** What half of at least two datacenters show is more likely ours than theirs. */
  #signs(): { latencyElevated: boolean; strained: boolean } {
    const { latencyRatio, latencyFloorMs, strainThreshold, strainMs } = this.#settings
    const now = this.#clock.now()
    let elevated = 0
    let strained = 0
    for (const { latency, strain } of this.#datacenters.values()) {
      if (latency.isElevated(latencyRatio, latencyFloorMs)) elevated++
      if (strain.sum(now, strainMs) >= strainThreshold) strained++
    }
    const known = this.#datacenters.size
    const isShared = (count: number) => known >= 2 && count >= known / 2
    return { latencyElevated: isShared(elevated), strained: isShared(strained) }
  }

  /** One timer a datacenter, for its next change by time. */
  #arm(record: DatacenterRecord): void {
    record.timer?.cancel()
    record.timer = null
    if (this.#stopped) return
    const now = this.#clock.now()
    const nextMs = record.state.nextChangeMs(now)
    if (nextMs === null) return
    record.timer = this.#clock.setTimer(nextMs - now, () => {
      this.#arm(record)
      this.#judge()
    })
  }

  /** Begins or ends an episode if it is time to. */
  #judge(): void {
    if (this.#stopped) return
    const states = this.#states()
    const { severity, affected } = this.#assess(states)
    if (this.#episode === null) {
      if (severity === 'medium' || severity === 'high') this.#beginEpisode(affected, severity)
      return
    }
    for (const name of affected) this.#episode.affected.add(name)
    if (Array.from(states.values()).every((state) => state === 'healthy')) this.#endEpisode(this.#episode)
  }

  #beginEpisode(affected: readonly string[], severity: CorrelationSeverity): void {
    const at = this.#clock.now()
    this.#episode = { detectedAtMs: at, affected: new Set(affected) }
    this.#partitions++
    const detected = deepFreeze({ datacenters: [...affected], severity, at })
    this.#log('partition detected', detected.datacenters, { severity })
    this.events.emit('partitionDetected', detected)
  }

  #endEpisode({ detectedAtMs, affected }: Episode): void {
    const at = this.#clock.now()
    this.#episode = null
    this.#healed++
    const healed = deepFreeze({ datacenters: [...affected], durationMs: at - detectedAtMs, at })
    this.#log('partition healed', healed.datacenters, { durationMs: healed.durationMs })
    this.events.emit('partitionHealed', healed)
  }

  /** Before the listeners, and whatever the logger does. */
  #log(message: string, datacenters: readonly string[], fields: Record<string, unknown>): void {
    try {
      this.#logger.warn(message, { datacenters, ...fields })
    } catch (error) {
      this.#reporter.report('CorrelationDetector.log', error, { datacenters })
    }
  }
}
