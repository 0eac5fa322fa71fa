import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sleepOn, type Clock, type Timer } from '../src/clock.js'
import { TimingWheel, type WheelTimer } from '../src/timing-wheel.js'
import { MemoryLogger, VirtualClock } from '../src/testing/index.js'
import { bytesInUse } from './fixtures/memory.js'

const DAY_MS = 86_400_000

/** A wheel on virtual time whose every wake-up is counted. */
function setUp(tickMs = 10, startMs = 0) {
  const clock = new VirtualClock({ startMs })
  let wakeUps = 0
  const counting: Clock = {
    now: () => clock.now(),
    wallNow: () => clock.wallNow(),
    setTimer: (delayMs, fn) =>
      clock.setTimer(delayMs, () => {
        wakeUps++
        fn()
      }),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  }
  const logger = new MemoryLogger()
  const wheel = new TimingWheel({ clock: counting, logger, tickMs })
  const fired: { name: string; at: number }[] = []
  const note = (name: string) => () => void fired.push({ name, at: clock.now() })
  return { clock, logger, wheel, fired, note, names: () => fired.map(({ name }) => name), wakeUps: () => wakeUps }
}

describe('TimingWheel: when timers fire (CORE-29)', () => {
  it.each([
    0,
    1,
    9,
    10,
    11,
    319,
    320,
    321,
    1_600,
    1_700,
    1_990,
    2_000,
    10_239,
    10_240,
    64_000,
    64_001,
    70_000,
    3_600_000,
    366 * DAY_MS,
  ])('fires a timer of %i ms at the first tick boundary at or after it', (delayMs) => {
    const { clock, wheel, fired, note } = setUp()
    wheel.schedule(delayMs, note('x'))
    const boundary = Math.ceil(delayMs / 10) * 10
    if (boundary > 0) clock.advance(boundary - 1)
    expect(fired).toEqual([])
    clock.advance(1)
    expect(fired).toEqual([{ name: 'x', at: boundary }])
  })

  it.each([1, 2.5, 16.7, 1_000])('is never early and less than one tick of %d ms late', (tickMs) => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e9, noNaN: true }),
        fc.double({ min: 0, max: 5_000, noNaN: true }),
        fc.oneof(fc.double({ min: 0, max: 100_000, noNaN: true }), fc.integer({ min: 0, max: 366 * DAY_MS })),
        (startMs, waitMs, delayMs) => {
          const { clock, wheel } = setUp(tickMs, startMs)
          clock.advance(waitMs)
          const due = clock.now() + delayMs
          let firedAt = NaN
          wheel.schedule(delayMs, () => void (firedAt = clock.now()))
          clock.advance(delayMs + 2 * tickMs)
          expect(firedAt).toBeGreaterThanOrEqual(due)
          // A double of this size has steps of about 1e-6 ms.
          expect(firedAt - due).toBeLessThan(tickMs + 1e-5)
        },
      ),
    )
  })

  it('fires on a drifting clock by its time, never early', () => {
    const parent = new VirtualClock()
    const skewed = parent.skewed({ driftPpm: 137, startMs: 0.3 })
    const wheel = new TimingWheel({ clock: skewed })
    const late: number[] = []
    for (let delayMs = 0; delayMs < 5_000; delayMs += 7.3) {
      const due = skewed.now() + delayMs
      wheel.schedule(delayMs, () => void late.push(skewed.now() - due))
    }
    parent.advance(6_000)
    expect(late).toHaveLength(685)
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...late)).toBeLessThan(10.001)
    expect(parent.pendingTimers).toBe(0)
  })

  it('fires within a tick in order of scheduling, and a rescheduled timer counts as scheduled then', () => {
    const { clock, wheel, names, note } = setUp()
    // They enter the tick's list at different levels of the wheel and at different times.
    wheel.schedule(20_000, note('far'))
    const moved = wheel.schedule(20_000, note('moved'))
    clock.advance(15_000)
    wheel.schedule(5_000, note('near'))
    moved.reschedule(4_995)
    clock.advance(4_985)
    wheel.schedule(14, note('last'))
    clock.advance(1_000)
    expect(names()).toEqual(['far', 'near', 'moved', 'last'])
  })

  it('runs what a callback schedules in a later pass, at the same time if that is due', () => {
    const { clock, wheel, fired, note, wakeUps } = setUp()
    wheel.schedule(10, () => {
      note('first')()
      wheel.schedule(0, note('child'))
    })
    wheel.schedule(10, note('second'))
    clock.advance(9)
    const before = wakeUps()
    clock.advance(1)
    expect(fired).toEqual([
      { name: 'first', at: 10 },
      { name: 'second', at: 10 },
      { name: 'child', at: 10 },
    ])
    expect(wakeUps() - before).toBe(2)
  })

  it('counts ticks from its making', () => {
    const { clock, wheel, fired, note } = setUp(10, 1_003)
    wheel.schedule(10, note('x'))
    clock.advance(50)
    expect(fired).toEqual([{ name: 'x', at: 1_013 }])
  })
})

