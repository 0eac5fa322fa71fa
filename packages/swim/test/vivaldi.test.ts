import type { HsError } from '@hs/core'
import { ConfigError, DecodeError } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import { distanceMs, Vivaldi, type Coordinate } from '@hs/swim'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { filter as filterOf, keepCoordinate, newContact } from '../src/contact.js'
import { LatencyFilter } from '../src/latency-filter.js'
import { clientsOf, errorsOf, internet, medianOf, simulate, spaces, type RttMatrix } from './network-spaces.js'

const random = () => new SeededRandom(7)
const flat = (vec: number[], rest: Partial<Coordinate> = {}): Coordinate => ({
  vec,
  heightMs: 0,
  adjustmentMs: 0,
  error: 1.5,
  ...rest,
})

describe('Vivaldi (SWIM-39)', () => {
  it('starts at the origin, knowing nothing', () => {
    const { coordinate, samples } = new Vivaldi()
    expect(coordinate).toEqual({
      vec: [0, 0, 0, 0, 0, 0, 0, 0],
      heightMs: 0.01,
      adjustmentMs: 0,
      error: 1.5,
      samples: 0,
    })
    expect(samples).toBe(0)
  })

  it('moves by the weighted error along the way between the two', () => {
    const vivaldi = new Vivaldi({ dimensions: 2, adjustmentWindow: 0, heightMinMs: 0 })
    // d = 30, rtt = 50, w = 1/2: the error becomes 1.5 + 0.25 · 0.5 · (20/50 − 1.5), the way 0.25 · 0.5 · 20 longer.
    const after = vivaldi.observe('b', flat([30, 0]), 50)
    expect(after.vec[0]).toBeCloseTo(-2.5, 6)
    expect(after.vec[1]).toBeCloseTo(0, 12)
    expect(after.error).toBeCloseTo(1.3625, 12)
    expect(after.samples).toBe(1)
    expect(vivaldi.coordinate).toBe(after)
  })

  it('moves nearer when the round trip is shorter than expected, and less the surer it is', () => {
    const vague = new Vivaldi({ dimensions: 1, adjustmentWindow: 0, heightMinMs: 0 })
    expect(vague.observe('b', flat([100], { error: 0 }), 50).vec[0]).toBeCloseTo(0.25 * 50, 3)
    const sure = new Vivaldi({ dimensions: 1, adjustmentWindow: 0, heightMinMs: 0, errorMax: 0.5 })
    expect(sure.observe('b', flat([100]), 50).vec[0]).toBeCloseTo(0.25 * (0.5 / 2) * 50, 3)
  })

  it('raises the height with the distance, and never below the least', () => {
    const vivaldi = new Vivaldi({ dimensions: 1, adjustmentWindow: 0, heightMinMs: 1 })
    // d = 10 + 1 + 1 = 12, force = 0.25 · 0.5 · 8 = 1, height = 1 + 2 · 1 / 10
    expect(vivaldi.observe('b', flat([10], { heightMs: 1 }), 20).heightMs).toBeCloseTo(1.2, 5)
    for (let i = 0; i < 50; i++) vivaldi.observe('b', flat([10], { heightMs: 1 }), 0.5)
    expect(vivaldi.coordinate.heightMs).toBe(1)
  })

  it('takes the median of the last three round trips of a peer, so that a spike moves nothing', () => {
    const [calm, spiked] = [1, 2].map(() => new Vivaldi({ random: random() }))
    const peer = flat([5, 0, 0, 0, 0, 0, 0, 0], { error: 0.2 })
    for (const rtt of [20, 20, 20, 20]) calm!.observe('b', peer, rtt)
    for (const rtt of [20, 20, 9_000, 20]) spiked!.observe('b', peer, rtt)
    expect(spiked!.coordinate).toEqual(calm!.coordinate)
    spiked!.forget('b')
    spiked!.observe('b', peer, 9_000)
    expect(spiked!.coordinate).not.toEqual(calm!.coordinate)
  })

  it('adjusts by half the mean of what the space cannot express', () => {
    const vivaldi = new Vivaldi({ dimensions: 1, adjustmentWindow: 2, heightMinMs: 0, cc: 1e-9, gravityRho: 1e9 })
    expect(vivaldi.observe('b', flat([10]), 30).adjustmentMs).toBeCloseTo(20 / 4, 5)
    expect(vivaldi.observe('b', flat([10]), 30).adjustmentMs).toBeCloseTo(40 / 4, 5)
    // What is measured is what the distance then says, if the other half comes from the peer.
    expect(distanceMs(vivaldi.coordinate, flat([10], { adjustmentMs: 10 }))).toBeCloseTo(30, 5)
  })

  it('parts coincident nodes in a random direction, not along one axis', () => {
    const dice = random()
    const directions = Array.from({ length: 50 }, () => {
      const vivaldi = new Vivaldi({ dimensions: 2, random: dice })
      return vivaldi.observe('b', flat([0, 0]), 100).vec
    })
    const quadrants = new Set(directions.map(([x, y]) => `${Math.sign(x!)} ${Math.sign(y!)}`))
    expect(quadrants.size).toBe(4)
    for (const [x, y] of directions) expect(Math.hypot(x!, y!)).toBeCloseTo(0.25 * 0.5 * 100, 1)
  })

  it('parts them along an axis if the dice give no direction', () => {
    const middle = { ...random(), next: () => 0.5, int: () => 0, pick: <T>(xs: readonly T[]) => xs[0] as T }
    const vivaldi = new Vivaldi({ dimensions: 2, random: { ...middle, shuffle: (xs) => xs } })
    expect(vivaldi.observe('b', flat([0, 0]), 100).vec[0]).toBeGreaterThan(1)
  })

  it.each([
    ['another number of dimensions', flat([1, 2, 3])],
    ['no numbers', { ...flat([]), vec: undefined } as unknown as Coordinate],
    ['nothing', undefined as unknown as Coordinate],
    ['a place that is not finite', flat([1, NaN])],
    ['text', flat([1, '2' as unknown as number])],
    ['a negative height', flat([1, 2], { heightMs: -1 })],
    ['an infinite height', flat([1, 2], { heightMs: Infinity })],
    ['an adjustment that is not finite', flat([1, 2], { adjustmentMs: NaN })],
    ['a negative error', flat([1, 2], { error: -0.1 })],
    ['an error that is not finite', flat([1, 2], { error: NaN })],
    ['a negative number of samples', flat([1, 2], { samples: -1 })],
  ])('refuses a coordinate with %s and changes nothing', (_, theirs) => {
    const vivaldi = new Vivaldi({ dimensions: 2, random: random() })
    vivaldi.observe('a', flat([1, 1]), 10)
    const before = vivaldi.coordinate
    expect(() => vivaldi.observe('b', theirs, 10)).toThrow(DecodeError)
    expect(vivaldi.coordinate).toBe(before)
    expect(vivaldi.samples).toBe(1)
  })

  it.each([0, -1, NaN, Infinity, 10_000.1])('refuses a round trip of %d ms and changes nothing', (rtt) => {
    const vivaldi = new Vivaldi({ dimensions: 1 })
    const before = vivaldi.coordinate
    expect(() => vivaldi.observe('b', flat([1]), rtt)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as HsError,
    )
    expect(vivaldi.coordinate).toBe(before)
    expect(vivaldi.observe('b', flat([1]), 10_000).samples).toBe(1)
  })

  it('starts again from the origin when a peer throws it out of all bounds', () => {
    const vivaldi = new Vivaldi({ dimensions: 2 })
    vivaldi.observe('a', flat([3, 4]), 50)
    vivaldi.observe('b', flat([1e308, -1e308], { error: 0 }), 50)
    expect(vivaldi.coordinate).toEqual({ ...new Vivaldi({ dimensions: 2 }).coordinate })
    expect(vivaldi.samples).toBe(0)
    expect(vivaldi.observe('a', flat([3, 4]), 50).samples).toBe(1)
  })

  it('hands out values that later samples leave as they are', () => {
    const vivaldi = new Vivaldi({ random: random() })
    const first = vivaldi.observe('b', flat(new Array<number>(8).fill(1)), 40)
    const copy = structuredClone(first)
    vivaldi.observe('b', flat(new Array<number>(8).fill(2)), 90)
    expect(first).toEqual(copy)
  })

  it('stays finite with an error within its bound whatever is observed', () => {
    const number = (min: number, max: number) => fc.double({ min, max, noNaN: true })
    const sample = fc.record({
      peer: fc.constantFrom('a', 'b', 'c'),
      rtt: number(1e-9, 10_000),
      theirs: fc.record({
        vec: fc.array(number(-1e150, 1e150), { minLength: 2, maxLength: 2 }),
        heightMs: number(0, 1e300),
        adjustmentMs: number(-1e300, 1e300),
        error: number(0, 1e300),
      }),
    })
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 30 }), (samples) => {
        const vivaldi = new Vivaldi({ dimensions: 2, random: random() })
        for (const { peer, rtt, theirs } of samples) {
          const c = vivaldi.observe(peer, theirs, rtt)
          for (const x of [...c.vec, c.heightMs, c.adjustmentMs, c.error]) expect(Number.isFinite(x)).toBe(true)
          expect(c.error).toBeGreaterThanOrEqual(0)
          expect(c.error).toBeLessThanOrEqual(1.5)
          expect(c.heightMs).toBeGreaterThanOrEqual(0.01)
        }
      }),
    )
  })

  it.each([
    { dimensions: 0 },
    { dimensions: 2.5 },
    { errorMax: 0 },
    { ce: 1.1 },
    { cc: 0 },
    { adjustmentWindow: -1 },
    { heightMinMs: -1 },
    { latencyFilterSize: 0 },
    { gravityRho: 0 },
    { dimension: 8 },
  ])('refuses %o', (options) => {
    expect(() => new Vivaldi(options)).toThrow(ConfigError)
  })
})

