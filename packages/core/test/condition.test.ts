import { getEventListeners } from 'node:events'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Condition } from '../src/condition.js'
import { ConfigError, TimeoutError } from '../src/errors.js'
import { VirtualClock } from '../src/testing/index.js'
import { failure, follow, settle } from './outcomes.js'

function setUp() {
  const clock = new VirtualClock()
  return { clock, condition: new Condition({ clock }) }
}

describe('Condition (CORE-25)', () => {
  it('claims at once what is there, within the call', async () => {
    const { condition } = setUp()
    let attempts = 0
    const claim = condition.until(() => ++attempts)
    expect([attempts, condition.waiting]).toEqual([1, 0])
    expect(await claim).toBe(1)
  })

  it('attempts again on every notify, within that call, until there is a claim', async () => {
    const { condition } = setUp()
    let free = 0
    const claim = follow(condition.until(() => (free >= 3 ? (free -= 3) + 3 : undefined)))
    for (const expected of [1, 1, 0]) {
      free++
      condition.notify()
      expect(condition.waiting).toBe(expected)
    }
    expect(free).toBe(0)
    await settle()
    expect(claim.now).toEqual({ status: 'done', value: 3 })
  })

  it.each<[undefined | null | false]>([[undefined], [null], [false]])('takes %s for: not yet', async (notYet) => {
    const { condition } = setUp()
    let result: string | undefined | null | false = notYet
    const claim = condition.until(() => result)
    condition.notify()
    expect(condition.waiting).toBe(1)
    result = 'mine'
    condition.notify()
    expect(await claim).toBe('mine')
  })

  it.each([0, '', Number.NaN, true])('takes %s for a claim', async (value) => {
    const { condition } = setUp()
    expect(await condition.until(() => value)).toBe(value)
  })

  it('asks in order of arrival, and whoever comes first takes first', async () => {
    const { condition } = setUp()
    let free = 0
    const order: string[] = []
    const take = (name: string) => () => {
      order.push(name)
      return free > 0 && (free--, name)
    }
    const claims = ['a', 'b', 'c'].map((name) => follow(condition.until(take(name))))
    order.length = 0
    free = 2
    condition.notify()
    expect(order).toEqual(['a', 'b', 'c'])
    await settle()
    expect(claims.map(({ now }) => now.status)).toEqual(['done', 'done', 'waiting'])
  })

  it('leaves no gap between available and mine: a newcomer cannot take what was claimed (E3)', async () => {
    const { condition } = setUp()
    let free = 0
    const take = () => free > 0 && (free--, true)
    const first = condition.until(take)
    free = 1
    condition.notify()
    const second = follow(condition.until(take))
    await first
    await settle()
    expect([free, second.now.status]).toEqual([0, 'waiting'])
  })

  it('loses no wake-up that comes between asking and waiting (E4)', async () => {
    const { condition } = setUp()
    let free = 0
    // The state changes, and says so, while the attempt that did not see it is still under way.
    const claim = condition.until(() => {
      const seen = free
      free = 1
      condition.notify()
      return seen > 0 && 'mine'
    })
    expect(await claim).toBe('mine')
  })

  it('rejects the wait whose attempt throws, and no other', async () => {
    const { condition } = setUp()
    let state = 'not yet'
    const broken = () => {
      if (state !== 'not yet') throw new Error('broke')
    }
    const before = condition.until(() => state === 'ready' && 'before')
    const failing = failure(condition.until(broken))
    const behind = condition.until(() => state === 'ready' && 'behind')
    state = 'ready'
    condition.notify()
    expect(await failing).toEqual(new Error('broke'))
    expect(await before).toBe('before')
    expect(await behind).toBe('behind')
    expect(await failure(condition.until(broken))).toEqual(new Error('broke'))
    expect(condition.waiting).toBe(0)
  })
})

describe('Condition: notify and until from within an attempt (CORE-25)', () => {
  it('asks those before it anew when an attempt frees something', async () => {
    const { condition } = setUp()
    let free = 0
    let expired = false
    const first = condition.until(() => free > 0 && (free--, 'first'))
    const cleaner = follow(
      condition.until(() => {
        if (!expired) return false
        expired = false
        free++
        condition.notify()
        return false
      }),
    )
    expired = true
    condition.notify()
    expect(await first).toBe('first')
    expect([free, cleaner.now.status]).toEqual([0, 'waiting'])
  })

  it('runs no attempt within another, and lets each waiter claim once', async () => {
    const { condition } = setUp()
    let inside = 0
    let open = false
    const claims = Array.from({ length: 5 }, (_, index) => {
      let claimed = 0
      return condition.until(() => {
        expect(++inside).toBe(1)
        condition.notify()
        inside--
        if (!open) return false
        expect(++claimed).toBe(1)
        return index + 1
      })
    })
    open = true
    condition.notify()
    expect(await Promise.all(claims)).toEqual([1, 2, 3, 4, 5])
  })

  it('comes to an end with attempts that always notify and never claim', () => {
    const { condition } = setUp()
    let attempts = 0
    const restless = () => {
      attempts++
      condition.notify()
    }
    for (let i = 0; i < 3; i++) void condition.until(restless)
    attempts = 0
    condition.notify()
    expect(attempts).toBeGreaterThanOrEqual(3)
    expect(attempts).toBeLessThanOrEqual(3 * 4)
  })

  it('wakes whoever waits for what others change one after the other without a claim', async () => {
    const { condition } = setUp()
    let stage = 0
    const last = condition.until(() => stage === 20 && 'reached')
    // Each changes the state once, and the ones that arrived later come first.
    for (let from = 19; from >= 1; from--) {
      void condition.until(() => {
        if (stage !== from) return
        stage++
        condition.notify()
      })
    }
    stage = 1
    condition.notify()
    expect(await last).toBe('reached')
  })

  it('goes on while claims go on, however long that chain is', async () => {
    const { condition } = setUp()
    // Each claim enables the one that arrived before it.
    const count = 50
    let turn = -1
    const claims = Array.from({ length: count }, (_, index) =>
      condition.until(() => {
        if (turn !== index) return false
        turn--
        condition.notify()
        return index + 1
      }),
    )
    turn = count - 1
    condition.notify()
    expect(await Promise.all(claims)).toHaveLength(count)
  })

  it('takes a new wait from within an attempt', async () => {
    const { condition } = setUp()
    let open = false
    let inner: Promise<string> | undefined
    const outer = condition.until(() => {
      inner ??= condition.until(() => open && 'inner')
      return open && 'outer'
    })
    expect(condition.waiting).toBe(2)
    open = true
    condition.notify()
    expect(await outer).toBe('outer')
    expect(await inner).toBe('inner')
  })

  it('does not ask a waiter that has left during the attempt of another', async () => {
    const { condition } = setUp()
    const controller = new AbortController()
    let asked = 0
    void condition.until(() => void (asked > 0 && controller.abort('left')))
    const leaving = failure(condition.until(() => void asked++, { signal: controller.signal }))
    condition.notify()
    expect(asked).toBe(1)
    expect(await leaving).toBe('left')
  })

  it('rejects a wait whose first attempt aborts its own signal', async () => {
    const { condition } = setUp()
    const controller = new AbortController()
    const error = await failure(condition.until(() => controller.abort('left'), { signal: controller.signal }))
    expect([error, condition.waiting]).toEqual(['left', 0])
  })
})

