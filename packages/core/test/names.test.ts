import fc from 'fast-check'
import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  backpressureLevels,
  ConfigError,
  datacenterHealths,
  DecodeError,
  formatAddress,
  HsError,
  IdGenerator,
  LimitError,
  messagePriorities,
  newNodeId,
  overloadStates,
  parseAddress,
  parseNodeId,
  supersedes,
  type BackpressureLevel,
  type Brand,
  type DatacenterHealth,
  type DatacenterId,
  type JobId,
  type MessagePriority,
  type NodeId,
  type OverloadState,
} from '@hs/core'
import { SeededRandom, VirtualClock } from '@hs/core/testing'

const invalidArgument = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
const YEAR_2024 = Date.UTC(2024, 0, 1)
const nameStart = 'ABCXYZabcxyz0189'
const names = fc
  .tuple(
    fc.constantFrom(...nameStart),
    fc.string({ unit: fc.constantFrom(...nameStart, '.', '_', '-'), maxLength: 99 }),
  )
  .map((parts) => parts.join(''))

describe('NodeId (CORE-37)', () => {
  it('is name@generation, the generation 11 base-36 digits of time and 12 random bits', () => {
    const clock = new VirtualClock({ wallStartMs: YEAR_2024 + 1_000 })
    const id = newNodeId('gate-1', { clock, random: new SeededRandom(1) })
    expect(id).toMatch(/^gate-1@[0-9a-z]{11}$/)
    const { name, generation } = parseNodeId(id)
    expect(name).toBe('gate-1')
    expect(generation).toBe(1_000 * 4_096 + new SeededRandom(1).int(4_096))
  })

  it('refuses an option that does not exist: with a misspelt after the id could be the older one', () => {
    const refusal = expect.objectContaining({ code: 'CONFIG_INVALID' }) as Error
    expect(() => newNodeId('gate-1', { aftre: 5 } as object)).toThrow(refusal)
  })

  it('reads back what it makes, for any name, time and generation before', () => {
    const times = fc.integer({ min: YEAR_2024, max: YEAR_2024 + 2 ** 40 })
    const befores = fc.option(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 1 }), { nil: undefined })
    fc.assert(
      fc.property(names, times, befores, fc.integer(), (name, wallStartMs, after, seed) => {
        const clock = new VirtualClock({ wallStartMs })
        const random = new SeededRandom(seed)
        const parsed = parseNodeId(newNodeId(name, after === undefined ? { clock, random } : { clock, random, after }))
        expect(parsed.name).toBe(name)
        const fresh = (wallStartMs - YEAR_2024) * 4_096
        if (after !== undefined && after >= fresh + 4_095) expect(parsed.generation).toBe(after + 1)
        else expect(parsed.generation - fresh).toBeGreaterThanOrEqual(0)
        if (after !== undefined) expect(parsed.generation).toBeGreaterThan(after)
      }),
    )
  })

  it('renews above a generation of its own name, though the clock stepped back', () => {
    const before = newNodeId('gate-1', { clock: new VirtualClock({ wallStartMs: YEAR_2024 + 10_000 }) })
    const clock = new VirtualClock({ wallStartMs: YEAR_2024 - 5_000 })
    const blind = newNodeId('gate-1', { clock })
    expect(supersedes(blind, before)).toBe(false)
    const after = newNodeId('gate-1', { clock, after: parseNodeId(before).generation })
    expect(supersedes(after, before)).toBe(true)
    expect(parseNodeId(after).generation).toBe(parseNodeId(before).generation + 1)
  })

  it('supersedes only the same name, and not itself', () => {
    const a = newNodeId('a')
    expect(supersedes(a, a)).toBe(false)
    expect(supersedes(newNodeId('b', { after: parseNodeId(a).generation }), a)).toBe(false)
    expect(() => supersedes('a' as NodeId, a)).toThrow(DecodeError)
  })

  it('has the order of generations as its order of strings', () => {
    const generations = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 1 })
    fc.assert(
      fc.property(generations, generations, (x, y) => {
        const clock = new VirtualClock({ wallStartMs: 0 })
        const [a, b] = [newNodeId('n', { clock, after: x }), newNodeId('n', { clock, after: y })]
        expect(Math.sign(Number(a > b) - Number(a < b))).toBe(
          Math.sign(parseNodeId(a).generation - parseNodeId(b).generation),
        )
      }),
    )
  })

  it.each(['', '-a', '.a', '_a', 'a b', 'a@b', 'ä', 'a'.repeat(101), 5, undefined])('refuses the name %o', (name) => {
    expect(() => newNodeId(name as string)).toThrow(invalidArgument)
  })

  it.each([-1, 1.5, NaN, 2 ** 53])('refuses after: %s', (after) => {
    expect(() => newNodeId('a', { after })).toThrow(invalidArgument)
  })

  it('says when generations are used up', () => {
    expect(() => newNodeId('a', { after: Number.MAX_SAFE_INTEGER })).toThrow(LimitError)
  })

  it.each([
    '',
    'a',
    'a@',
    '@00000000001',
    'a@0000000001',
    'a@000000000001',
    'a@0000000000A',
    'a@0000000000-',
    'a@b@00000000001',
    'a@00000000001\n',
    'a@zzzzzzzzzzz', // no safe integer
    'a@2gosa7pa2gw', // 2^53
    ' a@00000000001',
    `${'a'.repeat(101)}@00000000001`,
    5,
    null,
  ])('parseNodeId refuses %o', (text) => {
    expect(() => parseNodeId(text as string)).toThrow(DecodeError)
  })

  it('parseNodeId takes the largest generation', () => {
    expect(parseNodeId('a@2gosa7pa2gv').generation).toBe(Number.MAX_SAFE_INTEGER)
  })
})

