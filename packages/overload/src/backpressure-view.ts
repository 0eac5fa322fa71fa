/**
 * At the sender of data: what its receivers ask of it, and what follows for each message. `critical` and `high` always
 * go; the rest waits, is batched or dropped.
 * Guarantee: the newest signal of a source counts, whatever order they come in, and a level that is not renewed falls
 * by itself, so that a lost "none" throttles nobody for ever. Memory is that of `maxSources`; no timer but in `waitTurn`.
 *
 * Composition is propagation: a manager's meter takes the worse of its own fill and its view of the gate.
 */
import {
  BoundedMap,
  deepFreeze,
  HsError,
  parseOptions,
  runtimeShape,
  type BackpressureLevel,
  type Clock,
  type MessagePriority,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { levelAt } from './backpressure-level.js'
import { flawOf, type BackpressureSignal } from './backpressure-signal.js'
import { priorityRank } from './message-priority.js'
import { SourcePressure } from './source-pressure.js'

export interface BackpressureViewOptions extends RuntimeOptions {
  /** How long a level lasts, and each one that it falls to after, in milliseconds, above 0. @default 5_000 */
  decayMs?: number
  /** Sources remembered, at least 1; the one least recently heard goes. @default 1_000 */
  maxSources?: number
  /** The longest pause, whatever a source asks for, in milliseconds, 0 or more. @default 10_000 */
  maxDelayMs?: number
}

/** Now; with others of its kind, when enough have come together; not at all. */
export type BackpressureAction = 'send' | 'batch' | 'drop'

export interface WaitTurnOptions {
  /** Whom the message is for. @default the worst of all sources counts */
  source?: string
  /** Ends the wait, with its reason. */
  signal?: AbortSignal
}

export interface BackpressureViewSnapshot {
  /** The worst of all. */
  readonly level: BackpressureLevel
  readonly sources: Readonly<Record<string, BackpressureLevel>>
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    decayMs: z.number().positive().default(5_000),
    maxSources: z.int().min(1).default(1_000),
    maxDelayMs: z.number().min(0).default(10_000),
  }))()

const HIGH = 1
/** What becomes of what may wait, by the level's rank. */
const actions = ['send', 'send', 'batch', 'drop'] as const

/** One for each sender, for all whom it sends to. */
export class BackpressureView {
  readonly #clock: Clock
  readonly #decayMs: number
  readonly #maxDelayMs: number
  readonly #sources: BoundedMap<string, SourcePressure>
  /** Of the sources, those that ask for something: mostly none, so that "the worst of all" looks at few. */
  readonly #pressing = new Set<SourcePressure>()

  /** @throws ConfigError */
  constructor(options?: BackpressureViewOptions) {
    const { decayMs, maxSources, maxDelayMs, ...runtime } = parseOptions(schema, options, 'BackpressureView')
    this.#clock = runtime.clock
    this.#decayMs = decayMs
    this.#maxDelayMs = maxDelayMs
    this.#sources = new BoundedMap({
      ...runtime,
      maxEntries: maxSources,
      onEvict: (_, pressure) => this.#pressing.delete(pressure),
    })
  }

  /** Sources that are remembered. */
  get size(): number {
    return this.#sources.size
  }

  /**
   * Takes a signal in. False: it is not newer than what is known, and changes nothing.
   * @throws HsError `'INVALID_ARGUMENT'` for a source that is no text, or a signal that is none
   */
  receive(source: string, signal: BackpressureSignal): boolean {
    checkArguments(source, signal)
    const nowMs = this.#clock.now()
    const known = this.#sources.peek(source)
    const pressure = known ?? new SourcePressure(this.#decayMs)
    if (!pressure.accept(signal, nowMs)) return false
    // Setting it, also again, makes it the one most recently heard.
    this.#sources.set(source, pressure)
    if (pressure.isPressingAt(nowMs)) this.#pressing.add(pressure)
    else this.#pressing.delete(pressure)
    return true
  }

  /** What a source asks for now, `none` if it is unknown; without one, the worst of all. */
  level(source?: string): BackpressureLevel {
    return levelAt(this.#rank(source))
  }

  /** How long to pause before what is not urgent, in milliseconds; without a source, the longest of all. */
  delayMs(source?: string): number {
    const nowMs = this.#clock.now()
    if (source !== undefined) return Math.min(this.#maxDelayMs, this.#sources.peek(source)?.delayAt(nowMs) ?? 0)
    let longest = 0
    for (const pressure of this.#stillPressing(nowMs)) longest = Math.max(longest, pressure.delayAt(nowMs))
    return Math.min(this.#maxDelayMs, longest)
  }

  /**
   * What to do with a message now.
   * @throws HsError `'INVALID_ARGUMENT'` for an unknown priority
   */
  action(priority: MessagePriority, source?: string): BackpressureAction {
    return priorityRank(priority) <= HIGH ? 'send' : (actions[this.#rank(source)] ?? 'send')
  }

  /**
   * Pauses as long as is asked for, then says what to do by the level of that moment. `critical` and `high` never wait.
   * @throws as a rejection the reason of `options.signal`; HsError `'INVALID_ARGUMENT'` for an unknown priority
   */
  async waitTurn(priority: MessagePriority, options: WaitTurnOptions = {}): Promise<BackpressureAction> {
    const { source, signal } = options
    const mayWait = priorityRank(priority) > HIGH
    signal?.throwIfAborted()
    const delayMs = mayWait ? this.delayMs(source) : 0
    if (delayMs > 0) await this.#clock.sleep(delayMs, signal)
    return this.action(priority, source)
  }

  /** Forgets what it asked for, and which of its signals was the last. True if it was there. */
  forget(source: string): boolean {
    const pressure = this.#sources.peek(source)
    if (pressure === undefined) return false
    this.#pressing.delete(pressure)
    return this.#sources.delete(source)
  }

  /** What a dashboard shows. */
  snapshot(): BackpressureViewSnapshot {
    const nowMs = this.#clock.now()
    const sources = Array.from(
      this.#sources,
      ([source, pressure]) => [source, levelAt(pressure.rankAt(nowMs))] as const,
    )
    return deepFreeze({ level: this.level(), sources: Object.fromEntries(sources) })
  }

  #rank(source: string | undefined): number {
    const nowMs = this.#clock.now()
    if (source !== undefined) return this.#sources.peek(source)?.rankAt(nowMs) ?? 0
    let worst = 0
    for (const pressure of this.#stillPressing(nowMs)) worst = Math.max(worst, pressure.rankAt(nowMs))
    return worst
  }

  /** Those whose time has passed go as they are met: they come back with their next signal only. */
  #stillPressing(nowMs: number): ReadonlySet<SourcePressure> {
    for (const pressure of this.#pressing) if (!pressure.isPressingAt(nowMs)) this.#pressing.delete(pressure)
    return this.#pressing
  }
}

function checkArguments(source: unknown, signal: BackpressureSignal): void {
  if (typeof source !== 'string') throw new HsError('INVALID_ARGUMENT', `A source is a string, found ${typeof source}`)
  if (typeof signal !== 'object' || signal === null) {
    throw new HsError('INVALID_ARGUMENT', `A backpressure signal is an object, found ${String(signal)}`)
  }
  const flaw = flawOf(signal)
  if (flaw !== null) {
    throw new HsError('INVALID_ARGUMENT', `A backpressure signal at ${flaw.path}: expected ${flaw.expected}`)
  }
}
