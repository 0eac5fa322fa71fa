import { createHook } from 'node:async_hooks'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { HsError, sleepOn, type Timer } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'

const YEAR_2024 = Date.UTC(2024, 0, 1)

describe('VirtualClock: order of timers (CORE-3)', () => {
  it('fires in order of due time, and in order of setting where that is the same', () => {
    const clock = new VirtualClock()
    const fired: string[] = []
    clock.setTimer(20, () => fired.push('20 a'))
    clock.setTimer(10, () => fired.push('10 a'))
    clock.setTimer(20, () => fired.push('20 b'))
    clock.setTimer(10, () => fired.push('10 b'))
    clock.setTimer(9.5, () => fired.push('9.5'))
    clock.setTimer(9.25, () => fired.push('9.25'))
    clock.advance(20)
    expect(fired).toEqual(['9.25', '9.5', '10 a', '10 b', '20 a', '20 b'])
  })

  it('shows the due time during a callback and exactly start + ms afterwards', () => {
    const clock = new VirtualClock({ startMs: 1_000 })
    const seen: number[] = []
    clock.setTimer(10.5, () => seen.push(clock.now()))
    clock.setTimer(30, () => seen.push(clock.now()))
    clock.advance(25.25)
    expect(seen).toEqual([1_010.5])
    expect(clock.now()).toBe(1_025.25)
    clock.advance(0)
    expect(clock.now()).toBe(1_025.25)
  })

  it('fires a timer that a callback sets for the same instant in the same advance, after those already due', () => {
    const clock = new VirtualClock()
    const fired: string[] = []
    clock.setTimer(5, () => {
      fired.push('first')
      clock.setTimer(0, () => fired.push('nested'))
      clock.setTimer(-3, () => fired.push('nested, negative'))
    })
    clock.setTimer(5, () => fired.push('second'))
    clock.advance(5)
    expect(fired).toEqual(['first', 'second', 'nested', 'nested, negative'])
    expect(clock.now()).toBe(5)
  })

  it('fires what is due at the very end of an advance, and nothing later', () => {
    const clock = new VirtualClock()
    const fired: number[] = []
    clock.setTimer(10, () => fired.push(10))
    clock.setTimer(10.001, () => fired.push(10.001))
    clock.advance(10)
    expect(fired).toEqual([10])
    clock.advance(1)
    expect(fired).toEqual([10, 10.001])
  })

  it('drives periodic timers through a long advance', () => {
    const clock = new VirtualClock()
    let ticks = 0
    const tick = () => {
      ticks++
      clock.setTimer(1_000, tick)
    }
    clock.setTimer(1_000, tick)
    clock.advance(3_600_000)
    expect(ticks).toBe(3_600)
  })

  it('works before time zero and far from it', () => {
    for (const startMs of [-10_000, 2 ** 31 - 5, 2 ** 40, 1e15]) {
      const clock = new VirtualClock({ startMs })
      const fired: number[] = []
      for (const delay of [3, 20_000, 0, 1, 9_000]) clock.setTimer(delay, () => fired.push(clock.now() - startMs))
      clock.advance(30_000)
      expect(fired).toEqual([0, 1, 3, 9_000, 20_000])
    }
  })

  it('refuses NaN and Infinity, and keeps the timers that are there', () => {
    const clock = new VirtualClock()
    let fired = 0
    clock.setTimer(1, () => fired++)
    for (const delay of [NaN, Infinity, -Infinity])
      expect(() => clock.setTimer(delay, () => fired++)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(clock.pendingTimers).toBe(1)
    clock.advance(1)
    expect(fired).toBe(1)
  })

  it('counts its pending timers exactly and tells when the next one is due', () => {
    const clock = new VirtualClock({ startMs: 100 })
    expect([clock.pendingTimers, clock.nextTimerAt]).toEqual([0, null])
    const a = clock.setTimer(10, () => undefined)
    const b = clock.setTimer(100_000, () => undefined)
    clock.setTimer(20, () => undefined)
    expect([clock.pendingTimers, clock.nextTimerAt]).toEqual([3, 110])
    a.cancel()
    a.cancel()
    expect([clock.pendingTimers, clock.nextTimerAt]).toEqual([2, 120])
    clock.advance(20)
    expect([clock.pendingTimers, clock.nextTimerAt]).toEqual([1, 100_100])
    b.cancel()
    expect([clock.pendingTimers, clock.nextTimerAt]).toEqual([0, null])
  })

  it('lets a callback cancel what is due at the same time, and itself', () => {
    const clock = new VirtualClock()
    const fired: string[] = []
    const own: Timer = clock.setTimer(5, () => {
      own.cancel()
      other.cancel()
      fired.push('a')
    })
    const other = clock.setTimer(5, () => fired.push('b'))
    clock.setTimer(5, () => fired.push('c'))
    clock.advance(5)
    expect(fired).toEqual(['a', 'c'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('does not let the handle of a fired timer cancel a later one', () => {
    const clock = new VirtualClock()
    const fired: number[] = []
    const handles: Timer[] = []
    for (let i = 0; i < 500; i++) {
      for (const handle of handles) handle.cancel()
      handles.push(clock.setTimer(i % 3, () => fired.push(i)))
      clock.advance(3)
    }
    expect(fired.length).toBe(500)
  })

  it('keeps little of cancelled timers, however many there were', () => {
    const clock = new VirtualClock()
    const kept = clock.setTimer(50, () => undefined)
    for (let i = 0; i < 200_000; i++) clock.setTimer(i % 2 === 0 ? 30 : 30_000, () => undefined).cancel()
    expect(clock.pendingTimers).toBe(1)
    expect(clock.nextTimerAt).toBe(50)
    kept.cancel()
    expect(clock.nextTimerAt).toBeNull()
  })
})

describe('VirtualClock against a naive oracle (CORE-3)', () => {
  type Op =
    | { kind: 'set'; delay: number; nested: readonly number[] }
    | { kind: 'cancel'; which: number }
    | { kind: 'advance'; ms: number }
    | { kind: 'look' }
  const delay = fc.oneof(
    fc.integer({ min: -5, max: 40 }),
    fc.integer({ min: 0, max: 20_000 }),
    fc.double({ min: 0, max: 10, noNaN: true }),
    fc.double({ min: 0, max: 100_000, noNaN: true }),
    fc.constantFrom(0, 0.5, 1, 10, 8_191, 8_192, 8_193, 1_000_000, 4_190_000, 4_200_000, 5_000_000),
  )
  const op: fc.Arbitrary<Op> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('set'), delay, nested: fc.array(delay, { maxLength: 3 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('cancel'), which: fc.nat(1_000) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance'), ms: delay.map((ms) => Math.abs(ms)) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'look' }) },
  )

  it('fires, counts and looks ahead like a sorted list', () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 400 }), fc.constantFrom(0, -1_000.5, 123.25, 2 ** 33), (ops, startMs) => {
        expect(play(ops, new VirtualClock({ startMs }))).toEqual(play(ops, new NaiveClock(startMs)))
      }),
      { numRuns: 300 },
    )
  })

  it('does so with thousands of timers, most of them cancelled', () => {
    fc.assert(
      fc.property(fc.integer(), fc.boolean(), (seed, whole) => {
        const ops: Op[] = []
        let state = seed >>> 0
        const roll = (n: number) => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) % n
        for (let i = 0; i < 3_000; i++) {
          const delayMs = whole ? roll(12_000) : roll(12_000) + roll(4) / 4
          ops.push({ kind: 'set', delay: delayMs, nested: [] })
          if (roll(10) < 8) ops.push({ kind: 'cancel', which: i - roll(20) })
          if (roll(50) === 0) ops.push({ kind: 'advance', ms: roll(800) }, { kind: 'look' })
        }
        expect(play(ops, new VirtualClock())).toEqual(play(ops, new NaiveClock(0)))
      }),
      { numRuns: 10 },
    )
  })

  interface Steerable {
    now(): number
    setTimer(delayMs: number, fn: () => void): Timer
    advance(ms: number): void
    readonly pendingTimers: number
    readonly nextTimerAt: number | null
  }

  class NaiveClock implements Steerable {
    #now: number
    #waiting: { due: number; fn: () => void }[] = []
    constructor(startMs: number) {
      this.#now = startMs
    }
    now() {
      return this.#now
    }
    get pendingTimers() {
      return this.#waiting.length
    }
    get nextTimerAt() {
      return this.#first()?.due ?? null
    }
    setTimer(delayMs: number, fn: () => void): Timer {
      const timer = { due: this.#now + Math.max(0, delayMs), fn }
      this.#waiting.push(timer)
      return { cancel: () => void (this.#waiting = this.#waiting.filter((other) => other !== timer)) }
    }
    advance(ms: number) {
      const end = this.#now + ms
      for (let first = this.#first(); first !== undefined && first.due <= end; first = this.#first()) {
        const { due, fn } = first
        this.#waiting = this.#waiting.filter((other) => other !== first)
        this.#now = due
        fn()
      }
      this.#now = end
    }
    #first() {
      let first = this.#waiting[0]
      for (const timer of this.#waiting) if (first !== undefined && timer.due < first.due) first = timer
      return first
    }
  }

  /** What a program of operations sees. */
  function play(ops: readonly Op[], clock: Steerable): unknown[] {
    const seen: unknown[] = []
    const timers: Timer[] = []
    const set = (delayMs: number, nested: readonly number[], name: string) => {
      timers.push(
        clock.setTimer(delayMs, () => {
          seen.push([name, clock.now(), clock.pendingTimers])
          for (const [i, inner] of nested.entries()) set(inner, nested.slice(i + 1), `${name}.${i}`)
        }),
      )
    }
    for (const [i, op] of ops.entries()) {
      if (op.kind === 'set') set(op.delay, op.nested, String(i))
      else if (op.kind === 'cancel') timers[op.which % Math.max(1, timers.length)]?.cancel()
      else if (op.kind === 'advance') clock.advance(op.ms)
      else seen.push(clock.nextTimerAt)
      seen.push(clock.pendingTimers)
    }
    clock.advance(10_000_000)
    seen.push(clock.pendingTimers, clock.now())
    return seen
  }
})

describe('VirtualClock: microtasks (CORE-4)', () => {
  it('runs no microtask in advance', async () => {
    const clock = new VirtualClock()
    const seen: string[] = []
    clock.setTimer(1, () => void Promise.resolve().then(() => seen.push('promise')))
    clock.setTimer(2, () => seen.push('second'))
    clock.advance(2)
    expect(seen).toEqual(['second'])
    await Promise.resolve()
    expect(seen).toEqual(['second', 'promise'])
  })

  it('drains what is pending before the first timer', async () => {
    const clock = new VirtualClock()
    const seen: string[] = []
    clock.setTimer(0, () => seen.push('timer'))
    void chain(20).then(() => seen.push('chain'))
    await clock.advanceAsync(0)
    expect(seen).toEqual(['chain', 'timer'])
  })

  it('drains before a timer that was set in the pending microtasks', async () => {
    const clock = new VirtualClock()
    const seen: number[] = []
    void chain(5).then(() => clock.setTimer(3, () => seen.push(clock.now())))
    await clock.advanceAsync(10)
    expect(seen).toEqual([3])
    expect(clock.now()).toBe(10)
  })

  it('drains chains of any depth, ticks and awaits after every single timer, at its time', async () => {
    const clock = new VirtualClock()
    const seen: string[] = []
    const say = (text: string) => seen.push(`${text} at ${clock.now()}`)
    clock.setTimer(10, () => {
      void chain(1_000).then(() => say('chain'))
    })
    clock.setTimer(10, () => {
      void (async () => {
        await chain(3)
        await new Promise<void>((resolve) => process.nextTick(resolve))
        queueMicrotask(() => say('ticked'))
      })()
    })
    clock.setTimer(11, () => say('next timer'))
    await clock.advanceAsync(20)
    expect(seen).toEqual(['chain at 10', 'ticked at 10', 'next timer at 11'])
  })

  it('lets a sleeper that wakes at t see t, and sleep again', async () => {
    const clock = new VirtualClock()
    const seen: number[] = []
    const task = (async () => {
      for (const ms of [1, 2.5, 0, 1_000]) {
        await clock.sleep(ms)
        seen.push(clock.now())
      }
    })()
    await clock.advanceAsync(5_000)
    await task
    expect(seen).toEqual([1, 3.5, 3.5, 1_003.5])
  })

  it('needs neither setTimeout nor setImmediate of the test to be real', async () => {
    vi.useFakeTimers()
    try {
      const clock = new VirtualClock()
      const seen: number[] = []
      void clock.sleep(5).then(() => seen.push(clock.now()))
      clock.setTimer(7, () => void Promise.resolve().then(() => seen.push(clock.now())))
      await clock.advanceAsync(10)
      expect(seen).toEqual([5, 7])
    } finally {
      vi.useRealTimers()
    }
  })

  it('drives several clocks at once', async () => {
    const clocks = [new VirtualClock(), new VirtualClock(), new VirtualClock()]
    const seen: string[] = []
    for (const [i, clock] of clocks.entries()) {
      for (const ms of [1, 2, 3]) {
        clock.setTimer(ms, () => void chain(4).then(() => seen.push(`${i}: ${clock.now()}`)))
        clock.setTimer(ms + 0.5, () => undefined)
      }
    }
    await Promise.all(clocks.map((clock) => clock.advanceAsync(10)))
    for (const i of [0, 1, 2])
      expect(seen.filter((text) => text.startsWith(`${i}:`))).toEqual([`${i}: 1`, `${i}: 2`, `${i}: 3`])
  })

  it('takes turns of the event loop in a long run, so that the process around it lives', async () => {
    const clock = new VirtualClock()
    let stop = false
    setImmediate(() => setImmediate(() => (stop = true)))
    const tick = () => {
      if (!stop) clock.setTimer(1, tick)
    }
    clock.setTimer(1, tick)
    await clock.advanceAsync(3_600_000)
    expect(stop).toBe(true)
  })
})

describe('VirtualClock: skipping turns changes no order (CORE-4)', () => {
  /** What a timer, or something that it started, does. */
  type Act =
    | { kind: 'say' }
    | { kind: 'timer'; ms: number; then: Act[] }
    | { kind: 'promise' | 'tick' | 'microtask' | 'immediate' | 'async' | 'thenable' | 'generator'; then: Act[] }
    | { kind: 'listen' | 'reject'; which: number; then: Act[] }
    | { kind: 'settle' | 'fail'; which: number }

  const { act } = fc.letrec<{ act: Act; acts: Act[] }>((tie) => ({
    acts: fc.array(tie('act'), { maxLength: 3, depthIdentifier: 'acts' }),
    act: fc.oneof(
      { depthIdentifier: 'acts', maxDepth: 6, withCrossShrink: true },
      fc.constant({ kind: 'say' }),
      fc.record({ kind: fc.constantFrom('settle', 'fail'), which: fc.nat(5) }) as fc.Arbitrary<Act>,
      fc.record({ kind: fc.constant('timer'), ms: fc.nat(4), then: tie('acts') }) as fc.Arbitrary<Act>,
      fc.record({
        kind: fc.constantFrom('promise', 'tick', 'microtask', 'immediate', 'async', 'thenable', 'generator'),
        then: tie('acts'),
      }) as fc.Arbitrary<Act>,
      fc.record({
        kind: fc.constantFrom('listen', 'reject'),
        which: fc.nat(5),
        then: tie('acts'),
      }) as fc.Arbitrary<Act>,
    ),
  }))

  it('gives random programs the same course with and without the hook', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(6), fc.array(act, { maxLength: 4 })), { maxLength: 12 }),
        async (program) => {
          const watched = await course(program)
          const unwatched = await withoutHook(() => course(program))
          expect(watched).toEqual(unwatched)
        },
      ),
      { numRuns: 400 },
    )
  })

  it('gives a program that comes to rest and stirs again the same course', async () => {
    // Long enough for the hook to be switched off and on again.
    const program = Array.from({ length: 6_000 }, (_, i): [number, Act[]] => [
      i,
      Math.floor(i / 100) % 2 === 0 || i > 1_500 ? [{ kind: 'async', then: [{ kind: 'say' }] }] : [{ kind: 'say' }],
    ])
    for (let i = 0; i < 6_000; i += 97)
      program.push([i + 0.5, [{ kind: 'immediate', then: [{ kind: 'immediate', then: [{ kind: 'say' }] }] }]])
    expect(await course(program)).toEqual(await withoutHook(() => course(program)))
  })

  it('does without the hook where it would not see everything', async () => {
    const createHook = () => ({ enable: () => undefined, disable: () => undefined })
    const blind = await withBuiltin(
      () => ({ createHook }),
      () =>
        course([
          [1, [{ kind: 'async', then: [{ kind: 'say' }] }]],
          [2, [{ kind: 'say' }]],
        ]),
    )
    expect(blind).toEqual(
      await course([
        [1, [{ kind: 'async', then: [{ kind: 'say' }] }]],
        [2, [{ kind: 'say' }]],
      ]),
    )
    expect(blind).toHaveLength(3)
  })

  it('takes a turn for each timer without the hook, and few with it', async () => {
    expect(await withoutHook(turnsOfAThousandTimers)).toBeGreaterThan(1_000)
    expect(await turnsOfAThousandTimers()).toBeLessThan(10)
  })

  async function turnsOfAThousandTimers(): Promise<number> {
    const clock = new VirtualClock()
    for (let i = 0; i < 1_000; i++) clock.setTimer(i, () => undefined)
    let turns = 0
    const counter = createHook({
      init(_id, type) {
        if (type === 'Immediate') turns++
      },
    }).enable()
    await clock.advanceAsync(1_000)
    counter.disable()
    return turns
  }

  async function course(program: readonly (readonly [number, readonly Act[]])[]): Promise<string[]> {
    const clock = new VirtualClock()
    const seen: string[] = []
    const deferreds = Array.from({ length: 6 }, () => {
      let resolve: (value: unknown) => void = () => undefined
      let reject: (error: unknown) => void = () => undefined
      const promise = new Promise((done, fail) => {
        resolve = done
        reject = fail
      })
      promise.catch((error: unknown) => error)
      return { promise, resolve, reject }
    })
    const at = (which: number) => deferreds[which % deferreds.length] ?? deferreds[0]!
    const perform = (acts: readonly Act[], name: string) => {
      for (const [i, one] of acts.entries()) performOne(one, `${name}.${i}`)
    }
    const performOne = (one: Act, name: string) => {
      const on = () => {
        seen.push(`${name} ${one.kind} at ${clock.now()}`)
        if ('then' in one) perform(one.then, name)
      }
      switch (one.kind) {
        case 'say':
          return void seen.push(`${name} at ${clock.now()}`)
        case 'timer':
          return void clock.setTimer(one.ms, on)
        case 'promise':
          return void Promise.resolve().then(on)
        case 'tick':
          return process.nextTick(on)
        case 'microtask':
          return queueMicrotask(on)
        case 'immediate':
          return void setImmediate(on)
        case 'async':
          return void (async () => {
            await Promise.resolve()
            await chain(3)
            on()
          })()
        case 'thenable':
          return void Promise.resolve({ then: (resolve: (value: unknown) => void) => resolve(1) }).then(on)
        case 'generator':
          return void (async () => {
            for await (const _ of numbers()) on()
          })()
        case 'listen':
          return void at(one.which).promise.then(on, () => undefined)
        case 'reject':
          return void at(one.which).promise.then(undefined, on)
        case 'settle':
          return at(one.which).resolve(name)
        case 'fail':
          return at(one.which).reject(new Error(name))
      }
    }
    for (const [ms, acts] of program) clock.setTimer(ms, () => perform(acts, String(ms)))
    await clock.advanceAsync(40)
    await clock.runUntil(() => clock.pendingTimers === 0)
    return seen
  }
})