describe('Condition: waiters that leave (CORE-2)', () => {
  it('leaves neither timer nor listener, whether it ends by claim, limit, abort or a throw', async () => {
    const { clock, condition } = setUp()
    const controller = new AbortController()
    const options = { signal: controller.signal, timeoutMs: 10 }
    const left = () => [condition.waiting, clock.pendingTimers, getEventListeners(controller.signal, 'abort').length]
    let state = 'not yet'

    const claimed = condition.until(() => state === 'ready' && 1, options)
    const thrown = failure(
      condition.until(() => {
        if (state === 'ready') throw new Error('broke')
      }, options),
    )
    expect(left()).toEqual([2, 2, 1])
    state = 'ready'
    condition.notify()
    expect(left()).toEqual([0, 0, 0])
    await Promise.all([claimed, thrown])

    const late = failure(condition.until(() => false, options))
    clock.advance(10)
    expect(left()).toEqual([0, 0, 0])
    expect(await late).toBeInstanceOf(TimeoutError)

    const aborted = failure(condition.until(() => false, options))
    controller.abort('left')
    expect(left()).toEqual([0, 0, 0])
    expect(await aborted).toBe('left')
  })

  it('makes no attempt with a signal that has aborted', async () => {
    const { condition } = setUp()
    let asked = false
    const signal = AbortSignal.abort('left')
    expect(await failure(condition.until(() => (asked = true), { signal }))).toBe('left')
    expect(asked).toBe(false)
  })

  it('with a limit of 0 attempts once', async () => {
    const { condition } = setUp()
    expect(await condition.until(() => 1, { timeoutMs: 0 })).toBe(1)
    expect(await failure(condition.until(() => false, { timeoutMs: 0 }))).toBeInstanceOf(TimeoutError)
  })
})

describe('Condition: bad input', () => {
  it('rejects bad arguments', async () => {
    const { condition } = setUp()
    const calls = [condition.until(5 as unknown as () => 1), condition.until(() => 1, { timeoutMs: Number.NaN })]
    for (const error of await Promise.all(calls.map(failure))) {
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    expect(() => new Condition({ clock: 5 } as object)).toThrow(ConfigError)
    expect(() => new Condition({ timeoutMs: 5 } as object)).toThrow(ConfigError)
  })
})

describe('Condition: laws (CORE-25)', () => {
  it('hands out exactly what is put in, first come first served when all want one, under limits and aborts', async () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('put' as const), atMs: fc.nat(20), n: fc.nat(3) }) },
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('take' as const),
          atMs: fc.nat(20),
          timeoutMs: fc.option(fc.nat(10), { nil: undefined }),
          abortMs: fc.option(fc.nat(25), { nil: undefined }),
        }),
      },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (plan) => {
        const { clock, condition } = setUp()
        let free = 0
        let put = 0
        let left = 0
        const taken: number[] = []
        const waits: Promise<void>[] = []
        for (const [index, each] of plan.entries()) {
          clock.setTimer(each.atMs, () => {
            if (each.kind === 'put') {
              free += each.n
              put += each.n
              condition.notify()
            } else {
              const arrival = waits.length
              const controller = new AbortController()
              if (each.abortMs !== undefined) {
                clock.setTimer(Math.max(0, each.abortMs - each.atMs), () => controller.abort(index))
              }
              const limit = each.timeoutMs === undefined ? {} : { timeoutMs: each.timeoutMs }
              const options = { signal: controller.signal, ...limit }
              const wait = condition.until(() => free > 0 && (free--, { arrival }), options)
              waits.push(
                wait.then(
                  (claim) => void taken.push(claim.arrival),
                  () => void left++,
                ),
              )
            }
            if (condition.waiting > 0) expect(free).toBe(0)
          })
        }
        await clock.advanceAsync(100)
        expect(taken.length + free).toBe(put)
        expect(taken.length + left + condition.waiting).toBe(waits.length)
        expect(taken).toEqual([...taken].sort((a, b) => a - b))
        expect(clock.pendingTimers).toBe(0)
      }),
      { numRuns: 100 },
    )
  })
})
