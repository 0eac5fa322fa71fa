/** The checkers themselves: each law broken on purpose, and the mistakes that peers make caught. */
import { DotContext, GCounter, LWWRegister, ORSet, type Crdt, type GCounterSnapshot } from '@hs/crdt'
import {
  assertAssociative,
  assertCommutative,
  assertConverges,
  assertIdempotent,
  assertJoinLaws,
  assertMonotone,
  crdtSubject,
  LawViolation,
  type JoinSubject,
  type Law,
} from '@hs/crdt/testing'
import { describe, expect, it } from 'vitest'
import { forEachType } from './support/subjects.js'

const numbers = (join: (a: number, b: number) => number): JoinSubject<number> => ({ join, equals: Object.is })

describe('the checkers of laws (CRDT-24)', () => {
  it('say nothing where the law holds', () => {
    assertJoinLaws(numbers(Math.max), 1, 2, 3)
    assertMonotone(numbers(Math.max), 1, 2)
    assertJoinLaws<ReadonlySet<string>>(
      {
        join: (a, b) => new Set([...a, ...b]),
        equals: (a, b) => a.size === b.size && [...a].every((x) => b.has(x)),
        show: (s) => [...s].join(),
      },
      new Set(['a']),
      new Set(['b']),
      new Set(),
    )
  })

  it.each<[Law, () => void]>([
    [
      'commutative',
      () =>
        assertCommutative(
          numbers((a) => a),
          1,
          2,
        ),
    ],
    [
      'associative',
      () =>
        assertAssociative(
          numbers((a, b) => a - b),
          1,
          2,
          3,
        ),
    ],
    [
      'idempotent',
      () =>
        assertIdempotent(
          numbers((a, b) => a + b),
          1,
        ),
    ],
    ['monotone', () => assertMonotone(numbers(Math.max), 2, 1)],
    [
      'idempotent',
      () =>
        assertJoinLaws(
          numbers((a, b) => a + b),
          1,
          2,
          3,
        ),
    ],
    [
      'commutative',
      () =>
        assertJoinLaws(
          numbers((a) => a),
          1,
          2,
          3,
        ),
    ],
    [
      'associative',
      () =>
        assertJoinLaws(
          numbers((a, b) => (a === b ? a : Math.min(9, a * b + 1))),
          1,
          2,
          3,
        ),
    ],
  ])('throw LawViolation for what is not %s', (law, check) => {
    const violation = caught(check)
    expect(violation).toMatchObject({ law, name: 'LawViolation' })
    expect(violation.message).toContain(law)
  })

  it('show both states, in whatever way they can be shown', () => {
    const message = caught(() =>
      assertCommutative(
        numbers((a) => a),
        41,
        42,
      ),
    ).message
    expect(message).toMatch(/41.*42/)
    const bigints: JoinSubject<bigint> = { join: (a) => a, equals: (a, b) => a === b }
    expect(caught(() => assertCommutative(bigints, 5n, 6n)).message).toContain('5')
    const named: JoinSubject<number> = { ...numbers((a) => a), show: (n) => `<${n}>` }
    expect(caught(() => assertCommutative(named, 1, 2)).message).toContain('<2>')
  })
})

