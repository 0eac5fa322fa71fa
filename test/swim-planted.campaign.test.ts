/**
 * Defects that others have shipped, planted one at a time: a campaign finds each, and the same seeds hold without it.
 * Otherwise what the campaigns prove would be nothing.
 */
import { simulate, type NemesisOptions, type Scenario, type Simulation } from '@hs/sim'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ElectionLease } from '../packages/swim/src/election-lease.js'
import { Outbox } from '../packages/swim/src/outbox.js'
import type * as rings from '../packages/swim/src/probe-ring.js'
import type * as proxies from '../packages/swim/src/proxy.js'
import type * as suspicions from '../packages/swim/src/suspicion.js'
import { elections, type ElectionPlant } from './support/swim-elections.js'
import {
  anotherOrderEachRound,
  confirmedSoonDead,
  crashIsSeen,
  probedUnderChurn,
  wellBesideTheDead,
} from './support/swim-planted.js'

type Plant =
  | 'K = n'
  | 'a confirmation restarts the timer'
  | 'no reshuffle'
  | 'a change resets the ring'
  | 'proxies answer from memory'

const planted = vi.hoisted(() => ({ plant: undefined as Plant | undefined, simNowMs: (): number => 0 }))

vi.mock('../packages/swim/src/suspicion.js', async (importOriginal) => {
  const original = await importOriginal<typeof suspicions>()
  const { Suspicion, suspicionBoundsMs, suspicionTimeoutMs } = original
  let n = 0
  class Planted extends Suspicion {
    /** The node's clock against the time of the world. */
    readonly #aheadMs: number

    constructor(...[accuser, nowMs, expected, bounds]: ConstructorParameters<typeof Suspicion>) {
      super(accuser, nowMs, planted.plant === 'K = n' ? n - 2 : expected, bounds)
      this.#aheadMs = nowMs - planted.simNowMs()
    }

    override confirm(accuser: string, nowMs: number, graceMs: number): boolean {
      if (planted.plant !== 'a confirmation restarts the timer') return super.confirm(accuser, nowMs, graceMs)
      if (this.accusers.includes(accuser)) return false
      this.accusers.push(accuser)
      const counted = Math.min(this.confirmations, this.expected)
      const timeoutMs = suspicionTimeoutMs(counted, this.expected, this.minMs, this.maxMs)
      this.putOff(planted.simNowMs() + this.#aheadMs + timeoutMs)
      return true
    }
  }
  return {
    ...original,
    Suspicion: Planted,
    suspicionBoundsMs: (...args: Parameters<typeof suspicionBoundsMs>) => {
      n = args[0]
      return suspicionBoundsMs(...args)
    },
  }
})

vi.mock('../packages/swim/src/probe-ring.js', async (importOriginal) => {
  const original = await importOriginal<typeof rings>()
  const { ProbeRing } = original
  class Planted<T extends rings.RingMember> extends ProbeRing<T> {
    /** Who comes next by the list; the ring itself keeps its own order. */
    #list: T[] = []
    #at = 0

    override add(member: T): void {
      super.add(member)
      this.#list.push(member)
      if (planted.plant === 'a change resets the ring') this.#at = 0
    }

    override remove(member: T): void {
      super.remove(member)
      this.#list = this.#list.filter((other) => other !== member)
      if (planted.plant === 'a change resets the ring') this.#at = 0
    }

    override next(): T | undefined {
      if (planted.plant !== 'no reshuffle' && planted.plant !== 'a change resets the ring') return super.next()
      if (this.#at >= this.#list.length) this.#at = 0
      return this.#list[this.#at++]
    }
  }
  return { ...original, ProbeRing: Planted }
})

vi.mock('../packages/swim/src/proxy.js', async (importOriginal) => {
  const original = await importOriginal<typeof proxies>()
  const { Proxy } = original
  class Planted extends Proxy {
    readonly #parts: ConstructorParameters<typeof Proxy>

    constructor(...parts: ConstructorParameters<typeof Proxy>) {
      super(...parts)
      this.#parts = parts
    }

    override serve(...[from, reader]: Parameters<InstanceType<typeof Proxy>['serve']>): void {
      const [state, outbox] = this.#parts
      const target = reader.target()
      const isRemembered = state.table.get(target)?.view.status === 'alive'
      if (planted.plant !== 'proxies answer from memory' || !isRemembered) return super.serve(from, reader)
      outbox.relayed(from, reader.sequence, target)
    }
  }
  return { ...original, Proxy: Planted }
})

/** It takes a rare race: a seed shortly before one that shows it. */
const LEASE_SEED = 55

const quick = { throwOnFailure: false, shrink: false, checkDeterminism: false }

interface Search {
  seeds?: number
  firstSeed?: number
  /** How many seeds must hold without the defect, at the least; those that it took are among them. */
  twins?: number
}

/** What a campaign says of a scenario with a defect in it; the same seeds, and more, hold without the defect. */
async function found(flawed: Scenario, sound: Scenario, plant: () => void, search: Search = {}): Promise<string> {
  const { seeds = 50, firstSeed = 1, twins = 5 } = search
  plant()
  const report = await simulate(flawed, { ...quick, seeds, firstSeed })
  vi.restoreAllMocks()
  planted.plant = undefined
  const [failure] = report.failures
  expect(failure?.code, `nothing found in ${seeds} seeds`).toBe('INVARIANT_VIOLATED')
  const twin = await simulate(sound, { ...quick, seeds: Math.max(twins, report.runs), firstSeed })
  expect(twin).toMatchObject({ failures: [], missing: [] })
  return failure?.message ?? ''
}

/** With its own time at hand for the plants. */
function timed(scenario: Scenario): Scenario {
  return {
    ...scenario,
    setup: (sim) => {
      planted.simNowMs = () => sim.now
      return scenario.setup(sim)
    },
  }
}

const membership = (scenario: Scenario, plant: Plant, twins?: number) =>
  found(timed(scenario), timed(scenario), () => (planted.plant = plant), twins === undefined ? {} : { twins })

beforeEach(() => {
  planted.plant = undefined
})

afterEach(() => {
  vi.restoreAllMocks()
})

describe('Planted defects of membership are found (SWIM section 7)', { timeout: 300_000 }, () => {
  it('K = n: all must confirm before a suspicion ends early', async () => {
    expect(await membership(confirmedSoonDead, 'K = n', 1)).toMatch(/a suspicion that others confirm ends early/)
  })

  it('a confirmation that restarts the timer', async () => {
    const message = await membership(confirmedSoonDead, 'a confirmation restarts the timer', 1)
    expect(message).toMatch(/a suspicion that others confirm ends early/)
  })

  it('no nack: who is well falls ill from probing the dead', async () => {
    const plant = () => void vi.spyOn(Outbox.prototype, 'nack').mockImplementation(() => undefined)
    const message = await found(wellBesideTheDead, wellBesideTheDead, plant)
    expect(message).toMatch(/who is well stays well, whoever is dead/)
  })

  it('proxies that answer from memory', async () => {
    expect(await membership(crashIsSeen, 'proxies answer from memory')).toMatch(/who crashed is dead to all/)
  })

  it('no reshuffle: the same order in every round', async () => {
    const message = await membership(anotherOrderEachRound, 'no reshuffle')
    expect(message).toMatch(/nobody probes in the same order three rounds running/)
  })

  it('a ring that begins anew whenever somebody comes or goes', async () => {
    const message = await membership(probedUnderChurn, 'a change resets the ring')
    expect(message).toMatch(/each probes each within 2\(n - 1\) periods/)
  })
})

describe('Planted defects of elections are found (SWIM section 7)', { timeout: 300_000 }, () => {
  const election = (name: string, nemesis: NemesisOptions, plant: ElectionPlant, sow = () => {}, firstSeed = 1) => {
    const flawed = { ...elections(name, plant), nemesis }
    return found(flawed, { ...elections(name, {}), nemesis }, sow, { seeds: 100, firstSeed })
  }

  it('a lease from the receipt of an acknowledgement', async () => {
    let sim: Simulation | undefined
    const sow = () => {
      const receivedAt = new WeakMap<ElectionLease, number>()
      const extend = ElectionLease.prototype.extendBySize
      const until = Object.getOwnPropertyDescriptor(ElectionLease.prototype, 'untilMs')?.get ?? (() => -Infinity)
      const nowOf = new WeakMap<ElectionLease, number>()
      const send = ElectionLease.prototype.send
      vi.spyOn(ElectionLease.prototype, 'send').mockImplementation(function (this: ElectionLease, nowMs: number) {
        nowOf.set(this, nowMs - (sim?.now ?? 0)) // the node's clock against true time
        return send.call(this, nowMs)
      })
      vi.spyOn(ElectionLease.prototype, 'extendBySize').mockImplementation(function (
        this: ElectionLease,
        size: number,
      ) {
        const before = until.call(this) as number
        extend.call(this, size)
        if ((until.call(this) as number) > before) receivedAt.set(this, (sim?.now ?? 0) + (nowOf.get(this) ?? 0))
      })
      vi.spyOn(ElectionLease.prototype, 'untilMs', 'get').mockImplementation(function (this: ElectionLease) {
        const at = receivedAt.get(this)
        return at === undefined ? -Infinity : at + 3_000
      })
    }
    const nemesis = { kinds: ['link', 'partition', 'clog'], meanGapMs: 1_500, maxForMs: 8_000, swarm: false } as const
    const plant = { prepare: (made: Simulation) => (sim = made) }
    expect(await election('lease from receipt', nemesis, plant, sow, LEASE_SEED)).toMatch(/at most one leader/)
  })

  it('a quorum of the members that seem alive', async () => {
    const nemesis = { kinds: ['crash', 'partition'], meanGapMs: 1_500, maxForMs: 20_000, swarm: false } as const
    const message = await election('quorum of the living', nemesis, { countsTheLiving: true })
    expect(message).toMatch(/at most one leader|one vote/)
  })

  it('a vote that is given before it is saved', async () => {
    const forgetful: ElectionPlant = {
      store: () => ({ durable: true, load: async () => undefined, save: async () => undefined }),
    }
    const nemesis = {
      ...{ kinds: ['crash', 'partition'] as const, swarm: false },
      ...{ meanGapMs: 1_500, maxForMs: 5_000, maxDown: 7 },
    }
    const message = await election('unsaved votes', nemesis, forgetful)
    expect(message).toMatch(/one vote a \(name, term\), and tokens that grow|at most one leader/)
  })
})
