/** What a breaker costs around a call, refused or not, and what one a peer takes of the heap. */
import { BreakerRegistry, CircuitBreaker } from '@hs/health'
import {
  circuitBreaker,
  CountBreaker,
  handleAll,
  SamplingBreaker,
  type CircuitBreakerPolicy,
  type IBreaker,
} from 'cockatiel'
import Opossum from 'opossum'
import type { Contender, Workload } from '../harness.js'
import type { Report } from '../swim/report.js'
import { cpuMsOf } from './cpu-time.js'

const answer = async () => 1
const OURS = 'CircuitBreaker.run'
const COUNT = 'cockatiel 3.2, CountBreaker'
const SAMPLING = 'cockatiel 3.2, SamplingBreaker'
const OPOSSUM = 'opossum 9'

const cockatiel = (breaker: IBreaker): CircuitBreakerPolicy =>
  circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker })
const counting = () => cockatiel(new CountBreaker({ threshold: 0.5, size: 100, minimumNumberOfCalls: 10 }))
const sampling = () => cockatiel(new SamplingBreaker({ threshold: 0.5, duration: 30_000 }))
/** Without its time limit, which no other here has. */
const opossum = () => new Opossum(answer, { timeout: false, rollingCountTimeout: 30_000 })

/** One after the other, so that nothing but the call itself counts. */
const inTurn = (name: string, call: () => Promise<number>, ours = false): Contender => ({
  name,
  ours,
  run: async (n) => {
    let sum = 0
    for (let i = 0; i < n; i++) sum += await call()
    return sum
  },
})

/** It keeps an interval running, which would keep this process alive. */
const opossumInTurn = (): Contender => {
  let breaker: Opossum<[], number> | undefined
  return {
    ...inTurn(OPOSSUM, () => (breaker === undefined ? answer() : breaker.fire())),
    setup: () => (breaker = opossum()),
    teardown: () => breaker?.shutdown(),
  }
}

const calls = new CircuitBreaker({ window: { calls: 100 } })
const timed = new CircuitBreaker({ window: { ms: 30_000 } })
const [countingPeer, samplingPeer] = [counting(), sampling()]

const refusing = new CircuitBreaker({ openMs: 1e9, maxOpenMs: 1e9, consecutiveFailures: 1 })
refusing.tryAcquire()?.failure()
const refusingPeer = counting()

const refusedOpossum = (): Contender => {
  let breaker: Opossum<[], number> | undefined
  return {
    ...inTurn(OPOSSUM, () => (breaker ?? opossum()).fire().catch(() => 1)),
    setup: () => {
      breaker = opossum()
      breaker.open()
    },
    teardown: () => breaker?.shutdown(),
  }
}

export const breakerWorkloads: Workload[] = [
  {
    name: 'run of a resolved async function, { calls: 100 }',
    contenders: [
      inTurn(OURS, () => calls.run(answer), true),
      inTurn(COUNT, () => countingPeer.execute(answer)),
      opossumInTurn(),
      inTurn('no breaker at all', answer),
    ],
    goals: [
      { peer: COUNT, ratio: 1 / 0.75 },
      { peer: OPOSSUM, ratio: 1 / 0.4 },
    ],
  },
  {
    name: 'run of a resolved async function, { ms: 30_000 }',
    contenders: [
      inTurn(OURS, () => timed.run(answer), true),
      inTurn(SAMPLING, () => samplingPeer.execute(answer)),
      opossumInTurn(),
    ],
    goals: [
      { peer: SAMPLING, ratio: 1 / 0.85 },
      { peer: OPOSSUM, ratio: 1 / 0.4 },
    ],
  },
  {
    name: 'refused call',
    contenders: [
      {
        name: 'CircuitBreaker.tryAcquire',
        ours: true,
        run: (n) => {
          let refused = 0
          for (let i = 0; i < n; i++) if (refusing.tryAcquire() === null) refused++
          if (refused !== n) throw new Error('not refused')
          return refused
        },
      },
      { ...inTurn(COUNT, () => refusingPeer.execute(answer).catch(() => 1)), setup: () => refusingPeer.isolate() },
      refusedOpossum(),
    ],
    goals: [
      { peer: COUNT, ratio: 10 },
      { peer: OPOSSUM, ratio: 10 },
    ],
  },
]

/** Nanoseconds for a permit and its success; there is no look at a clock in it. */
function permitCost(n: number): number {
  const work = () => {
    for (let i = 0; i < n; i++) calls.tryAcquire()?.success()
  }
  return (cpuMsOf(15, work) / n) * 1e6
}

/** Bytes of heap each, the least of some rounds, for whatever else the process allocates meanwhile comes on top. */
function heapOf<T>(count: number, make: (names: readonly string[]) => T, forget: (made: T) => void): number {
  const collect = globalThis.gc
  if (collect === undefined) throw new Error('run with --expose-gc')
  const names = Array.from({ length: count }, (_, i) => `peer-${i}`)
  const used = () => {
    collect()
    collect()
    return process.memoryUsage().heapUsed
  }
  const rounds = Array.from({ length: 3 }, () => {
    const before = used()
    const made = make(names)
    const bytes = (used() - before) / count
    forget(made)
    return bytes
  })
  return Math.min(...rounds)
}

const nothing = () => {}

export function printBreakers(report: Report, isSmoke: boolean): void {
  const peers = isSmoke ? 100 : 10_000
  const bytes = {
    ours: heapOf(peers, registryOf, nothing),
    cockatiel: heapOf(peers, (names) => new Map(names.map((name) => [name, sampling()])), nothing),
    opossum: heapOf(
      peers,
      (names) => new Map(names.map((name) => [name, opossum()])),
      (made) => made.forEach((breaker) => breaker.shutdown()),
    ),
  }
  const figures = [
    { what: 'tryAcquire and success, { calls }: ns', figure: permitCost(isSmoke ? 100 : 500_000), atMost: 35 },
    { what: 'heap of 10,000 closed breakers: x cockatiel', figure: bytes.ours / bytes.cockatiel, atMost: 0.35 },
    { what: 'heap of 10,000 closed breakers: x opossum', figure: bytes.ours / bytes.opossum, atMost: 0.1 },
  ]
  const each = Object.entries(bytes).map(([name, found]) => `${name} ${found.toFixed(0)}`)
  console.log(`bytes of heap a breaker, each with a success in its window: ${each.join(', ')}`)
  for (const judged of figures)
    console.log(`${judged.what}: ${judged.figure.toFixed(3)}, at most ${judged.atMost}: ${report.verdict(judged)}`)
}

function registryOf(names: readonly string[]): BreakerRegistry {
  const registry = new BreakerRegistry({ maxPeers: names.length })
  for (const name of names) registry.for(name).tryAcquire()?.success()
  return registry
}