describe('assertConverges (CRDT-24)', () => {
  it('is the same for the same seed, and takes deltas half the time', () => {
    forEachType((subject) => {
      const first = assertConverges({ ...subject, seed: 7 })
      expect(first).toEqual(assertConverges({ ...subject, seed: 7 }))
      expect(first.seed).toBe(7)
      expect(first.deltas).toBeGreaterThan(0)
      expect(first.deltas).toBeLessThanOrEqual(140)
    })
  })

  it('has 3 replicas, 200 steps and seed 1 unless told otherwise', () => {
    const created: number[] = []
    let mutations = 0
    const result = assertConverges<GCounter>({
      create: (replica) => (created.push(replica), new GCounter()),
      mutate: (state, _, replica) => (mutations++, state.increment(`r${replica}`)),
      decode: (wire) => GCounter.fromWire(wire),
    })
    expect([created, mutations, result.seed]).toEqual([[0, 1, 2], 200, 1])
    expect(result.deltas).toBeGreaterThan(60)
  })

  it('loses nothing with loss 0 and everything with loss 1', () => {
    const decoded = (loss: number, duplicate: number) => {
      let count = 0
      const { deltas } = assertConverges<GCounter>({
        create: () => new GCounter(),
        mutate: (state, _, replica) => state.increment(`r${replica}`),
        decode: (wire) => (count++, GCounter.fromWire(wire)),
        loss,
        duplicate,
      })
      return (count - 12) / deltas // full states: twice, from each of 3 to each of 2
    }
    expect(decoded(1, 1)).toBe(0)
    expect(decoded(0, 0)).toBeGreaterThan(1.8) // some are under way at the end
    expect(decoded(0, 1)).toBeGreaterThan(3.6)
  })

  it('names the seed of a violation', () => {
    const violation = caught(() =>
      assertConverges<Mutant>({
        create: () => new Mutant(),
        mutate: (state, random, replica) => state.inner.set(random.int(9), 1, `w${replica}`),
        decode: Mutant.decode,
        seed: 1_234,
      }),
    )
    expect(violation.law).toBe('convergence')
    expect(violation.message).toContain('1234')
    expect(violation.message).toMatch(/\{"t":1.*\{"t":1/)
  })
})

/** The predecessor's register: on a tie, each side keeps its own. */
class Mutant implements Crdt<Mutant> {
  inner = new LWWRegister<number>()
  merge(other: Mutant): boolean {
    return other.inner.time > this.inner.time && this.inner.merge(other.inner)
  }
  takeDelta(): Mutant | null {
    return this.inner.takeDelta() === null ? null : this.clone()
  }
  clone(): Mutant {
    const copy = new Mutant()
    copy.inner = this.inner.clone()
    return copy
  }
  equals(other: Mutant): boolean {
    return this.inner.equals(other.inner)
  }
  toWire(): unknown {
    return this.inner.toWire()
  }
  static decode(wire: unknown): Mutant {
    const mutant = new Mutant()
    mutant.inner = LWWRegister.fromWire<number>(wire)
    return mutant
  }
}

describe('mistakes that are caught', () => {
  it('ties that are not broken', () => {
    const [a, b] = [new Mutant(), new Mutant()]
    a.inner.set(1, 1, 'w')
    b.inner.set(2, 1, 'w')
    expect(caught(() => assertCommutative(crdtSubject<Mutant>(), a, b)).law).toBe('commutative')
  })

  it('a context that takes a later dot for all earlier ones', () => {
    class Compacted {
      readonly seen = new Map<string, number>()
      add(replica: string, counter: number): void {
        this.seen.set(replica, Math.max(this.seen.get(replica) ?? 0, counter))
      }
    }
    const honest = new DotContext()
    const compacted = new Compacted()
    honest.add('a', 3)
    compacted.add('a', 3)
    expect([honest.contains('a', 2), (compacted.seen.get('a') ?? 0) >= 2]).toEqual([false, true])
    // What that costs: an add of which the delta was lost is taken for a removed one.
    const arrives = (context: { v: number[]; d?: number[] }) => {
      const [a, b] = [new ORSet('a'), new ORSet('b')]
      a.add('x') // its delta is lost
      a.takeDelta()
      a.add('y')
      const { r, e } = (a.takeDelta() as ORSet).toWire()
      b.merge(ORSet.fromWire({ r, e, ...context }, 'b'))
      b.merge(a)
      return [...b].sort()
    }
    expect(arrives({ v: [], d: [0, 2] })).toEqual(['x', 'y'])
    expect(arrives({ v: [0, 2] })).toEqual(['y'])
  })

  it('a removal that does not travel', () => {
    const [a, b] = [new ORSet('a'), new ORSet('b')]
    a.add('x')
    b.merge(a)
    a.takeDelta()
    a.remove('x')
    const delta = a.takeDelta() as ORSet
    const { r, e } = delta.toWire()
    const mutant = ORSet.fromWire({ r, v: [], e }, 'b') // the delta without its context
    expect([b.clone().merge(mutant), b.merge(delta)]).toEqual([false, true])
    expect(b.has('x')).toBe(false)
  })

  it('a merge that forgets to mark, so that nothing is passed on', () => {
    class Silent extends GCounterLike {
      override merge(other: Silent): boolean {
        const delta = this.inner.takeDelta()
        const changed = this.inner.merge(other.inner)
        this.inner.takeDelta()
        if (delta !== null) this.inner.merge(delta)
        return changed
      }
    }
    expect(passesOn(new GCounterLike(), new GCounterLike(), new GCounterLike())).toBe(1)
    expect(passesOn(new Silent(), new Silent(), new Silent())).toBe(0)
  })
})

class GCounterLike {
  readonly inner = new GCounter()
  merge(other: GCounterLike): boolean {
    return this.inner.merge(other.inner)
  }
  snapshot(): GCounterSnapshot {
    return this.inner.snapshot()
  }
}

/** What the third knows if the first tells the second, and the second the third. */
function passesOn<T extends GCounterLike>(first: T, second: T, third: T): number {
  first.inner.increment('a')
  second.merge(first)
  const delta = second.inner.takeDelta()
  if (delta !== null) third.inner.merge(delta)
  return third.snapshot().value
}

function caught(call: () => unknown): LawViolation {
  try {
    call()
  } catch (error) {
    if (error instanceof LawViolation) return error
    throw error
  }
  throw new Error('no law was violated')
}