describe('TimingWheel: callbacks that change the tick they fire in (CORE-29)', () => {
  it('does not fire a timer of the same tick that an earlier one cancels', () => {
    const { clock, wheel, names, note } = setUp()
    wheel.schedule(10, () => {
      note('a')()
      b.cancel()
    })
    const b = wheel.schedule(10, note('b'))
    wheel.schedule(10, note('c'))
    clock.advance(100)
    expect(names()).toEqual(['a', 'c'])
    expect(wheel.snapshot()).toMatchObject({ size: 0, fired: 2, cancelled: 1 })
  })

  it('fires a timer of the same tick that an earlier one reschedules at its new time only', () => {
    const { clock, wheel, fired, note } = setUp()
    wheel.schedule(10, () => b.reschedule(30))
    const b = wheel.schedule(10, note('b'))
    clock.advance(100)
    expect(fired).toEqual([{ name: 'b', at: 40 }])
  })

  it('lets a callback arm its own timer again', () => {
    const { clock, wheel, fired, note } = setUp()
    const seen: boolean[] = []
    const beat = wheel.schedule(10, () => {
      note('beat')()
      seen.push(beat.active)
      if (fired.length < 3) beat.reschedule(20)
    })
    clock.advance(1_000)
    expect(fired.map(({ at }) => at)).toEqual([10, 30, 50])
    expect(seen).toEqual([false, false, false])
  })

  it('fires nothing more of the tick when a callback stops the wheel', () => {
    const { clock, wheel, names, note } = setUp()
    wheel.schedule(10, () => {
      note('a')()
      wheel.stop()
    })
    const b = wheel.schedule(10, note('b'))
    clock.advance(100)
    expect(names()).toEqual(['a'])
    expect(b.active).toBe(false)
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('TimingWheel: the one timer of the clock (CORE-30)', () => {
  it('has none while it is empty and one while it is not', () => {
    const { clock, wheel, note } = setUp()
    expect(clock.pendingTimers).toBe(0)
    const timers = [5, 500, 50_000, 5_000_000].map((delayMs) => wheel.schedule(delayMs, note('x')))
    expect(clock.pendingTimers).toBe(1)
    for (const timer of timers) {
      expect(clock.pendingTimers).toBe(1)
      timer.cancel()
    }
    expect(clock.pendingTimers).toBe(0)
    wheel.schedule(5, note('x'))
    clock.advance(10)
    expect(clock.pendingTimers).toBe(0)
  })

  it('aims at the next occupied slot, whether a timer comes, goes or moves', () => {
    const { clock, wheel, note } = setUp()
    const late = wheel.schedule(200, note('late'))
    expect(clock.nextTimerAt).toBe(200)
    const early = wheel.schedule(50, note('early'))
    expect(clock.nextTimerAt).toBe(50)
    early.cancel()
    expect(clock.nextTimerAt).toBe(200)
    late.reschedule(100)
    expect(clock.nextTimerAt).toBe(100)
    late.reschedule(300)
    expect(clock.nextTimerAt).toBe(300)
    early.reschedule(310)
    expect(clock.nextTimerAt).toBe(300)
  })

  it('wakes up when a timer is due and not before, though it waits with few others where many would fit', () => {
    const { clock, wheel, fired, note, wakeUps } = setUp()
    wheel.schedule(990, note('later'))
    expect(clock.nextTimerAt).toBe(990)
    const sooner = wheel.schedule(970, note('sooner'))
    expect(clock.nextTimerAt).toBe(970)
    clock.advance(965)
    // The slot that holds both has begun; whoever comes now is found before them all the same.
    wheel.schedule(1, note('first'))
    expect(clock.nextTimerAt).toBe(970)
    sooner.reschedule(15)
    clock.advance(100)
    expect(fired.map(({ name }) => name)).toEqual(['first', 'sooner', 'later'])
    expect(wakeUps()).toBe(3)
  })

  it('sleeps through an idle hour but for a handful of wake-ups', () => {
    const { clock, wheel, fired, note, wakeUps } = setUp()
    wheel.schedule(3_600_000, note('hourly'))
    clock.advance(3_600_000)
    expect(fired).toHaveLength(1)
    expect(wakeUps()).toBeLessThanOrEqual(5)
    clock.advance(3_600_000)
    expect(wakeUps()).toBeLessThanOrEqual(5)
  })

  it('needs no wake-up more for a short timer that is set long after the last pass', () => {
    const { clock, wheel, note, wakeUps } = setUp()
    wheel.schedule(DAY_MS, note('daily'))
    clock.advance(1_234_560)
    const before = wakeUps()
    wheel.schedule(50, note('short'))
    expect(clock.nextTimerAt).toBe(1_234_610)
    clock.advance(50)
    expect(wakeUps() - before).toBe(1)
  })

  it('wakes up at most ten times for a timer of 366 days', () => {
    const { clock, wheel, fired, note, wakeUps } = setUp(1, 123_456_789_012)
    wheel.schedule(366 * DAY_MS, note('yearly'))
    clock.advance(366 * DAY_MS)
    expect(fired).toHaveLength(1)
    expect(wakeUps()).toBeLessThanOrEqual(10)
  })

  it('sets the timer of the clock once a pass, whatever the callbacks schedule and cancel', () => {
    const clock = new LateClock()
    const wheel = new TimingWheel({ clock, logger: new MemoryLogger() })
    const last = wheel.schedule(5_000, () => {})
    wheel.schedule(10, () => {
      for (const delayMs of [4_000, 3_000, 200, 100, 50]) wheel.schedule(delayMs, () => {})
      last.cancel()
      wheel.schedule(20, () => {}).cancel()
    })
    clock.time = 10
    const before = clock.timersSet
    clock.fire()
    expect(clock.timersSet - before).toBe(1)
    expect(clock.pending).toEqual([60])
  })

  it('takes at most 120 bytes a timer, and gives them back when the last one ends', () => {
    const count = 100_000
    const { wheel } = setUp()
    const timers = new Array<WheelTimer | undefined>(count).fill(undefined)
    const fn = () => {}
    const before = bytesInUse()
    for (let i = 0; i < count; i++) timers[i] = wheel.schedule(1_000 + i, fn)
    expect((bytesInUse() - before) / count).toBeLessThanOrEqual(120)
    for (let i = 0; i < count; i++) {
      timers[i]?.cancel()
      timers[i] = undefined
    }
    expect((bytesInUse() - before) / count).toBeLessThanOrEqual(12)
    expect(wheel.size).toBe(0)
  })
})

describe('TimingWheel: cancel, reschedule, counts', () => {
  it('cancels once; nothing happens for a timer that has fired or was cancelled', () => {
    const { clock, wheel, names, note } = setUp()
    const a = wheel.schedule(10, note('a'))
    const b = wheel.schedule(10, note('b'))
    expect([a.active, b.active, wheel.size]).toEqual([true, true, 2])
    a.cancel()
    a.cancel()
    expect([a.active, wheel.size]).toEqual([false, 1])
    clock.advance(10)
    b.cancel()
    expect(names()).toEqual(['b'])
    expect([b.active, wheel.size]).toEqual([false, 0])
    expect(wheel.snapshot()).toEqual({ size: 0, tickMs: 10, scheduled: 2, fired: 1, cancelled: 1 })
  })

  it('arms a timer again after it fired and after it was cancelled', () => {
    const { clock, wheel, fired, note } = setUp()
    const timer = wheel.schedule(10, note('x'))
    clock.advance(10)
    timer.reschedule(10)
    expect(timer.active).toBe(true)
    clock.advance(10)
    timer.reschedule(10)
    timer.cancel()
    timer.reschedule(30)
    clock.advance(100)
    expect(fired.map(({ at }) => at)).toEqual([10, 20, 50])
    expect(wheel.snapshot()).toMatchObject({ scheduled: 4, fired: 3, cancelled: 1 })
  })

  it('does not confuse a timer that has ended with a later one in its place', () => {
    const { clock, wheel, names, note } = setUp()
    const a = wheel.schedule(10, note('a'))
    a.cancel()
    wheel.schedule(10, note('b'))
    a.cancel()
    clock.advance(10)
    expect(names()).toEqual(['b'])
  })

  it('gives a frozen snapshot', () => {
    expect(Object.isFrozen(setUp().wheel.snapshot())).toBe(true)
  })

  it.each([-1, -0.001, NaN, Infinity, 366 * DAY_MS + 1, '5' as unknown as number, undefined as unknown as number])(
    'refuses a delay of %s and changes nothing',
    (delayMs) => {
      const { clock, wheel, fired, note } = setUp()
      const refusal = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
      expect(() => wheel.schedule(delayMs, note('bad'))).toThrow(refusal)
      const timer = wheel.schedule(20, note('good'))
      expect(() => timer.reschedule(delayMs)).toThrow(refusal)
      expect(wheel.size).toBe(1)
      clock.advance(100)
      expect(fired).toEqual([{ name: 'good', at: 20 }])
    },
  )

  it('refuses what is no function', () => {
    const refusal = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
    expect(() => setUp().wheel.schedule(1, undefined as unknown as () => void)).toThrow(refusal)
  })

  it.each([
    { tickMs: 0 },
    { tickMs: -10 },
    { tickMs: NaN },
    { tickMs: 0.5 },
    { tickMs: 3_600_001 },
    { tickms: 10 },
    { onError: 1 },
  ])('refuses the options %o', (options) => {
    const refusal = expect.objectContaining({ code: 'CONFIG_INVALID' }) as Error
    expect(() => new TimingWheel(options as object)).toThrow(refusal)
  })

  it('has a tick of 10 ms unless told otherwise', () => {
    expect(new TimingWheel().tickMs).toBe(10)
    expect(new TimingWheel({ tickMs: 25 }).tickMs).toBe(25)
  })
})

describe('TimingWheel: errors and the end (CORE-31)', () => {
  it('reports a throwing callback and fires the rest', () => {
    const clock = new VirtualClock()
    const logger = new MemoryLogger()
    const seen: unknown[] = []
    const wheel = new TimingWheel({ clock, logger, onError: (error, { source }) => seen.push([source, error]) })
    const error = new Error('a callback failed')
    let others = 0
    wheel.schedule(10, () => others++)
    wheel.schedule(10, () => {
      throw error
    })
    wheel.schedule(10, () => others++)
    wheel.schedule(20, () => others++)
    clock.advance(100)
    expect(others).toBe(3)
    expect(seen).toEqual([['TimingWheel', error]])
    expect(logger.at('error')).toHaveLength(1)
    expect(logger.at('error')[0]?.fields).toMatchObject({ source: 'TimingWheel', err: error })
  })

  it('reports what the promise of a callback rejects with', async () => {
    const { clock, logger, wheel } = setUp()
    const error = new Error('later')
    wheel.schedule(10, () => Promise.reject(error) as unknown as void)
    await clock.advanceAsync(10)
    expect(logger.at('error')[0]?.fields).toMatchObject({ err: error })
  })

  it('fires nothing after stop, refuses new timers, and holds no timer of the clock', () => {
    const { clock, wheel, fired, note } = setUp()
    const timers = [0, 10, 10_000].map((delayMs) => wheel.schedule(delayMs, note('x')))
    wheel.stop()
    wheel.stop()
    expect(clock.pendingTimers).toBe(0)
    expect(timers.map((timer) => timer.active)).toEqual([false, false, false])
    const refusal = expect.objectContaining({ code: 'CLOSED' }) as Error
    expect(() => wheel.schedule(10, note('x'))).toThrow(refusal)
    expect(() => timers[0]?.reschedule(10)).toThrow(refusal)
    for (const timer of timers) timer.cancel()
    clock.advance(DAY_MS)
    expect(fired).toEqual([])
    expect(wheel.snapshot()).toEqual({ size: 0, tickMs: 10, scheduled: 3, fired: 0, cancelled: 3 })
  })
})

/** A clock whose time jumps where a test says and whose timers fire only when it says so: as late as it likes. */
class LateClock implements Clock {
  time = 0
  timersSet = 0
  readonly #timers = new Set<{ due: number; fn: () => void }>()

  now(): number {
    return this.time
  }

  wallNow(): number {
    return Math.floor(this.time)
  }

  setTimer(delayMs: number, fn: () => void): Timer {
    this.timersSet++
    const timer = { due: this.time + Math.max(0, delayMs), fn }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal)
  }

  get pending(): readonly number[] {
    return Array.from(this.#timers, ({ due }) => due)
  }

  /** Fires those that are due now, once. */
  fire(): void {
    this.#fireBy(this.time)
  }

  /** Fires all of them, due or not, as a clock does that rounds down. */
  fireEarly(): void {
    this.#fireBy(Infinity)
  }

  #fireBy(time: number): void {
    for (const timer of [...this.#timers].filter(({ due }) => due <= time)) {
      if (this.#timers.delete(timer)) timer.fn()
    }
  }
}

describe('TimingWheel on clocks that are not exact (CORE-29)', () => {
  it.each([1, 2.5, 16.7, 33.333])('does not fire early when the timer of the clock does, ticks of %d ms', (tickMs) => {
    for (let tick = 1; tick <= 2_000; tick++) {
      const clock = new LateClock()
      clock.time = 0.1
      const wheel = new TimingWheel({ clock, tickMs, logger: new MemoryLogger() })
      const boundary = 0.1 + tick * tickMs
      let fired = 0
      const setAt = boundary - tickMs / 2
      clock.time = setAt
      wheel.schedule(boundary - setAt, () => fired++)
      const due = setAt + (boundary - setAt)
      // The last double before it: a quotient may round it up to the tick.
      clock.time = due - 2 ** (Math.floor(Math.log2(due)) - 52)
      clock.fireEarly()
      expect(fired).toBe(0)
      expect(wheel.size).toBe(1)
      clock.time = boundary + tickMs
      clock.fire()
      expect(fired).toBe(1)
    }
  })

  it('loses nothing when the clock steps back', () => {
    const clock = new LateClock()
    const wheel = new TimingWheel({ clock, logger: new MemoryLogger() })
    const fired: string[] = []
    const note = (name: string) => () => void fired.push(name)
    wheel.schedule(20_000, note('set before'))
    clock.time = 10_000
    wheel.schedule(0, note('first'))
    clock.fire()
    expect(fired).toEqual(['first'])
    wheel.schedule(50, note('close'))
    clock.time = 300
    clock.fireEarly()
    wheel.schedule(100, note('soon'))
    wheel.schedule(9_800, note('later'))
    for (const time of [400, 5_000, 10_000, 10_040, 10_050, 10_100, 20_000, 20_010]) {
      clock.time = time
      clock.fire()
      expect(fired.includes('close')).toBe(time >= 10_050)
    }
    expect(fired).toEqual(['first', 'soon', 'close', 'later', 'set before'])
    expect(clock.pending).toEqual([])
  })
})

/** The same contract in the simplest way: a list that is searched and sorted. */
class NaiveWheel {
  readonly #tickMs: number
  #seq = 0
  readonly live = new Map<number, { tick: number; seq: number }>()

  constructor(tickMs: number) {
    this.#tickMs = tickMs
  }

  arm(name: number, now: number, delayMs: number): void {
    this.live.set(name, { tick: Math.ceil((now + delayMs) / this.#tickMs), seq: this.#seq++ })
  }

  due(now: number): number[] {
    return [...this.live]
      .filter(([, { tick }]) => tick * this.#tickMs <= now)
      .sort(([, a], [, b]) => a.tick - b.tick || a.seq - b.seq)
      .map(([name]) => name)
  }

  get nextBoundary(): number {
    return Math.min(...Array.from(this.live.values(), ({ tick }) => tick * this.#tickMs))
  }
}

type Step = { readonly kind: 'schedule' | 'cancel' | 'reschedule'; readonly which: number; readonly delayMs: number }
type Move = Step | { readonly kind: 'advance' | 'lag'; readonly ms: number }

const anyDelay = fc.oneof(
  fc.integer({ min: 0, max: 60 }),
  fc.integer({ min: 0, max: 3_000 }),
  fc.integer({ min: 0, max: 400_000 }),
  fc.integer({ min: 0, max: 366 * DAY_MS }),
  fc.constantFrom(0, 10, 320, 1_600, 2_000, 10_240, 64_000, 327_680),
)
const anyStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('schedule', 'schedule', 'cancel', 'reschedule', 'reschedule'),
  which: fc.nat(1_000),
  delayMs: anyDelay,
})
const anyMove: fc.Arbitrary<Move> = fc.oneof(
  { weight: 3, arbitrary: anyStep },
  // Time passes and the clock fires; or it passes and the clock has not come to it yet.
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('advance', 'lag'), ms: anyDelay }) },
)

describe('TimingWheel against a naive oracle (CORE-29, 30)', () => {
  it('agrees on every firing, under late clocks and callbacks that schedule, cancel and reschedule', () => {
    fc.assert(
      fc.property(
        fc.array(anyMove, { maxLength: 60 }),
        fc.array(fc.array(anyStep, { maxLength: 3 }), { maxLength: 12 }),
        fc.constantFrom(1, 10, 1_000),
        (moves, reactions, tickMs) => {
          const clock = new LateClock()
          const wheel = new TimingWheel({ clock, tickMs, logger: new MemoryLogger() })
          const oracle = new NaiveWheel(tickMs)
          const timers: WheelTimer[] = []
          const fired: number[] = []

          const apply = ({ kind, which, delayMs }: Step) => {
            const name = kind === 'schedule' ? timers.length : which % Math.max(1, timers.length)
            const timer = timers[name]
            if (kind === 'schedule') {
              oracle.arm(name, clock.time, delayMs)
              timers.push(wheel.schedule(delayMs, () => onFire(name)))
            } else if (kind === 'cancel') {
              oracle.live.delete(name)
              timer?.cancel()
            } else if (timer !== undefined) {
              oracle.arm(name, clock.time, delayMs)
              timer.reschedule(delayMs)
            }
          }
          /** What the oracle holds due in this pass and what no callback has cancelled or moved since. */
          let expected: { name: number; armed: unknown }[] = []
          const onFire = (name: number) => {
            while (expected[0] !== undefined && oracle.live.get(expected[0].name) !== expected[0].armed)
              expected.shift()
            expect(name).toBe(expected.shift()?.name)
            oracle.live.delete(name)
            fired.push(name)
            for (const step of reactions[fired.length % Math.max(1, reactions.length)] ?? []) {
              if (timers.length < 200) apply(step)
            }
          }
          const pass = () => {
            expected = oracle.due(clock.time).map((name) => ({ name, armed: oracle.live.get(name) }))
            clock.fire()
            expect(expected.filter(({ name, armed }) => oracle.live.get(name) === armed)).toEqual([])
          }
          const check = () => {
            expect(wheel.size).toBe(oracle.live.size)
            expect(timers.filter((timer) => timer.active)).toHaveLength(oracle.live.size)
            expect(clock.pending).toHaveLength(oracle.live.size === 0 ? 0 : 1)
            if (oracle.live.size > 0)
              expect(clock.pending[0]).toBeLessThanOrEqual(Math.max(clock.time, oracle.nextBoundary))
          }

          for (const move of moves) {
            if ('which' in move) apply(move)
            else clock.time += move.ms
            if (move.kind === 'advance') for (let i = 0; i < 3; i++) pass()
            check()
          }
          reactions.length = 0
          for (let i = 0; wheel.size > 0 && i < 10_000; i++) {
            clock.time = Math.max(clock.time, clock.pending[0] ?? 0)
            pass()
            check()
          }
          expect(wheel.size).toBe(0)
          expect(wheel.snapshot().fired).toBe(fired.length)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('fires thousands of random timers on an exact clock at their tick, in order', () => {
    fc.assert(
      fc.property(fc.array(anyDelay, { minLength: 2_000, maxLength: 2_000 }), (delays) => {
        const clock = new VirtualClock()
        const wheel = new TimingWheel({ clock })
        const fired: { name: number; tick: number; at: number }[] = []
        for (const [name, delayMs] of delays.entries()) {
          clock.advance(name % 7)
          const tick = Math.ceil((clock.now() + delayMs) / 10)
          wheel.schedule(delayMs, () => void fired.push({ name, tick, at: clock.now() }))
        }
        clock.advance(367 * DAY_MS)
        expect(fired).toHaveLength(delays.length)
        expect(fired.every(({ tick, at }) => at === tick * 10)).toBe(true)
        expect(fired.map(({ name }) => name)).toEqual(
          [...fired].sort((a, b) => a.tick - b.tick || a.name - b.name).map(({ name }) => name),
        )
        expect(clock.pendingTimers).toBe(0)
      }),
      { numRuns: 10 },
    )
  })
})
