import { ClosedError, ConfigError } from '@hs/core'
import { MemoryLogger, MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import { Cluster, HierarchicalDetector, type HierarchicalDetectorOptions } from '@hs/swim'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { suspicionTimeoutMs } from '../src/suspicion.js'
import { NodeRegistry } from './node-registry.js'

function setUp(options: Partial<HierarchicalDetectorOptions> = {}) {
  const clock = new VirtualClock()
  const nodes = new NodeRegistry('a', 'b', 'c')
  const detector = new HierarchicalDetector({ nodes, clock, logger: new MemoryLogger(), ...options })
  const events: string[] = []
  for (const name of ['scopeSuspected', 'scopeDead', 'scopeRecovered'] as const) {
    detector.events.on(name, ({ scope, node }) => events.push(`${clock.now()} ${name} ${scope}/${node}`))
  }
  return { clock, nodes, detector, events }
}

const invalid: unknown = expect.objectContaining({ code: 'INVALID_ARGUMENT' })

describe('HierarchicalDetector (SWIM-42)', () => {
  it('lets a node be dead for one scope and alive for the others', () => {
    const { clock, detector, events } = setUp()
    expect(detector.suspect('job-1', 'a')).toBe('started')
    expect(detector.status('job-1', 'a')).toBe('suspect')
    clock.advance(9_999)
    expect(detector.status('job-1', 'a')).toBe('suspect')
    clock.advance(1)
    expect(detector.status('job-1', 'a')).toBe('dead')
    expect(detector.status('job-2', 'a')).toBe('alive')
    expect(detector.status('job-1', 'b')).toBe('alive')
    expect(events).toEqual(['0 scopeSuspected job-1/a', '10000 scopeDead job-1/a'])
  })

  it.each(['dead', 'left', 'unconfirmed'] as const)(
    'calls a node that is globally %s dead in every scope',
    (status) => {
      const { nodes, detector } = setUp()
      detector.suspect('job-1', 'a')
      nodes.set('a', status)
      expect(detector.status('job-1', 'a')).toBe('dead')
      expect(detector.status('job-2', 'a')).toBe('dead')
      expect(detector.suspect('job-1', 'a')).toBe('ignored')
      expect(detector.status('job-1', 'nobody')).toBe('dead')
    },
  )

  it('passes a global suspicion on, and a verdict of the scope outranks it', () => {
    const { clock, nodes, detector } = setUp()
    nodes.set('a', 'suspect')
    expect(detector.status('job-1', 'a')).toBe('suspect')
    expect(detector.suspect('job-1', 'a')).toBe('started')
    clock.advance(10_000)
    expect(detector.status('job-1', 'a')).toBe('dead')
    expect(detector.status('job-2', 'a')).toBe('suspect')
  })
})

describe('HierarchicalDetector over a Cluster (SWIM-42, 44)', () => {
  it('keeps a verdict while the machine lives, and forgets it when the machine dies', async () => {
    const clock = new VirtualClock()
    const network = new MemoryNetwork({ clock, latencyMs: 1 })
    const random = new SeededRandom(1)
    const clusters = ['m', 'w', 'x'].map((name) => {
      const transports = { datagram: network.datagram(`${name}:1`), rpc: network.rpc(`${name}:1`) }
      return new Cluster({ name, clock, random: random.fork(name), ...transports, seeds: ['m:1'] })
    })
    for (const cluster of clusters) await cluster.start()
    await clock.advanceAsync(5_000)
    const [manager, worker] = clusters as [Cluster, Cluster]
    const detector = new HierarchicalDetector({ nodes: manager, clock })
    expect(detector.suspect('job-1', 'w')).toBe('started')
    await clock.advanceAsync(10_000)
    expect(detector.status('job-1', 'w')).toBe('dead')
    expect(detector.status('job-2', 'w')).toBe('alive')
    await worker.stop()
    await clock.advanceAsync(60_000)
    expect(manager.member('w')?.status).toBe('dead')
    expect(detector.status('job-2', 'w')).toBe('dead')
    expect(detector.snapshot().suspicions).toBe(0)
    detector.stop()
    for (const cluster of clusters) await cluster.stop()
  })
})

describe('HierarchicalDetector (SWIM-43)', () => {
  it.each([
    [0, 10_000],
    [1, 5_500],
    [2, 2_867],
    [3, 1_000],
    [9, 1_000],
  ])('with %d confirmations the verdict falls after %d ms', (confirmations, ms) => {
    const { clock, detector } = setUp()
    detector.suspect('job-1', 'a', 'n0')
    for (let i = 1; i <= confirmations; i++) expect(detector.suspect('job-1', 'a', `n${i}`)).toBe('confirmed')
    clock.advance(ms - 1)
    expect(detector.status('job-1', 'a')).toBe('suspect')
    clock.advance(1)
    expect(detector.status('job-1', 'a')).toBe('dead')
  })

  it('is dead at the minimum although confirmations arrive every 50 ms', () => {
    const { clock, detector, events } = setUp()
    detector.suspect('job-1', 'a', 'n0')
    for (let i = 1; i < 60; i++) {
      clock.advance(50)
      detector.suspect('job-1', 'a', `n${i}`)
    }
    expect(events[1]).toBe('1000 scopeDead job-1/a')
    expect(events).toHaveLength(2)
  })

  it('gives the verdict at once when a confirmation comes after the shorter time', () => {
    const { clock, detector, events } = setUp()
    detector.suspect('job-1', 'a', 'n0')
    clock.advance(6_000)
    expect(detector.suspect('job-1', 'a', 'n1')).toBe('confirmed')
    clock.advance(0)
    expect(events).toEqual(['0 scopeSuspected job-1/a', '6000 scopeDead job-1/a'])
  })

  it('counts an accuser once, and itself where none is named', () => {
    const { clock, detector } = setUp()
    expect(detector.suspect('job-1', 'a')).toBe('started')
    expect(detector.suspect('job-1', 'a')).toBe('ignored')
    expect(detector.suspect('job-1', 'a', 'self')).toBe('ignored')
    expect(detector.suspect('job-1', 'a', 'n1')).toBe('confirmed')
    expect(detector.suspect('job-1', 'a', 'n1')).toBe('ignored')
    clock.advance(5_499)
    expect(detector.status('job-1', 'a')).toBe('suspect')
  })

  it('remembers 64 accusers, or as many as can matter', () => {
    const { detector } = setUp()
    const outcomes = Array.from({ length: 70 }, (_, i) => detector.suspect('job-1', 'a', `n${i}`))
    expect(outcomes.filter((outcome) => outcome === 'confirmed')).toHaveLength(63)
    expect(outcomes.at(-1)).toBe('ignored')
    const many = setUp({ confirmations: 100 }).detector
    for (let i = 0; i <= 100; i++) expect(many.suspect('job-1', 'a', `n${i}`)).not.toBe('ignored')
  })

  it('waits longer while this node itself is unwell, as it was when the suspicion began', () => {
    const { clock, nodes, detector, events } = setUp()
    nodes.localHealth = 2
    detector.suspect('job-1', 'a', 'n0')
    nodes.localHealth = 8
    for (const accuser of ['n1', 'n2', 'n3']) detector.suspect('job-1', 'a', accuser)
    clock.advance(10_000)
    expect(events.at(-1)).toBe('3000 scopeDead job-1/a')
  })

  it('always takes the minimum if nobody can confirm', () => {
    const { clock, detector } = setUp({ confirmations: 0 })
    detector.suspect('job-1', 'a')
    clock.advance(1_000)
    expect(detector.status('job-1', 'a')).toBe('dead')
  })

  it('ignores unknown nodes and verdicts already given', () => {
    const { clock, detector, events } = setUp()
    expect(detector.suspect('job-1', 'nobody')).toBe('ignored')
    detector.suspect('job-1', 'a')
    clock.advance(10_000)
    expect(detector.suspect('job-1', 'a', 'n1')).toBe('ignored')
    expect(events).toHaveLength(2)
  })

  it('refuses what is beyond a bound, counts it, and has room again after', () => {
    const { detector } = setUp({ maxSuspicionsPerScope: 2, maxSuspicions: 3 })
    expect(detector.suspect('job-1', 'a')).toBe('started')
    expect(detector.suspect('job-1', 'b')).toBe('started')
    expect(detector.suspect('job-1', 'c')).toBe('refused')
    expect(detector.suspect('job-2', 'a')).toBe('started')
    expect(detector.suspect('job-2', 'b')).toBe('refused')
    expect(detector.suspect('job-1', 'a', 'n1')).toBe('confirmed')
    expect(detector.snapshot()).toMatchObject({ suspicions: 3, refused: 2 })
    detector.alive('job-1', 'a')
    expect(detector.suspect('job-1', 'c')).toBe('started')
  })

  it.each([true, false])('begins clean with a restarted node (told by no event: %s)', (quietly) => {
    const { clock, nodes, detector, events } = setUp()
    detector.suspect('job-1', 'a')
    detector.suspect('job-2', 'a')
    clock.advance(10_000)
    detector.suspect('job-3', 'a')
    nodes.restart('a', { quietly })
    expect(detector.status('job-1', 'a')).toBe('alive')
    expect(detector.alive('job-2', 'a')).toBe(false)
    clock.advance(20_000)
    expect(detector.status('job-3', 'a')).toBe('alive')
    expect(detector.suspect('job-1', 'a')).toBe('started')
    expect(events.filter((event) => event.includes('job-3'))).toEqual(['10000 scopeSuspected job-3/a'])
    expect(detector.snapshot().suspicions).toBe(1)
  })
})

describe('HierarchicalDetector (SWIM-44)', () => {
  it.each(['dead', 'left'] as const)('drops every record of a node that is globally %s, silently', (status) => {
    const { clock, nodes, detector, events } = setUp()
    detector.suspect('job-1', 'a')
    detector.suspect('job-2', 'a')
    detector.suspect('job-2', 'b')
    nodes.set('a', status)
    expect(detector.snapshot()).toEqual({
      suspicions: 1,
      refused: 0,
      scopes: { 'job-2': { suspect: ['b'], dead: [] } },
    })
    clock.advance(20_000)
    expect(events.filter((event) => event.includes('/a'))).toHaveLength(2)
  })

  it('closes a scope: its records and timers are gone, silently', () => {
    const { clock, detector, events } = setUp()
    detector.suspect('job-1', 'a')
    detector.suspect('job-1', 'b')
    detector.suspect('job-2', 'c')
    expect(detector.closeScope('job-1')).toBe(2)
    expect(detector.closeScope('job-1')).toBe(0)
    clock.advance(20_000)
    expect(events.slice(3)).toEqual(['10000 scopeDead job-2/c'])
    expect(detector.closeScope('job-2')).toBe(1)
    expect(detector.snapshot()).toEqual({ suspicions: 0, refused: 0, scopes: {} })
    expect(clock.pendingTimers).toBe(0)
  })

  it('lifts a suspicion and a verdict by evidence', () => {
    const { clock, detector, events } = setUp()
    expect(detector.alive('job-1', 'a')).toBe(false)
    detector.suspect('job-1', 'a')
    expect(detector.alive('job-1', 'a')).toBe(true)
    expect(detector.alive('job-1', 'a')).toBe(false)
    detector.suspect('job-1', 'a')
    clock.advance(10_000)
    expect(detector.alive('job-1', 'a')).toBe(true)
    expect(detector.status('job-1', 'a')).toBe('alive')
    expect(events.map((event) => event.split(' ')[1])).toEqual([
      'scopeSuspected',
      'scopeRecovered',
      'scopeSuspected',
      'scopeDead',
      'scopeRecovered',
    ])
  })
})

describe('HierarchicalDetector (SWIM-45)', () => {
  it('moves the verdict, at most five times a suspicion', () => {
    const { clock, detector, events } = setUp()
    expect(detector.postpone('job-1', 'a', 100)).toBe(false)
    detector.suspect('job-1', 'a')
    for (let i = 0; i < 5; i++) expect(detector.postpone('job-1', 'a', 100)).toBe(true)
    expect(detector.postpone('job-1', 'a', 100)).toBe(false)
    clock.advance(20_000)
    expect(events.at(-1)).toBe('10500 scopeDead job-1/a')
    expect(detector.postpone('job-1', 'a', 100)).toBe(false)
  })

  it('moves it by at most so much in all; what would exceed it moves nothing and counts nothing', () => {
    const { clock, detector, events } = setUp({ maxPostponedMs: 1_000, maxPostponements: 2 })
    detector.suspect('job-1', 'a')
    expect(detector.postpone('job-1', 'a', 600)).toBe(true)
    expect(detector.postpone('job-1', 'a', 401)).toBe(false)
    expect(detector.postpone('job-1', 'a', 0)).toBe(false)
    expect(detector.postpone('job-1', 'a', 400)).toBe(true)
    clock.advance(20_000)
    expect(events.at(-1)).toBe('11000 scopeDead job-1/a')
  })

  it('keeps the extension when a confirmation comes, and starts counting anew with a new suspicion', () => {
    const { clock, detector, events } = setUp({ maxPostponements: 1 })
    detector.suspect('job-1', 'a', 'n0')
    detector.postpone('job-1', 'a', 2_000)
    for (const accuser of ['n1', 'n2', 'n3']) detector.suspect('job-1', 'a', accuser)
    clock.advance(10_000)
    expect(events.at(-1)).toBe('3000 scopeDead job-1/a')
    detector.alive('job-1', 'a')
    detector.suspect('job-1', 'a')
    expect(detector.postpone('job-1', 'a', 2_000)).toBe(true)
  })

  it('keeps all deadlines in one timer of the clock', () => {
    const nodes = new NodeRegistry(...Array.from({ length: 200 }, (_, i) => `n${i}`))
    const { clock, detector } = setUp({ nodes })
    for (const node of nodes.nodes.keys()) detector.suspect('job-1', node)
    expect(clock.pendingTimers).toBe(1)
    clock.advance(10_000)
    expect(clock.pendingTimers).toBe(0)
    expect(detector.snapshot().scopes['job-1']?.dead).toHaveLength(200)
  })
})

describe('HierarchicalDetector and misuse', () => {
  it.each([
    {},
    { nodes: {} },
    { nodes: new NodeRegistry(), minTimeoutMs: 0 },
    { nodes: new NodeRegistry(), minTimeoutMs: 2_000, maxTimeoutMs: 1_999 },
    { nodes: new NodeRegistry(), confirmations: -1 },
    { nodes: new NodeRegistry(), maxSuspicions: 0 },
    { nodes: new NodeRegistry(), maxPostponedMs: NaN },
    { nodes: new NodeRegistry(), timeout: 5 },
  ])('refuses options %#', (options) => {
    expect(() => new HierarchicalDetector(options as unknown as HierarchicalDetectorOptions)).toThrow(ConfigError)
  })

  it('refuses names that are empty and spans that are none', () => {
    const { detector } = setUp()
    expect(() => detector.suspect('', 'a')).toThrow(invalid)
    expect(() => detector.suspect('job-1', 'a', '')).toThrow(invalid)
    expect(() => detector.alive('job-1', undefined as unknown as string)).toThrow(invalid)
    detector.suspect('job-1', 'a')
    for (const span of [-1, NaN, Infinity]) expect(() => detector.postpone('job-1', 'a', span)).toThrow(invalid)
  })

  it('is closed after stop, gives no verdict any more, and can still be read', () => {
    const { clock, nodes, detector, events } = setUp()
    detector.suspect('job-1', 'a')
    detector.stop()
    detector.stop()
    expect(clock.pendingTimers).toBe(0)
    expect(nodes.events.listenerCount('memberDead')).toBe(0)
    expect(detector.status('job-1', 'a')).toBe('suspect')
    expect(detector.snapshot().suspicions).toBe(1)
    expect(() => detector.suspect('job-1', 'a')).toThrow(ClosedError)
    expect(() => detector.alive('job-1', 'a')).toThrow(ClosedError)
    expect(() => detector.postpone('job-1', 'a', 1)).toThrow(ClosedError)
    expect(() => detector.closeScope('job-1')).toThrow(ClosedError)
    clock.advance(20_000)
    expect(events).toHaveLength(1)
  })

  it('goes on when a listener throws, and says which record it was about', () => {
    const logger = new MemoryLogger()
    const { detector } = setUp({ logger })
    detector.events.on('scopeSuspected', () => {
      throw new Error('no room')
    })
    expect(detector.suspect('job-1', 'a')).toBe('started')
    expect(logger.at('error')[0]?.fields).toMatchObject({ scope: 'job-1', node: 'a' })
  })

  it('shows plain frozen data, whatever scopes are called', () => {
    const { detector } = setUp()
    detector.suspect('__proto__', 'a')
    const snapshot = detector.snapshot()
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot)
    expect(Object.keys(snapshot.scopes)).toEqual(['__proto__'])
    expect(Object.isFrozen(snapshot.scopes)).toBe(true)
  })
})