describe('Vivaldi in spaces that are known (SWIM-39; the limits are 1.5 times those of Serf)', () => {
  const seeds = [1, 2, 3, 4, 5]

  it.each([
    { space: 'line', mean: 0.0031, worst: 0.013 },
    { space: 'grid', mean: 0.0016, worst: 0.023 },
    { space: 'split', mean: 0.00006, worst: 0.00048 },
    { space: 'circle', mean: 0.0028, worst: 0.064 },
    { space: 'random', mean: 0.075, worst: 0.33 },
  ] as const)('fits the $space', ({ space, mean, worst }) => {
    const runs = seeds.map((seed) => {
      const dice = new SeededRandom(seed)
      const truth = spaces[space](dice)
      const clients = clientsOf(truth.length, { random: dice, dimensions: space === 'circle' ? 2 : 8 })
      simulate(clients, truth, 1_000, dice)
      return { ...errorsOf(clients, truth), height: clients[0]!.coordinate.heightMs }
    })
    expect(medianOf(runs.map((run) => run.mean))).toBeLessThanOrEqual(1.5 * mean)
    expect(medianOf(runs.map((run) => run.worst))).toBeLessThanOrEqual(1.5 * worst)
    if (space === 'circle') expect(medianOf(runs.map((run) => run.height))).toBeGreaterThanOrEqual(97)
  })

  it('predicts round trips of an Internet with crooked paths, jitter and spikes within 11 % (median, plane and height)', () => {
    const dice = new SeededRandom(11)
    const truth = internet(300, dice)
    const clients = clientsOf(truth.length, { random: dice, dimensions: 2 })
    simulate(clients, truth, 1_000, dice, {
      measured: (rtt) => rtt * (dice.next() < 0.02 ? 10 : 1 + 0.1 * dice.next()),
    })
    expect(errorsOf(clients, truth).median).toBeLessThanOrEqual(0.11)
  })

  it('is drawn back to the origin by a fifth in 10,000 cycles', () => {
    const side = 500
    // Serf's square, whose one diagonal is as short as a side: it does not quite fit a plane, so that it keeps moving.
    const truth: RttMatrix = [0, 1, 2, 3].map((i) =>
      [0, 1, 2, 3].map((j) => ((i === 0 && j === 2) || (i === 2 && j === 0) ? Math.SQRT2 * side : side)),
    )
    const corners = [
      [0, 0],
      [0, side],
      [side, side],
      [side, 0],
    ]
    const ratios = seeds.map((seed) => {
      const dice = new SeededRandom(seed)
      const clients = clientsOf(4, { random: dice, dimensions: 2 })
      // Landmarks that are sure of themselves lead each to its corner.
      for (let i = 0; i < 2_000; i++) {
        clients.forEach((client, c) => {
          const [x, y] = corners[c] as [number, number]
          const landmark = flat([x + (i % 2 === 0 ? 300 : -120), y + (i % 3 === 0 ? 200 : -250)], { error: 0.01 })
          const way = Math.hypot(landmark.vec[0]! - x, landmark.vec[1]! - y)
          client.observe(`landmark-${i % 6}`, landmark, way)
        })
      }
      const centre = () => {
        const at = clients.map((client) => client.coordinate.vec)
        const middle = (axis: number) =>
          (Math.min(...at.map((v) => v[axis]!)) + Math.max(...at.map((v) => v[axis]!))) / 2
        return Math.hypot(middle(0), middle(1))
      }
      simulate(clients, truth, 1_000, dice)
      const before = centre()
      expect(before).toBeGreaterThan(250)
      simulate(clients, truth, 10_000, dice)
      return centre() / before
    })
    expect(medianOf(ratios)).toBeLessThanOrEqual(0.8)
  })

  it('lets a newcomer reach half its final error within 10 samples', () => {
    const ratios = seeds.map((seed) => {
      const dice = new SeededRandom(seed)
      const truth = spaces.grid()
      const settled = clientsOf(truth.length, { random: dice })
      simulate(settled, truth, 1_000, dice)
      const newcomer = new Vivaldi({ random: dice })
      const others = settled.slice(1)
      const errorNow = () =>
        medianOf(
          others.map((peer, j) => {
            const actual = truth[0]![j + 1]!
            return Math.abs(distanceMs(newcomer.coordinate, peer.coordinate) - actual) / actual
          }),
        )
      const first = errorNow()
      const observe = () => {
        const j = dice.int(others.length)
        newcomer.observe(`node-${j}`, others[j]!.coordinate, truth[0]![j + 1]!)
      }
      for (let i = 0; i < 10; i++) observe()
      const early = errorNow()
      for (let i = 0; i < 1_000; i++) observe()
      // Half of the way from the first error to the last is behind it.
      return (early - errorNow()) / (first - errorNow())
    })
    expect(medianOf(ratios)).toBeLessThanOrEqual(0.5)
  })
})

