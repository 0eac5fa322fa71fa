/** Every type of the package as the generic tests see it: how to make one, change it, and bring it over the wire. */
import type { Random } from '@hs/core'
import {
  GCounter,
  JobStats,
  LWWMap,
  LWWRegister,
  MaxRegister,
  ORSet,
  PNCounter,
  VectorClock,
  type Crdt,
  type CrdtLimits,
} from '@hs/crdt'

export interface Subject<S extends Crdt<S>> {
  readonly name: string
  create(replica: number, limits?: CrdtLimits): S
  mutate(state: S, random: Random, replica: number): void
  decode(wire: unknown, replica: number, limits?: CrdtLimits): S
  /** Names, numbers and values: what of a state no fold and no gossip may lose. */
  value?(state: S): unknown
}

const NAMES = ['a', 'b', '__proto__', 'constructor', 'é', '😀']
const VALUES = [null, true, 0, 1, 'x', [1], { k: 1 }, { k: [null, { z: 'y' }] }]

const logical = (random: Random) => 1 + random.int(6)

export const gCounter: Subject<GCounter> = {
  name: 'GCounter',
  create: (_, limits) => new GCounter(limits),
  decode: (wire, _, limits) => GCounter.fromWire(wire, limits),
  mutate(state, random, replica) {
    switch (random.int(4)) {
      case 0:
        return void state.advance(`w${random.int(3)}`, random.int(50))
      case 1:
        return void state.fold(`w${random.int(3)}`, `own${replica}`)
      default:
        return state.increment(`own${replica}`, random.int(5))
    }
  },
}

export const pnCounter: Subject<PNCounter> = {
  name: 'PNCounter',
  create: (_, limits) => new PNCounter(limits),
  decode: (wire, _, limits) => PNCounter.fromWire(wire, limits),
  mutate(state, random, replica) {
    if (random.int(5) === 0) return void state.fold(`own${random.int(replica + 1)}`, `keeper${replica}`)
    if (random.int(2) === 0) return state.increment(`own${replica}`, random.int(9))
    return state.decrement(`own${replica}`, random.int(9))
  },
}

export const maxRegister: Subject<MaxRegister> = {
  name: 'MaxRegister',
  create: () => new MaxRegister(),
  decode: (wire) => MaxRegister.fromWire(wire),
  mutate: (state, random) => void state.advance(random.int(100) - 50.5),
}

export const lwwRegister: Subject<LWWRegister> = {
  name: 'LWWRegister',
  create: (_, limits) => new LWWRegister(limits),
  decode: (wire, _, limits) => LWWRegister.fromWire(wire, limits),
  // Few times and writers, so that ties are common.
  mutate: (state, random) => void state.set(random.pick(VALUES), logical(random), random.pick(NAMES)),
}

export const lwwMap: Subject<LWWMap> = {
  name: 'LWWMap',
  create: (_, limits) => new LWWMap(limits),
  decode: (wire, _, limits) => LWWMap.fromWire(wire, limits),
  mutate(state, random) {
    const key = random.pick(NAMES)
    if (random.int(3) === 0) state.delete(key, logical(random), random.pick(NAMES))
    else state.set(key, random.pick(VALUES), logical(random), random.pick(NAMES))
  },
}

export const vectorClock: Subject<VectorClock> = {
  name: 'VectorClock',
  create: (_, limits) => new VectorClock(limits),
  decode: (wire, _, limits) => VectorClock.fromWire(wire, limits),
  mutate(state, random, replica) {
    if (random.int(4) === 0) state.observe(random.pick(NAMES), random.int(20))
    else state.tick(`r${replica}`)
  },
}

export const orSet: Subject<ORSet> = {
  name: 'ORSet',
  create: (replica, limits) => new ORSet(`r${replica}`, limits),
  decode: (wire, replica, limits) => ORSet.fromWire(wire, `r${replica}`, limits),
  mutate(state, random) {
    const element = random.pick(NAMES)
    const dice = random.int(20)
    if (dice === 0) state.clear()
    else if (dice < 8) state.remove(element)
    else state.add(element)
  },
}

export const jobStats: Subject<JobStats> = {
  name: 'JobStats',
  create: (_, limits) => new JobStats('job', limits),
  decode: (wire, _, limits) => JobStats.fromWire(wire, limits),
  mutate(state, random, replica) {
    const name = random.pick(['east', 'west', '__proto__'])
    if (random.int(6) === 0) return void state.retire(name, logical(random) + 2, `gate${replica}`)
    state.observe(name, {
      completed: random.int(100),
      failed: random.int(10),
      rate: random.int(4) / 2,
      status: random.pick(['running', 'done']),
      time: logical(random),
    })
  },
}

/** Calls `test` for each type, each with its own type parameter. */
export function forEachType(test: <S extends Crdt<S>>(subject: Subject<S>) => void): void {
  test(gCounter)
  test(pnCounter)
  test(maxRegister)
  test(lwwRegister)
  test(lwwMap)
  test(vectorClock)
  test(orSet)
  test(jobStats)
}

/**
 * What a few replicas come to by changes, and by full states and deltas that all arrive in order: a random history.
 * (Where deltas are lost, an OR-set may keep an element that a lost delta took away, until the next full state; so may
 * then its joins, in one order and not in another.)
 */
export function reach<S extends Crdt<S>>(subject: Subject<S>, random: Random, replicas = 3, steps = 20): S[] {
  const states = Array.from({ length: replicas }, (_, replica) => subject.create(replica))
  for (let step = 0; step < steps; step++) {
    const from = random.int(replicas)
    const state = states[from] as S
    subject.mutate(state, random, from)
    const dice = random.int(6)
    if (dice === 0) states[random.int(replicas)]?.merge(state)
    if (dice > 1) continue
    const delta = state.takeDelta()
    if (delta !== null) for (const other of states) if (other !== state) other.merge(delta)
  }
  return states
}