interface ModelRecord {
  readonly startedAt: number
  readonly accusers: Set<string>
  extra: number
  grants: number
  dead: boolean
}

/** The rules once more, as a table of deadlines that is looked at after every step. */
class Model {
  now = 0
  readonly alive = new Map([
    ['a', true],
    ['b', true],
    ['c', true],
  ])
  readonly records = new Map<string, ModelRecord>()

  settle(): void {
    for (const record of this.records.values()) if (this.#dueAt(record) <= this.now) record.dead = true
  }

  suspect(scope: string, node: string, accuser: string): string {
    const key = `${scope}/${node}`
    if (this.alive.get(node) !== true) return 'ignored'
    const record = this.records.get(key)
    if (record === undefined) {
      if (this.records.size >= 5) return 'refused'
      if ([...this.records.keys()].filter((held) => held.startsWith(`${scope}/`)).length >= 2) return 'refused'
      const accusers = new Set([accuser])
      this.records.set(key, { startedAt: this.now, accusers, extra: 0, grants: 0, dead: false })
      return 'started'
    }
    if (record.dead || record.accusers.has(accuser)) return 'ignored'
    record.accusers.add(accuser)
    return 'confirmed'
  }

  postpone(scope: string, node: string, ms: number): boolean {
    const record = this.records.get(`${scope}/${node}`)
    if (record === undefined || record.dead || record.grants >= 3 || record.extra + ms > 4_000) return false
    record.grants++
    record.extra += ms
    return true
  }

  drop(matches: (key: string) => boolean): number {
    const keys = [...this.records.keys()].filter(matches)
    for (const key of keys) this.records.delete(key)
    return keys.length
  }

  status(scope: string, node: string): string {
    if (this.alive.get(node) !== true) return 'dead'
    const record = this.records.get(`${scope}/${node}`)
    if (record === undefined) return 'alive'
    return record.dead ? 'dead' : 'suspect'
  }

  #dueAt({ startedAt, accusers, extra }: ModelRecord): number {
    return startedAt + suspicionTimeoutMs(accusers.size - 1, 2, 1_000, 6_000) + extra
  }
}

