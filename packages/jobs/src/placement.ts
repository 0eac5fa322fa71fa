/**
 * Which of the waiting candidates get cores now, how many and where: admission in the order of the queue, one core
 * each or what it must have, then growth until cores or caps are used up.
 */
import { apportion } from './apportion.js'
import { AUTO_RANK, EXCLUSIVE_RANK, type Candidate } from './candidate.js'
import type { Fleet, FleetWorker } from './fleet.js'
import type { WaitingQueue } from './waiting-queue.js'

/** The cores of one shard. */
export interface Part {
  readonly worker: FleetWorker
  cores: number
}

export interface Placed<T> {
  readonly candidate: Candidate<T>
  readonly parts: Part[]
}

interface Growing<T> extends Placed<T> {
  /** Workers to avoid. */
  readonly avoid: readonly string[]
  cores: number
}

const NOTHING: never[] = []

export interface PlaceOptions {
  readonly nowMs: number
  /** A candidate that has waited this long comes first, and what does not fit waits behind it. */
  readonly agingMs: number
  /** Whether something exclusive runs: then nothing is placed. */
  readonly exclusiveRunning: boolean
}

/**
 * Takes what can be placed now out of the queue and its cores out of the fleet; in order of admission.
 * The tenants' use grows with it.
 */
export function place<T>(queue: WaitingQueue<T>, fleet: Fleet, options: PlaceOptions): readonly Placed<T>[] {
  if (options.exclusiveRunning || queue.size === 0 || fleet.room === 0) return NOTHING
  queue.age(options.nowMs - options.agingMs)
  const admitted = admit(queue, fleet)
  // A fixed candidate is at its cap; most others of one virtual user are too.
  if (fleet.room === 0 || admitted.every(isAtCap)) return admitted
  const growing = admitted.filter(({ candidate }) => candidate.fixed === 0)
  const named = growing.filter(({ candidate }) => candidate.rank !== AUTO_RANK)
  const rest = growing.filter(({ candidate }) => candidate.rank === AUTO_RANK)
  grow(named, fleet, ({ vus }) => vus)
  grow(rest, fleet, () => 1)
  return admitted
}

/** An aged candidate that does not fit ends the walk, so that cores drain to it: nothing starves. */
function admit<T>(queue: WaitingQueue<T>, fleet: Fleet): Growing<T>[] {
  let admitted: Growing<T>[] = NOTHING
  const walk = queue.walk(fleet)
  while (fleet.room > 0) {
    const candidate = walk.next()
    if (candidate === undefined) break
    const isAged = candidate.agedGroup !== null
    if (candidate.rank === EXCLUSIVE_RANK && (admitted.length > 0 || !fleet.isIdle)) {
      // While it stands first, nothing else is planned, so that the workers become idle.
      if (admitted.length === 0 || isAged) break
      walk.passOverExclusive()
      continue
    }
    const cores = Math.max(1, candidate.fixed)
    const avoid = candidate.shape?.avoid(fleet) ?? []
    const worker = fleet.best(candidate.workflow, cores, avoid)
    if (worker === undefined) {
      if (isAged) break
      walk.passOver(candidate)
      continue
    }
    queue.remove(candidate)
    fleet.take(worker, cores, -1)
    candidate.tenant.use(cores)
    const growing: Growing<T> = { candidate, parts: [{ worker, cores }], avoid, cores }
    // Most often there is one, and a list made for one is much smaller.
    if (admitted.length === 0) admitted = [growing]
    else admitted.push(growing)
    if (candidate.rank === EXCLUSIVE_RANK) break
  }
  return admitted
}

function isAtCap<T>({ candidate, cores }: Growing<T>): boolean {
  return cores >= candidate.cap
}

/** Shares what is free among the admitted, their own first cores included, in proportion to their weights. */
function grow<T>(admitted: readonly Growing<T>[], fleet: Fleet, weightOf: (candidate: Candidate<T>) => number): void {
  if (admitted.every(isAtCap)) return
  const weights = admitted.map(({ candidate }) => weightOf(candidate))
  const reach = admitted.map((growing) => reachOf(growing, fleet))
  const targets = apportion(fleet.room + admitted.length, weights, {
    min: 1,
    max: admitted.map(({ candidate }, index) => Math.min(candidate.cap, 1 + (reach[index] ?? 0))),
  })
  // Whoever can go to the fewest places goes first.
  const turns = [...admitted.keys()].sort((a, b) => (reach[a] ?? 0) - (reach[b] ?? 0) || a - b)
  for (const index of turns) {
    const growing = admitted[index]
    if (growing !== undefined) extend(growing, (targets[index] ?? 1) - growing.cores, fleet)
  }
  growIntoRest(admitted, weights, fleet)
}

/** Where not everyone may run everywhere, shares can miss cores: whoever can use those gets them. */
function growIntoRest<T>(admitted: readonly Growing<T>[], weights: readonly number[], fleet: Fleet): void {
  for (;;) {
    const open: { growing: Growing<T>; weight: number; most: number }[] = []
    for (const [index, growing] of admitted.entries()) {
      const most = Math.min(growing.candidate.cap - growing.cores, reachOf(growing, fleet))
      if (most > 0) open.push({ growing, weight: weights[index] ?? 1, most })
    }
    if (open.length === 0) return
    const shares = apportion(
      Math.max(1, fleet.room),
      open.map(({ weight }) => weight),
      { max: open.map(({ most }) => most) },
    )
    let given = 0
    for (const [index, { growing }] of open.entries()) given += extend(growing, shares[index] ?? 0, fleet)
    if (given === 0) return
  }
}

/** Cores that it could still get. */
function reachOf<T>({ candidate, parts, avoid }: Growing<T>, fleet: Fleet): number {
  let reach = candidate.spread ? fleet.roomFor(candidate.workflow, avoid) : 0
  // What it shares a worker with does not need a slot of that worker.
  for (const { worker } of parts) if (!candidate.spread || worker.room === 0) reach += Math.max(0, worker.free)
  return reach
}

/** Gives it up to `cores` more, on its own workers first; returns how many. */
function extend<T>(growing: Growing<T>, cores: number, fleet: Fleet): number {
  const { candidate, parts, avoid } = growing
  let left = cores
  for (const part of parts) {
    const more = Math.min(left, Math.max(0, part.worker.free))
    if (more <= 0) continue
    fleet.take(part.worker, more)
    part.cores += more
    left -= more
  }
  while (candidate.spread && left > 0) {
    const worker = fleet.best(candidate.workflow, 1, avoid)
    if (worker === undefined) break
    const more = Math.min(left, worker.room)
    fleet.take(worker, more, -1)
    parts.push({ worker, cores: more })
    left -= more
  }
  const given = cores - Math.max(0, left)
  if (given <= 0) return 0
  growing.cores += given
  candidate.tenant.use(given)
  return given
}