async function* numbers(): AsyncGenerator<number> {
  yield 1
  await Promise.resolve()
  yield 2
}

async function chain(depth: number): Promise<void> {
  for (let i = 0; i < depth; i++) await Promise.resolve()
}

function withoutHook<T>(fn: () => Promise<T>): Promise<T> {
  return withBuiltin(undefined, fn)
}

async function withBuiltin<T>(builtin: unknown, fn: () => Promise<T>): Promise<T> {
  const original = process.getBuiltinModule
  Object.defineProperty(process, 'getBuiltinModule', { value: builtin, configurable: true, writable: true })
  try {
    return await fn()
  } finally {
    Object.defineProperty(process, 'getBuiltinModule', { value: original, configurable: true, writable: true })
  }
}

describe('VirtualClock: callbacks that throw (CORE-5)', () => {
  it('stops neither the other timers nor the time, then throws that error', async () => {
    for (const how of ['advance', 'advanceAsync'] as const) {
      const clock = new VirtualClock()
      const error = new Error('first')
      const fired: number[] = []
      clock.setTimer(1, () => {
        throw error
      })
      clock.setTimer(2, () => fired.push(2))
      expect(await thrownBy(() => clock[how](5))).toBe(error)
      expect(fired).toEqual([2])
      expect(clock.now()).toBe(5)
      await clock[how](1)
      expect(clock.now()).toBe(6)
    }
  })

  it('throws an AggregateError of several', async () => {
    for (const how of ['advance', 'advanceAsync'] as const) {
      const clock = new VirtualClock()
      const errors = [new Error('a'), undefined, 'c']
      for (const [i, error] of errors.entries()) {
        clock.setTimer(i, () => {
          throw error
        })
      }
      const thrown = await thrownBy(() => clock[how](5))
      expect(thrown).toBeInstanceOf(AggregateError)
      expect((thrown as AggregateError).errors).toEqual(errors)
    }
  })

  it('throws what a callback threw, be it undefined', async () => {
    const clock = new VirtualClock()
    clock.setTimer(1, () => {
      throw undefined
    })
    const outcome = clock.advanceAsync(1).then(
      () => 'resolved',
      (error: unknown) => ['rejected', error],
    )
    expect(await outcome).toEqual(['rejected', undefined])
  })

  it('keeps a thousand errors and counts the rest', () => {
    const clock = new VirtualClock()
    for (let i = 0; i < 1_500; i++) {
      clock.setTimer(i, () => {
        throw new Error(String(i))
      })
    }
    let thrown: unknown
    try {
      clock.advance(2_000)
    } catch (error) {
      thrown = error
    }
    expect((thrown as AggregateError).errors.length).toBe(1_000)
    expect((thrown as AggregateError).message).toContain('1500')
  })

  it('rejects runUntil and run with it, when they are done', async () => {
    const clock = new VirtualClock()
    const error = new Error('in passing')
    clock.setTimer(1, () => {
      throw error
    })
    expect(await thrownBy(() => clock.run(clock.sleep(5)))).toBe(error)
    expect(clock.now()).toBe(5)
  })
})