describe('IdGenerator (CORE-38)', () => {
  const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  const counterOf = (id: string) => parseInt(id.slice(15, 18), 16)

  it('makes UUIDv7 of the wall clock', () => {
    const clock = new VirtualClock({ wallStartMs: 0x0123_4567_89ab })
    const id = new IdGenerator({ clock, random: new SeededRandom(1) }).next()
    expect(id).toMatch(pattern)
    expect(id.startsWith('01234567-89ab-7')).toBe(true)
    expect(IdGenerator.timeOf(id)).toBe(0x0123_4567_89ab)
    expect(new IdGenerator().next()).toMatch(pattern)
  })

  it('shows the time from the first millisecond of the epoch on', () => {
    const clock = new VirtualClock({ wallStartMs: 0 })
    const ids = new IdGenerator({ clock })
    expect(IdGenerator.timeOf(ids.next())).toBe(0)
    expect(counterOf(new IdGenerator({ clock }).next())).toBeLessThan(2_048)
    clock.advance(1)
    expect(IdGenerator.timeOf(ids.next())).toBe(1)
  })

  it('starts the counter anew each millisecond, at random below 2048', () => {
    const clock = new VirtualClock()
    const ids = new IdGenerator({ clock, random: new SeededRandom(2) })
    const counters = Array.from({ length: 2_000 }, () => {
      clock.advance(1)
      return counterOf(ids.next())
    })
    expect(Math.max(...counters)).toBeLessThan(2_048)
    expect(Math.max(...counters)).toBeGreaterThan(1_900)
    expect(Math.min(...counters)).toBeLessThan(150)
    expect(new Set(counters).size).toBeGreaterThan(1_000)
  })

  it('counts up within a millisecond and runs into the next on overflow', () => {
    const clock = new VirtualClock()
    const ids = new IdGenerator({ clock, random: new SeededRandom(3) })
    const made = Array.from({ length: 20_000 }, () => ids.next())
    for (let i = 1; i < made.length; i++) {
      const [before, after] = [made[i - 1]!, made[i]!]
      const sameMs = IdGenerator.timeOf(after) === IdGenerator.timeOf(before)
      if (sameMs) expect(counterOf(after)).toBe(counterOf(before) + 1)
      else {
        expect(IdGenerator.timeOf(after)).toBe(IdGenerator.timeOf(before) + 1)
        expect(counterOf(before)).toBe(4_095)
        expect(counterOf(after)).toBeLessThan(2_048)
      }
    }
    expect(IdGenerator.timeOf(made.at(-1)!) - clock.wallNow()).toBeGreaterThanOrEqual(4)
  })

  it('rises strictly whatever the wall clock does', () => {
    const steps = fc.array(fc.integer({ min: -10_000, max: 10_000 }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(steps, fc.integer(), (moves, seed) => {
        const clock = new VirtualClock()
        const ids = new IdGenerator({ clock, random: new SeededRandom(seed) })
        let last = ''
        for (const move of moves) {
          clock.setWall(clock.wallNow() + move)
          const id = ids.next()
          expect(id > last).toBe(true)
          expect(id).toMatch(pattern)
          last = id
        }
      }),
    )
  })

  it('begins at 0 under a clock before the epoch or with fractions', () => {
    let wall = -5
    const clock = Object.assign(new VirtualClock(), { wallNow: () => wall })
    const ids = new IdGenerator({ clock })
    const first = ids.next()
    expect(first).toMatch(pattern)
    wall = 1_000.25
    const second = ids.next()
    wall = 1_000.75
    const third = ids.next()
    expect(first < second && second < third).toBe(true)
    expect(IdGenerator.timeOf(third)).toBe(1_000)
  })

  it('fills all 62 random bits', () => {
    const ids = new IdGenerator({ clock: new VirtualClock(), random: new SeededRandom(4) })
    let ones = 0n
    let zeros = 0n
    for (let i = 0; i < 200; i++) {
      const bits = BigInt(`0x${ids.next().slice(19).replace('-', '')}`)
      ones |= bits
      zeros |= ~bits & (2n ** 64n - 1n)
    }
    expect(ones).toBe(0xbfff_ffff_ffff_ffffn)
    expect(zeros).toBe(0x7fff_ffff_ffff_ffffn)
  })

  it.each([{ clock: {} }, { random: 5 }, { clok: new VirtualClock() }])('refuses the options %o', (options) => {
    expect(() => new IdGenerator(options as object)).toThrow(ConfigError)
  })

  it('makes 100,000 ids without a repetition', () => {
    const ids = new IdGenerator()
    expect(new Set(Array.from({ length: 100_000 }, () => ids.next())).size).toBe(100_000)
  })

  it.each([
    '',
    'x',
    '01234567-89ab-4def-8000-000000000000',
    '01234567-89ab-7def-c000-000000000000',
    '0123456789ab7def8000000000000000',
    '01234567-89ab-7def-8000-00000000000g',
    ' 01234567-89ab-7def-8000-000000000000',
    5,
    undefined,
  ])('timeOf refuses %o', (id) => {
    expect(() => IdGenerator.timeOf(id as string)).toThrow(DecodeError)
  })

  it('timeOf takes capitals, as the RFC asks', () => {
    expect(IdGenerator.timeOf('01234567-89AB-7DEF-8000-000000000000')).toBe(0x0123_4567_89ab)
  })
})

describe('addresses (CORE-39)', () => {
  it.each([
    ['localhost:80', 'localhost', 80],
    ['127.0.0.1:65535', '127.0.0.1', 65_535],
    ['My_host-1.example.com:00080', 'My_host-1.example.com', 80],
    ['[::1]:443', '::1', 443],
    ['[::]:1', '::', 1],
    ['[2001:db8::ff00:42:8329]:7', '2001:db8::ff00:42:8329', 7],
    ['[1:2:3:4:5:6:7:8]:7', '1:2:3:4:5:6:7:8', 7],
    ['[::ffff:192.0.2.1]:7', '::ffff:192.0.2.1', 7],
    ['[1::]:7', '1::', 7],
  ])('reads %s', (text, host, port) => {
    expect(parseAddress(text)).toEqual({ host, port })
    expect(parseAddress(formatAddress(host, port))).toEqual({ host, port })
  })

  it.each([
    '',
    'localhost',
    'localhost:',
    ':80',
    'localhost:0',
    'localhost:65536',
    'localhost:000080',
    'localhost:8 0',
    'localhost:+80',
    'localhost:-1',
    'localhost:1e3',
    'localhost:80x',
    'localhost:80\n',
    'local host:80',
    'user@host:80',
    'http://host:80',
    'a:b:80',
    '::1:80',
    '[]:80',
    '[localhost]:80',
    '[127.0.0.1]:80',
    '[1:2:3:4:5:6:7]:80',
    '[1:2:3:4:5:6:7:8:9]:80',
    '[1::2::3]:80',
    '[:::]:80',
    '[1:2:3:4:5:6:7::8]:80',
    '[12345::]:80',
    '[::g]:80',
    '[::1%eth0]:80',
    '[::256.0.0.1]:80',
    '[::1.2.3]:80',
    '[1.2.3.4::]:80',
    '[::1]',
    '[::1]80',
    '[::1:80',
    5,
    null,
  ])('refuses %o', (text) => {
    expect(() => parseAddress(text as string)).toThrow(DecodeError)
  })

  it('takes port 0 only where it is allowed', () => {
    expect(parseAddress('0.0.0.0:0', { allowZeroPort: true })).toEqual({ host: '0.0.0.0', port: 0 })
    expect(() => parseAddress('0.0.0.0:0')).toThrow('from 1 to 65535')
  })

  it('formats what it can read back, and refuses the rest', () => {
    expect(formatAddress('localhost', 0)).toBe('localhost:0')
    expect(formatAddress('::1', 80)).toBe('[::1]:80')
    for (const [host, port] of [
      ['a b', 80],
      ['', 80],
      ['[::1]', 80],
      ['a:b', 80],
      ['a', -1],
      ['a', 65_536],
      ['a', 1.5],
      ['a', NaN],
    ] as const) {
      expect(() => formatAddress(host, port)).toThrow(invalidArgument)
    }
  })

  it('never throws anything else, and what it reads is in range', () => {
    const texts = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'[]:.%afg019') }))
    fc.assert(
      fc.property(texts, (text) => {
        try {
          const { host, port } = parseAddress(text)
          expect(parseAddress(formatAddress(host, port))).toEqual({ host, port })
        } catch (error) {
          expect(HsError.is(error, 'DECODE_ERROR')).toBe(true)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('shared words', () => {
  it('stand in order, and their types are their unions', () => {
    expect(messagePriorities).toEqual(['critical', 'high', 'normal', 'low'])
    expect(overloadStates).toEqual(['healthy', 'busy', 'stressed', 'overloaded'])
    expect(backpressureLevels).toEqual(['none', 'throttle', 'batch', 'reject'])
    expect(datacenterHealths).toEqual(['healthy', 'busy', 'degraded', 'unhealthy'])
    expectTypeOf<MessagePriority>().toEqualTypeOf<'critical' | 'high' | 'normal' | 'low'>()
    expectTypeOf<OverloadState>().toEqualTypeOf<'healthy' | 'busy' | 'stressed' | 'overloaded'>()
    expectTypeOf<BackpressureLevel>().toEqualTypeOf<'none' | 'throttle' | 'batch' | 'reject'>()
    expectTypeOf<DatacenterHealth>().toEqualTypeOf<'healthy' | 'busy' | 'degraded' | 'unhealthy'>()
  })
})

describe('Brand', () => {
  it('tells types of one shape apart, in one direction', () => {
    expectTypeOf<NodeId>().toExtend<string>()
    expectTypeOf<string>().not.toExtend<NodeId>()
    expectTypeOf<JobId>().not.toExtend<NodeId>()
    expectTypeOf<JobId>().not.toExtend<DatacenterId>()
    expectTypeOf<Brand<number, 'Term'>>().toExtend<number>()
    expectTypeOf<Brand<number, 'Term'>>().not.toExtend<Brand<number, 'Epoch'>>()
    expectTypeOf(newNodeId('a')).toEqualTypeOf<NodeId>()
  })
})
