/**
 * Makes the whole plan of faults before the run: data, not dice thrown on the way. Each seed uses a few kinds of faults
 * only, and more or fewer of them, because a uniform mixture hides what needs one fault often and another never.
 * Source: A. Groce, C. Zhang, E. Eide, Y. Chen, J. Regehr, "Swarm Testing", ISSTA 2012.
 */

import * as z from 'zod'
import { assertNever, parseOptions, type Random } from '@hs/core'
import type { SeededRandom } from '@hs/core/testing'
import { faultKinds, type Fault } from './fault.js'
import { MIN_FOR_MS, nemesisShape, type NemesisOptions } from './nemesis.js'

const MAX_LOSS = 0.5
const MAX_DUPLICATE = 0.2
const MAX_LINK_MEAN_MS = 500
const MAX_SKEW_MS = 60_000
const MAX_DRIFT_PPM = 500
const MAX_SYNC_ERROR_RATE = 0.3
const MAX_WRITE_ERROR_RATE = 0.1
const MAX_DISK_MEAN_MS = 200
/** A seed has its faults up to so many times as dense, or as rare, as `meanGapMs` says. */
const MAX_INTENSITY = 4

export interface DrawFaultsOptions extends NemesisOptions {
  /** Names of the nodes that the faults may hit. */
  nodes: readonly string[]
  /** By when every fault is over, in milliseconds. */
  durationMs: number
}

type Kind = Fault['kind']
type Span = Pick<Fault, 'atMs' | 'forMs'>
type Crash = Fault & { kind: 'crash' }

interface Plan {
  readonly nodes: readonly string[]
  readonly kinds: readonly Kind[]
  readonly meanGapMs: number
  readonly maxForMs: number
  readonly maxDown: number
  readonly loseDisk: number
  readonly durationMs: number
}

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z.strictObject({ ...nemesisShape(), nodes: z.array(z.string()), durationMs: z.number().min(0) })

/** @throws ConfigError */
export function drawFaults(random: SeededRandom, options: DrawFaultsOptions): Fault[] {
  const plan = planOf(random, options)
  const faults: Fault[] = []
  let down: Crash[] = []
  if (plan.kinds.length === 0) return faults
  for (let at = drawExponential(random, plan.meanGapMs); ; at += drawExponential(random, plan.meanGapMs)) {
    const atMs = Math.floor(at)
    if (atMs + MIN_FOR_MS > plan.durationMs) return faults
    const longestMs = Math.floor(plan.durationMs) - atMs
    const forMs = Math.min(drawForMs(random, plan.maxForMs), longestMs)
    down = down.filter((crash) => crash.atMs + crash.forMs >= atMs)
    const fault = drawFault(random, plan, { atMs, forMs }, down)
    if (fault === undefined) continue
    faults.push(fault)
    if (fault.kind === 'crash') down.push(fault)
  }
}

function planOf(random: SeededRandom, options: DrawFaultsOptions): Plan {
  const { kinds, maxDown, swarm, ...rest } = parseOptions(optionsSchema(), options, 'drawFaults')
  const allowed = Math.min(maxDown ?? Math.floor((rest.nodes.length - 1) / 2), rest.nodes.length)
  const possible = (kinds ?? faultKinds).filter((kind) => isPossible(kind, rest.nodes.length, allowed))
  if (!swarm || possible.length === 0) return { ...rest, kinds: possible, maxDown: allowed }
  const intensity = MAX_INTENSITY ** (2 * random.next() - 1)
  const subset = drawSubset(random, possible)
  return { ...rest, kinds: subset, maxDown: allowed, meanGapMs: rest.meanGapMs / intensity }
}

function isPossible(kind: Kind, nodes: number, maxDown: number): boolean {
  if (kind === 'crash') return maxDown > 0
  return nodes >= (kind === 'partition' || kind === 'clog' || kind === 'link' ? 2 : 1)
}

/** Undefined where only a crash could be drawn and no further node may be down. */
function drawFault(random: Random, plan: Plan, span: Span, down: readonly Crash[]): Fault | undefined {
  const kind = random.pick(plan.kinds)
  if (kind !== 'crash') return drawOther(random, plan, span, kind)
  const up = plan.nodes.filter((node) => down.every((crash) => crash.node !== node))
  if (down.length < plan.maxDown && up.length > 0) {
    const crash: Crash = { ...span, kind, node: random.pick(up) }
    return plan.loseDisk > 0 && random.next() < plan.loseDisk ? { ...crash, disk: 'lose' } : crash
  }
  const others = plan.kinds.filter((other) => other !== 'crash')
  return others.length === 0 ? undefined : drawOther(random, plan, span, random.pick(others))
}

function drawOther(random: Random, plan: Plan, span: Span, kind: Exclude<Kind, 'crash'>): Fault {
  switch (kind) {
    case 'pause':
      return { ...span, kind, node: random.pick(plan.nodes) }
    case 'partition':
    case 'clog':
      return { ...span, kind, ...drawSplit(random, plan.nodes), ...(random.int(2) === 1 ? { oneWay: true } : {}) }
    case 'link':
      return { ...span, kind, ...drawSplit(random, plan.nodes), change: drawLinkChange(random) }
    case 'clock': {
      const skewMs = drawAround(random, MAX_SKEW_MS)
      return { ...span, kind, node: random.pick(plan.nodes), skewMs, driftPpm: drawAround(random, MAX_DRIFT_PPM) }
    }
    case 'disk':
      return { ...span, kind, node: random.pick(plan.nodes), change: drawDiskChange(random) }
    default:
      return assertNever(kind)
  }
}

function drawLinkChange(random: Random): Extract<Fault, { kind: 'link' }>['change'] {
  return {
    loss: drawRate(random, MAX_LOSS),
    duplicate: drawRate(random, MAX_DUPLICATE),
    latency: { kind: 'exponential', minMs: 0.5, meanMs: 1 + random.int(MAX_LINK_MEAN_MS) },
  }
}

function drawDiskChange(random: Random): Extract<Fault, { kind: 'disk' }>['change'] {
  return {
    syncErrorRate: drawRate(random, MAX_SYNC_ERROR_RATE),
    writeErrorRate: drawRate(random, MAX_WRITE_ERROR_RATE),
    latency: { kind: 'exponential', minMs: 0.1, meanMs: 1 + random.int(MAX_DISK_MEAN_MS) },
  }
}

/** Two sides, neither empty, that together are all nodes. */
function drawSplit(random: Random, nodes: readonly string[]): { from: string[]; to: string[] } {
  const shuffled = random.shuffle([...nodes])
  const cut = 1 + random.int(nodes.length - 1)
  return { from: shuffled.slice(0, cut), to: shuffled.slice(cut) }
}

/** Each as likely in as out, and at least one in. */
function drawSubset(random: Random, kinds: readonly Kind[]): Kind[] {
  const certain = random.int(kinds.length)
  return kinds.filter((_, index) => random.int(2) === 1 || index === certain)
}

function drawExponential(random: Random, mean: number): number {
  return -Math.log(1 - random.next()) * mean
}

/** Log-uniform: as many between 100 ms and 1 s as between 1 s and 10 s. */
function drawForMs(random: Random, maxForMs: number): number {
  return Math.floor(MIN_FOR_MS * (maxForMs / MIN_FOR_MS) ** random.next())
}

/** Three decimals are enough, and can be read. */
function drawRate(random: Random, max: number): number {
  return Math.round(random.next() * max * 1_000) / 1_000
}

function drawAround(random: Random, max: number): number {
  return random.int(2 * max + 1) - max
}