describe('VirtualClock: misuse (CORE-6)', () => {
  it('finds time that stands still', async () => {
    for (const how of ['advance', 'advanceAsync'] as const) {
      const clock = new VirtualClock({ maxTimersPerInstant: 100 })
      let fired = 0
      const again = () => {
        fired++
        clock.setTimer(0, again)
      }
      clock.setTimer(7, again)
      expect(await thrownBy(() => clock[how](10))).toMatchObject({ code: 'VIRTUAL_TIME_STUCK' })
      expect(fired).toBe(100)
      expect(clock.now()).toBe(7)
    }
  })

  it('lets as many timers fire at one instant as it says, and again at the next', () => {
    const clock = new VirtualClock({ maxTimersPerInstant: 100 })
    let fired = 0
    for (let ms = 1; ms <= 3; ms++) for (let i = 0; i < 100; i++) clock.setTimer(ms, () => fired++)
    clock.advance(10)
    expect(fired).toBe(300)
  })

  it('finds a delay that is lost in rounding', () => {
    const clock = new VirtualClock({ startMs: 2 ** 52, maxTimersPerInstant: 100 })
    const again = () => void clock.setTimer(0.01, again)
    clock.setTimer(0.01, again)
    expect(() => clock.advance(10)).toThrow(expect.objectContaining({ code: 'VIRTUAL_TIME_STUCK' }))
  })

  it('refuses to be advanced while it is advanced', async () => {
    const clock = new VirtualClock()
    const thrown: unknown[] = []
    clock.setTimer(1, () => {
      for (const how of [() => clock.advance(1), () => clock.advance(0)]) {
        try {
          how()
        } catch (error) {
          thrown.push(error)
        }
      }
    })
    clock.advance(5)
    const running = clock.advanceAsync(5)
    for (const call of [
      () => clock.advance(1),
      () => clock.advanceAsync(1),
      () => clock.runUntil(() => true),
      () => clock.run(Promise.resolve()),
    ])
      thrown.push(await thrownBy(call))
    await running
    expect(thrown.map((error) => HsError.is(error, 'CLOCK_BUSY'))).toEqual([true, true, true, true, true, true])
    expect(clock.now()).toBe(10)
    clock.advance(1)
  })

  it('refuses negative and non-finite times', async () => {
    const clock = new VirtualClock()
    for (const ms of [-1, NaN, Infinity, -Infinity]) {
      for (const call of [
        () => clock.advance(ms),
        () => clock.advanceAsync(ms),
        () => clock.runUntil(() => false, { limitMs: ms }),
        () => clock.run(Promise.resolve(), { limitMs: ms }),
      ])
        expect(await thrownBy(call)).toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    expect(clock.now()).toBe(0)
    clock.advance(1)
  })

  it('refuses options that it does not know or cannot use', () => {
    for (const options of [{ startMs: NaN }, { maxTimersPerInstant: 0 }, { wallStartMs: 'now' }, { start: 1 }])
      expect(() => new VirtualClock(options as object)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})

describe('VirtualClock: runUntil and run (CORE-7)', () => {
  it('asks before the first timer', async () => {
    const clock = new VirtualClock()
    let fired = 0
    clock.setTimer(0, () => fired++)
    await clock.runUntil(() => true)
    expect(fired).toBe(0)
  })

  it('asks after draining, then after every timer, and stops in between', async () => {
    const clock = new VirtualClock()
    let value = 0
    void chain(3).then(() => (value = 1))
    await clock.runUntil(() => value === 1)
    for (const ms of [10, 20, 20, 30]) clock.setTimer(ms, () => void chain(3).then(() => value++))
    await clock.runUntil(() => value === 3)
    expect(clock.now()).toBe(20)
    expect(clock.pendingTimers).toBe(2)
  })

  it('rejects with a TimeoutError that names pending timers and time when the limit passes', async () => {
    const clock = new VirtualClock({ startMs: 100 })
    const tick = () => void clock.setTimer(10, tick)
    tick()
    clock.setTimer(9_999, () => undefined)
    const error = await thrownBy(() => clock.runUntil(() => false, { limitMs: 55 }))
    expect(error).toMatchObject({ code: 'TIMEOUT', name: 'TimeoutError' })
    expect((error as Error).message).toMatch(/\b2 pending timers\b/)
    expect((error as Error).message).toMatch(/\b155 ms\b/)
    expect(clock.now()).toBe(155)
  })

  it('rejects with a TimeoutError when no timer is left', async () => {
    const clock = new VirtualClock()
    clock.setTimer(40, () => undefined)
    const error = await thrownBy(() => clock.runUntil(() => false))
    expect(error).toMatchObject({ code: 'TIMEOUT' })
    expect((error as Error).message).toMatch(/\b0 pending timers\b/)
    expect((error as Error).message).toMatch(/\b40 ms\b/)
    expect(clock.now()).toBe(40)
  })

  it('fires what is due at the limit, and has a limit of an hour', async () => {
    const clock = new VirtualClock()
    let fired = false
    clock.setTimer(3_600_000, () => (fired = true))
    await clock.runUntil(() => fired)
    clock.setTimer(3_600_000.5, () => (fired = false))
    expect(await thrownBy(() => clock.runUntil(() => !fired))).toMatchObject({ code: 'TIMEOUT' })
  })

  it('rejects with what the condition throws, and with what callbacks threw beside the timeout', async () => {
    const clock = new VirtualClock()
    const error = new Error('condition')
    const failing = () => {
      throw error
    }
    expect(await thrownBy(() => clock.runUntil(failing))).toBe(error)
    clock.setTimer(1, failing)
    const both = await thrownBy(() => clock.runUntil(() => false))
    expect((both as AggregateError).errors).toEqual([error, expect.objectContaining({ code: 'TIMEOUT' })])
  })

  it('runs a promise to its value, its error, or the limit', async () => {
    const clock = new VirtualClock()
    const error = new Error('mine')
    expect(await clock.run(Promise.resolve('at once'))).toBe('at once')
    expect(clock.now()).toBe(0)
    expect(await clock.run(clock.sleep(250).then(() => 'later'))).toBe('later')
    expect(clock.now()).toBe(250)
    expect(await thrownBy(() => clock.run(clock.sleep(1).then(() => Promise.reject(error))))).toBe(error)
    expect(await thrownBy(() => clock.run(clock.sleep(100), { limitMs: 99 }))).toMatchObject({ code: 'TIMEOUT' })
    expect(await thrownBy(() => clock.run(new Promise(() => undefined)))).toMatchObject({ code: 'TIMEOUT' })
  })

  it('leaves no promise without a reader when it gives up', async () => {
    const clock = new VirtualClock()
    const unread: unknown[] = []
    const note = (reason: unknown) => unread.push(reason)
    process.on('unhandledRejection', note)
    try {
      const late = clock.sleep(100).then(() => Promise.reject(new Error('late')))
      await thrownBy(() => clock.run(late, { limitMs: 50 }))
      await clock.advanceAsync(100)
      await new Promise((resolve) => setImmediate(resolve))
      expect(unread).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })
})

describe('VirtualClock: sleep (CORE-2)', () => {
  it('leaves no timer and no listener, however it ends', async () => {
    const clock = new VirtualClock()
    const controller = new AbortController()
    const listeners = vi.spyOn(controller.signal, 'removeEventListener')
    const reason = new Error('stop')
    await clock.run(clock.sleep(5, controller.signal))
    expect(listeners).toHaveBeenCalledTimes(1)
    const sleeping = clock.sleep(5, controller.signal)
    controller.abort(reason)
    expect(await thrownBy(() => sleeping)).toBe(reason)
    expect(await thrownBy(() => clock.sleep(5, controller.signal))).toBe(reason)
    expect(await thrownBy(() => sleepOn(clock, NaN))).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('VirtualClock: wall time (CORE-8)', () => {
  it('begins in 2024 and goes with the time, in whole milliseconds', () => {
    const clock = new VirtualClock({ startMs: 77 })
    expect(clock.wallNow()).toBe(YEAR_2024)
    clock.advance(1_500.75)
    expect(clock.wallNow()).toBe(YEAR_2024 + 1_500)
    expect(new VirtualClock({ wallStartMs: 5 }).wallNow()).toBe(5)
  })

  it('is set alone: neither now() nor the timers notice', () => {
    const clock = new VirtualClock()
    const fired: number[] = []
    clock.setTimer(100, () => fired.push(clock.now()))
    clock.advance(50)
    clock.setWall(1_000_000)
    expect(clock.wallNow()).toBe(1_000_000)
    expect(clock.now()).toBe(50)
    clock.advance(50)
    expect(fired).toEqual([100])
    expect(clock.wallNow()).toBe(1_000_050)
    for (const bad of [NaN, Infinity])
      expect(() => clock.setWall(bad)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})

async function thrownBy(fn: () => unknown): Promise<unknown> {
  try {
    await fn()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}