describe('LatencyFilter', () => {
  it('keeps the medians of peers apart', () => {
    const filter = new LatencyFilter(3, 100)
    const medians = [201, 200, 207, 1_900, 203].map((rtt) => filter.push('alice', rtt))
    expect(medians).toEqual([201, 200, 201, 207, 207])
    expect(filter.push('bob', 310)).toBe(310)
    filter.forget('alice')
    expect(filter.push('alice', 888)).toBe(888)
  })

  it('is the lower median of the last samples, whatever the window, through forgetting and limits', () => {
    const step = fc.record({ peer: fc.integer({ min: 0, max: 14 }), value: fc.nat(1_000), forget: fc.nat(9) })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.array(step, { maxLength: 300 }), (window, steps) => {
        const filter = new LatencyFilter(window, 10)
        const model = new Map<string, number[]>()
        for (const { peer, value, forget } of steps) {
          const name = `p${peer}`
          if (forget === 0) {
            filter.forget(name)
            model.delete(name)
            continue
          }
          if (!model.has(name) && model.size === 10) model.delete([...model.keys()][0]!)
          const last = [...(model.get(name) ?? []), value].slice(-window)
          model.set(name, last)
          const expected = [...last].sort((a, b) => a - b)[(last.length - 1) >> 1]
          expect(filter.push(name, value)).toBe(expected)
          expect(filter.size).toBe(model.size)
        }
      }),
    )
  })

  it('says what the contact of a member says of its last three, whenever its coordinate comes', () => {
    const coordinate = new Float64Array(36).fill(1)
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { minLength: 1, maxLength: 20 }), fc.nat(20), (values, comesAt) => {
        const filter = new LatencyFilter(3, 100)
        let contact = newContact()
        for (const [i, value] of values.entries()) {
          if (i === comesAt) contact = keepCoordinate(contact, 0, coordinate, 12)
          expect(filterOf(contact, value)).toBe(filter.push('alice', value))
        }
      }),
    )
  })
})
