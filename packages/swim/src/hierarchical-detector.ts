/**
 * One verdict a scope: a machine may be alive and yet not serve one job, shard or tenant. The layer below (a `Cluster`,
 * or any registry with a `NodeView`) says whether the machine lives; this one keeps suspicions and verdicts per
 * (scope, node), for one process of that node each, and forgets them when the machine dies or the scope closes.
 *
 * Guarantees: a confirmation can only bring a verdict nearer; one accuser counts once; what is held is bounded;
 * nothing outlives the process it speaks of.
 * Source: LHA-Suspicion of Lifeguard (see `suspicion`), applied a second time above the cluster.
 */
import {
  ClosedError,
  deepFreeze,
  ErrorReporter,
  HsError,
  parseOptions,
  runtimeShape,
  TimingWheel,
  TypedEmitter,
  type Clock,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import type { MemberStatus } from './member.js'
import { ScopeRecords, type ScopeRecord } from './scope-records.js'
import { suspicionTimeoutMs } from './suspicion.js'

/** Who exists and lives, as the layer below sees it. A `Cluster` is one. */
export interface NodeView {
  member(name: string): { readonly status: MemberStatus; readonly generation: number } | undefined
  /** How badly off this node itself is: timeouts are multiplied by it plus one. @default 0 */
  readonly localHealth?: number
  readonly events: {
    // One by one, so that the events of a `Cluster` fit, whose arguments differ.
    on(name: 'memberDead', fn: (member: { readonly name: string }) => void): () => void
    on(name: 'memberLeft', fn: (member: { readonly name: string }) => void): () => void
  }
}

export interface HierarchicalDetectorOptions extends RuntimeOptions {
  /** Who exists and lives: a `Cluster`, or a registry of your own. */
  nodes: NodeView
  /** From accusation to verdict once `confirmations` others agree, in milliseconds, above 0 to one day. @default 1_000 */
  minTimeoutMs?: number
  /** From accusation to verdict while nobody else agrees, in milliseconds, `minTimeoutMs` to one day. @default 10_000 */
  maxTimeoutMs?: number
  /** Accusers besides the first that bring the verdict down to the minimum, 0 (always the minimum) to 1,000. @default 3 */
  confirmations?: number
  /** Records (suspicions and verdicts) in one scope, at least 1. @default 1_000 */
  maxSuspicionsPerScope?: number
  /** Records in all scopes, at least 1. @default 50_000 */
  maxSuspicions?: number
  /** How often one suspicion may be postponed; 0: never. @default 5 */
  maxPostponements?: number
  /** By how much in all one suspicion may be postponed, in milliseconds, up to one day. @default 60_000 */
  maxPostponedMs?: number
}

export interface ScopeEvent {
  readonly scope: string
  readonly node: string
}

export interface HierarchicalDetectorEvents {
  /** Somebody says that the node does not serve the scope. */
  scopeSuspected: [ScopeEvent]
  /** Nothing spoke for the node in time. */
  scopeDead: [ScopeEvent]
  /** A suspicion or a verdict was lifted. */
  scopeRecovered: [ScopeEvent]
}

export type SuspectOutcome = 'started' | 'confirmed' | 'ignored' | 'refused'

export interface HierarchicalDetectorSnapshot {
  /** Records held: suspicions and verdicts. */
  readonly suspicions: number
  /** Suspicions that a bound did not let begin. */
  readonly refused: number
  readonly scopes: Readonly<Record<string, { readonly suspect: readonly string[]; readonly dead: readonly string[] }>>
}

/** Names kept per suspicion, however many are expected: what more accusers say changes nothing. */
const MAX_ACCUSERS = 64

export class HierarchicalDetector {
  readonly events: TypedEmitter<HierarchicalDetectorEvents>
  readonly #clock: Clock
  readonly #nodes: NodeView
  readonly #options: z.output<ReturnType<typeof makeSchema>>
  readonly #records: ScopeRecords
  readonly #wheel: TimingWheel
  readonly #offs: readonly (() => void)[]
  #refused = 0
  #stopped = false

  /** @throws ConfigError */
  constructor(options: HierarchicalDetectorOptions) {
    const o = parseOptions(optionsSchema(), options, 'HierarchicalDetector')
    const { clock, random, logger } = o
    const reporter = new ErrorReporter({ clock, random, logger })
    this.#clock = clock
    this.#nodes = o.nodes
    this.#options = o
    this.events = new TypedEmitter('HierarchicalDetector', reporter, { describe: (_, [event]) => ({ ...event }) })
    this.#records = new ScopeRecords(o.maxSuspicionsPerScope, o.maxSuspicions)
    // Verdicts are due at whole milliseconds.
    this.#wheel = new TimingWheel({ clock, random, logger, tickMs: 1 })
    const forget = ({ name }: { readonly name: string }) => {
      for (const record of this.#records.ofNode(name)) this.#records.drop(record)
    }
    this.#offs = [this.#nodes.events.on('memberDead', forget), this.#nodes.events.on('memberLeft', forget)]
  }

  /**
   * Says that `node` does not serve `scope`. Ignored: an accuser who has said so, a node that is unknown or not alive
   * globally, a verdict already given. Refused: a bound is reached.
   * @param accuser who says so; each counts once. Default `'self'`, this node.
   * @throws ClosedError after `stop`, HsError `'INVALID_ARGUMENT'` for an empty name
   */
  suspect(scope: string, node: string, accuser = 'self'): SuspectOutcome {
    this.#check('suspect', scope, node, accuser)
    const generation = this.#generationOf(node)
    if (generation === undefined) return 'ignored'
    const record = this.#current(scope, node)
    if (record !== undefined) return this.#confirm(record, accuser)
    if (!this.#records.hasRoomFor(scope)) {
      this.#refused++
      return 'refused'
    }
    this.#begin(scope, node, generation, accuser)
    return 'started'
  }

  /**
   * Evidence that the node serves the scope: progress, an answer. True if a suspicion or a verdict ended by it.
   * @throws ClosedError after `stop`, HsError `'INVALID_ARGUMENT'` for an empty name
   */
  alive(scope: string, node: string): boolean {
    this.#check('alive', scope, node)
    const record = this.#current(scope, node)
    if (record === undefined) return false
    this.#records.drop(record)
    this.events.emit('scopeRecovered', Object.freeze({ scope, node }))
    return true
  }

  /**
   * Puts the verdict off. False, and nothing moves, without a suspicion or when it would be more often or longer in
   * all than is allowed.
   * @param extraMs at least 0
   * @throws ClosedError after `stop`, HsError `'INVALID_ARGUMENT'` for an empty name or another span
   */
  postpone(scope: string, node: string, extraMs: number): boolean {
    this.#check('postpone', scope, node)
    if (!(Number.isFinite(extraMs) && extraMs >= 0)) {
      throw new HsError('INVALID_ARGUMENT', `postpone: expected milliseconds of at least 0, found ${extraMs}`)
    }
    const record = this.#current(scope, node)
    if (record?.timer === undefined || extraMs === 0) return false
    if (record.postponements >= this.#options.maxPostponements) return false
    if (record.postponedMs + extraMs > this.#options.maxPostponedMs) return false
    record.postponements++
    record.postponedMs += extraMs
    this.#aim(record)
    return true
  }

  /** What to believe of a node in a scope: the machine's death decides, then the scope's verdict, then any suspicion. */
  status(scope: string, node: string): 'alive' | 'suspect' | 'dead' {
    const member = this.#nodes.member(node)
    if (member === undefined || !isActive(member.status)) return 'dead'
    const record = this.#current(scope, node)
    if (record === undefined) return member.status === 'suspect' ? 'suspect' : 'alive'
    return record.timer === undefined ? 'dead' : 'suspect'
  }

  /** Forgets all that is held in a scope that has ended; how many records that were. @throws ClosedError after `stop` */
  closeScope(scope: string): number {
    this.#check('closeScope', scope)
    const records = this.#records.ofScope(scope)
    for (const record of records) this.#records.drop(record)
    return records.length
  }

  /** No verdict is given any more; what is known can still be read. Idempotent. */
  stop(): void {
    this.#stopped = true
    this.#wheel.stop()
    for (const off of this.#offs) off()
  }

  snapshot(): HierarchicalDetectorSnapshot {
    const scopes = this.#records.scopes().map((scope) => {
      const records = this.#records.ofScope(scope)
      const names = (dead: boolean) =>
        records.filter(({ timer }) => (timer === undefined) === dead).map(({ node }) => node)
      return [scope, { suspect: names(false), dead: names(true) }] as const
    })
    return deepFreeze({
      suspicions: this.#records.size,
      refused: this.#refused,
      scopes: Object.fromEntries(scopes),
    })
  }

  #check(operation: string, ...names: readonly string[]): void {
    if (this.#stopped) throw new ClosedError('HierarchicalDetector')
    for (const name of names) {
      if (typeof name === 'string' && name !== '') continue
      throw new HsError('INVALID_ARGUMENT', `${operation}: expected names that are not empty, found ${String(name)}`)
    }
  }

  /** Of the process that lives under this name, if one does. */
  #generationOf(node: string): number | undefined {
    const member = this.#nodes.member(node)
    return member !== undefined && isActive(member.status) ? member.generation : undefined
  }

  /** The record of the process that lives; one of an earlier process is forgotten on the way. */
  #current(scope: string, node: string): ScopeRecord | undefined {
    const record = this.#records.get(scope, node)
    if (record === undefined || record.generation === this.#generationOf(node)) return record
    this.#records.drop(record)
    return undefined
  }

  #begin(scope: string, node: string, generation: number, accuser: string): void {
    const record: ScopeRecord = {
      scope,
      node,
      generation,
      startedAtMs: this.#clock.now(),
      stretch: (this.#nodes.localHealth ?? 0) + 1,
      accusers: new Set([accuser]),
      postponements: 0,
      postponedMs: 0,
      timer: undefined,
    }
    this.#records.add(record)
    record.timer = this.#wheel.schedule(this.#timeoutMs(record), () => this.#conclude(record))
    this.events.emit('scopeSuspected', Object.freeze({ scope, node }))
  }

  #confirm(record: ScopeRecord, accuser: string): SuspectOutcome {
    const { accusers } = record
    if (record.timer === undefined || accusers.has(accuser)) return 'ignored'
    if (accusers.size >= Math.max(MAX_ACCUSERS, this.#options.confirmations + 1)) return 'ignored'
    accusers.add(accuser)
    this.#aim(record)
    return 'confirmed'
  }

  /** From the start, never from now: otherwise each confirmation would put the verdict off. */
  #aim(record: ScopeRecord): void {
    const dueMs = record.startedAtMs + this.#timeoutMs(record)
    record.timer?.reschedule(Math.max(0, dueMs - this.#clock.now()))
  }

  #timeoutMs(record: ScopeRecord): number {
    const { confirmations, minTimeoutMs, maxTimeoutMs } = this.#options
    const timeout = suspicionTimeoutMs(record.accusers.size - 1, confirmations, minTimeoutMs, maxTimeoutMs)
    return timeout * record.stretch + record.postponedMs
  }

  #conclude(record: ScopeRecord): void {
    const { scope, node } = record
    if (this.#current(scope, node) !== record) return
    record.timer = undefined
    record.accusers.clear()
    this.events.emit('scopeDead', Object.freeze({ scope, node }))
  }
}

function isActive(status: MemberStatus): boolean {
  return status === 'alive' || status === 'suspect'
}

/** The wheel takes no longer delay than 366 days; no sum of these comes near. */
const MAX_TIMEOUT_MS = 86_400_000

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z
    .strictObject({
      ...runtimeShape,
      nodes: z.custom<NodeView>(isNodeView, 'expected a NodeView with member and events'),
      minTimeoutMs: z.number().positive().max(MAX_TIMEOUT_MS).default(1_000),
      maxTimeoutMs: z.number().positive().max(MAX_TIMEOUT_MS).default(10_000),
      confirmations: z.int().min(0).max(1_000).default(3),
      maxSuspicionsPerScope: z.int().min(1).default(1_000),
      maxSuspicions: z.int().min(1).default(50_000),
      maxPostponements: z.int().min(0).default(5),
      maxPostponedMs: z.number().min(0).max(MAX_TIMEOUT_MS).default(60_000),
    })
    .refine((o) => o.minTimeoutMs <= o.maxTimeoutMs, {
      path: ['maxTimeoutMs'],
      message: 'expected at least minTimeoutMs',
    })

function isNodeView(x: unknown): boolean {
  if (typeof x !== 'object' || x === null) return false
  const { member, events } = x as { member?: unknown; events?: { on?: unknown } }
  return typeof member === 'function' && typeof events?.on === 'function'
}