describe('HierarchicalDetector against a model (SWIM-42..45)', () => {
  const scope = fc.constantFrom('s1', 's2', 's3')
  const node = fc.constantFrom('a', 'b', 'c')
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('suspect'), scope, node, accuser: fc.constantFrom('x', 'y', 'z', 'w') }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('alive'), scope, node }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('postpone'), scope, node, ms: fc.integer({ min: 1, max: 2_500 }) }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('advance'), ms: fc.integer({ min: 0, max: 3_000 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('close'), scope }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('die'), node }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart'), node }) },
  ) as fc.Arbitrary<{ kind: string; scope: string; node: string; accuser: string; ms: number }>

  it('does what the model does', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { clock, nodes, detector } = setUp({
          minTimeoutMs: 1_000,
          maxTimeoutMs: 6_000,
          confirmations: 2,
          maxSuspicionsPerScope: 2,
          maxSuspicions: 5,
          maxPostponements: 3,
          maxPostponedMs: 4_000,
        })
        const model = new Model()
        let refused = 0
        for (const { kind, scope, node, accuser, ms } of steps) {
          if (kind === 'suspect') {
            const expected = model.suspect(scope, node, accuser)
            if (expected === 'refused') refused++
            expect(detector.suspect(scope, node, accuser)).toBe(expected)
          } else if (kind === 'alive') {
            expect(detector.alive(scope, node)).toBe(model.drop((key) => key === `${scope}/${node}`) === 1)
          } else if (kind === 'postpone') {
            expect(detector.postpone(scope, node, ms)).toBe(model.postpone(scope, node, ms))
          } else if (kind === 'advance') {
            clock.advance(ms)
            model.now += ms
          } else if (kind === 'close') {
            expect(detector.closeScope(scope)).toBe(model.drop((key) => key.startsWith(`${scope}/`)))
          } else if (kind === 'die') {
            nodes.set(node, 'dead')
            model.alive.set(node, false)
            model.drop((key) => key.endsWith(`/${node}`))
          } else {
            nodes.restart(node)
            model.alive.set(node, true)
            model.drop((key) => key.endsWith(`/${node}`))
          }
          clock.advance(0) // what is due by now falls now
          model.settle()
          for (const s of ['s1', 's2', 's3']) {
            for (const n of ['a', 'b', 'c']) expect(detector.status(s, n)).toBe(model.status(s, n))
          }
          expect(detector.snapshot()).toMatchObject({ suspicions: model.records.size, refused })
        }
        detector.stop()
        expect(clock.pendingTimers).toBe(0)
      }),
      { numRuns: 500 },
    )
  })
})
