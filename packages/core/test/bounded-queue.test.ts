import { getEventListeners } from 'node:events'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BoundedQueue, type BoundedQueueOptions } from '../src/bounded-queue.js'
import { ClosedError, ConfigError, TimeoutError } from '../src/errors.js'
import { MemoryLogger, VirtualClock } from '../src/testing/index.js'
import { failure, follow, settle } from './outcomes.js'

function setUp(options: Omit<BoundedQueueOptions<number>, 'clock' | 'logger'> = { capacity: 2 }) {
  const clock = new VirtualClock()
  const logger = new MemoryLogger()
  return { clock, logger, queue: new BoundedQueue<number>({ ...options, clock, logger }) }
}

function drain(queue: BoundedQueue<number>): number[] {
  const items: number[] = []
  for (let item = queue.poll(); item !== undefined; item = queue.poll()) items.push(item)
  return items
}

describe('BoundedQueue (CORE-26)', () => {
  it('gives items in the order in which they went in', async () => {
    const { queue } = setUp({ capacity: 3 })
    expect([queue.offer(1), queue.offer(2), queue.offer(3)]).toEqual([true, true, true])
    expect([queue.size, queue.capacity]).toEqual([3, 3])
    expect([queue.poll(), await queue.take(), queue.poll(), queue.poll()]).toEqual([1, 2, 3, undefined])
  })

  it("'reject' refuses an offer to a full queue and counts it as rejected only", () => {
    const { queue } = setUp({ capacity: 2 })
    expect([1, 2, 3].map((item) => queue.offer(item))).toEqual([true, true, false])
    expect(queue.snapshot()).toEqual({
      size: 2,
      capacity: 2,
      offered: 2,
      taken: 0,
      dropped: 0,
      rejected: 1,
      peak: 2,
    })
    expect(drain(queue)).toEqual([1, 2])
  })

  it("'drop-oldest' lets the oldest give way, and tells it", () => {
    const dropped: number[] = []
    const { queue } = setUp({ capacity: 2, overflow: 'drop-oldest', onDrop: (item) => dropped.push(item) })
    expect([1, 2, 3, 4].map((item) => queue.offer(item))).toEqual([true, true, true, true])
    expect(dropped).toEqual([1, 2])
    expect(queue.snapshot()).toMatchObject({ size: 2, offered: 4, taken: 0, dropped: 2, rejected: 0 })
    expect(drain(queue)).toEqual([3, 4])
  })

  it("'drop-newest' drops the newcomer, tells it, and counts it as offered and dropped", () => {
    const dropped: number[] = []
    const { queue } = setUp({ capacity: 2, overflow: 'drop-newest', onDrop: (item) => dropped.push(item) })
    expect([1, 2, 3].map((item) => queue.offer(item))).toEqual([true, true, false])
    expect(dropped).toEqual([3])
    expect(queue.snapshot()).toMatchObject({ size: 2, offered: 3, taken: 0, dropped: 1, rejected: 0 })
    expect(drain(queue)).toEqual([1, 2])
  })

  it('never hands out a newer item before an older one, at the rim and beyond (overflow queue)', () => {
    for (const overflow of ['reject', 'drop-oldest', 'drop-newest'] as const) {
      const { queue } = setUp({ capacity: 10, overflow })
      const out: number[] = []
      for (let item = 0; item < 200; item++) {
        queue.offer(item)
        if (item % 3 === 0) out.push(queue.poll() as number)
      }
      out.push(...drain(queue))
      expect(out).toEqual([...out].sort((a, b) => a - b))
    }
  })

  it('hands an item to the first who waits for one', async () => {
    const { queue } = setUp()
    const takers = [follow(queue.take()), follow(queue.take())]
    queue.offer(1)
    expect(queue.snapshot()).toMatchObject({ size: 0, offered: 1, taken: 1 })
    await settle()
    expect(takers.map(({ now }) => now)).toEqual([{ status: 'done', value: 1 }, { status: 'waiting' }])
    await queue.push(2)
    await settle()
    expect(takers[1]?.now).toEqual({ status: 'done', value: 2 })
  })

  it('lets push wait for room whatever the policy, and enter in order of arrival', async () => {
    for (const overflow of ['reject', 'drop-oldest', 'drop-newest'] as const) {
      const { queue } = setUp({ capacity: 1, overflow })
      await queue.push(1)
      const pushes = [follow(queue.push(2)), follow(queue.push(3))]
      expect(queue.snapshot()).toMatchObject({ size: 1, offered: 1, dropped: 0 })
      expect(queue.poll()).toBe(1)
      expect(queue.size).toBe(1)
      await settle()
      expect(pushes.map(({ now }) => now.status)).toEqual(['done', 'waiting'])
      expect(await queue.take()).toBe(2)
      expect(await queue.take()).toBe(3)
      expect(queue.snapshot()).toMatchObject({ offered: 3, taken: 3, peak: 1 })
    }
  })

  it('keeps undefined as an item', async () => {
    const queue = new BoundedQueue<undefined>({ capacity: 2 })
    queue.offer(undefined)
    queue.offer(undefined)
    expect(queue.poll()).toBeUndefined()
    expect(queue.size).toBe(1)
    expect(await queue.take()).toBeUndefined()
    expect(queue.snapshot()).toMatchObject({ taken: 2, size: 0 })
  })

  it('reports what onDrop throws or rejects with and goes on; the accounts are right when it runs', async () => {
    let accounts: unknown
    const failures: (() => unknown)[] = [
      () => {
        throw new Error('broke')
      },
      () => Promise.reject(new Error('broke later')),
    ]
    const { queue, logger } = setUp({
      capacity: 1,
      overflow: 'drop-oldest',
      onDrop: () => {
        accounts = queue.snapshot()
        return failures.shift()?.()
      },
    })
    queue.offer(1)
    expect(queue.offer(2)).toBe(true)
    expect(accounts).toMatchObject({ size: 1, offered: 2, dropped: 1 })
    expect(queue.offer(3)).toBe(true)
    await settle()
    expect(logger.at('error').map(({ fields }) => (fields?.err as Error).message)).toEqual(['broke', 'broke later'])
    expect(drain(queue)).toEqual([3])
  })

  it('may be used from within onDrop', () => {
    const { queue } = setUp({ capacity: 1, overflow: 'drop-oldest', onDrop: (item) => item === 1 && queue.poll() })
    queue.offer(1)
    queue.offer(2)
    expect(queue.snapshot()).toMatchObject({ size: 0, offered: 2, taken: 1, dropped: 1 })
  })

  it('gives a frozen snapshot', () => {
    const snapshot = setUp().queue.snapshot()
    expect(Object.isFrozen(snapshot)).toBe(true)
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot)
  })
})

describe('BoundedQueue: waiters that leave (CORE-2, CORE-26)', () => {
  it('takes no item with a taker that left', async () => {
    const { clock, queue } = setUp()
    const controller = new AbortController()
    const { signal } = controller
    const late = failure(queue.take({ timeoutMs: 10, signal }))
    const aborted = failure(queue.take({ signal }))
    clock.advance(10)
    expect(await late).toBeInstanceOf(TimeoutError)
    controller.abort('left')
    expect(await aborted).toBe('left')
    expect([clock.pendingTimers, getEventListeners(signal, 'abort').length]).toEqual([0, 0])
    queue.offer(1)
    expect(queue.poll()).toBe(1)
  })

  it('does not take in the item of a push that left', async () => {
    const { clock, queue } = setUp({ capacity: 1 })
    queue.offer(1)
    const controller = new AbortController()
    const { signal } = controller
    const late = failure(queue.push(2, { timeoutMs: 10, signal }))
    const aborted = failure(queue.push(3, { signal }))
    const patient = queue.push(4, { timeoutMs: 20, signal: new AbortController().signal })
    clock.advance(10)
    controller.abort('left')
    expect(await late).toBeInstanceOf(TimeoutError)
    expect(await aborted).toBe('left')
    expect(queue.poll()).toBe(1)
    await patient
    expect([clock.pendingTimers, getEventListeners(signal, 'abort').length]).toEqual([0, 0])
    expect(queue.snapshot()).toMatchObject({ size: 1, offered: 2, taken: 1 })
    expect(queue.poll()).toBe(4)
  })

  it('gives a taker the item or the error, never both, in the turn of the hand-over', async () => {
    const { queue } = setUp()
    const controller = new AbortController()
    const taker = follow(queue.take({ signal: controller.signal }))
    queue.offer(1)
    controller.abort()
    await settle()
    expect(taker.now).toEqual({ status: 'done', value: 1 })
    expect(queue.size).toBe(0)
  })

  it('with a limit of 0 takes what is there and does not wait', async () => {
    const { queue } = setUp({ capacity: 1 })
    expect(await failure(queue.take({ timeoutMs: 0 }))).toBeInstanceOf(TimeoutError)
    await queue.push(1, { timeoutMs: 0 })
    expect(await failure(queue.push(2, { timeoutMs: 0 }))).toBeInstanceOf(TimeoutError)
    expect(await queue.take({ timeoutMs: 0 })).toBe(1)
  })
})

describe('BoundedQueue.close (CORE-26)', () => {
  it('rejects who waits to take and to push', async () => {
    const { clock, queue } = setUp({ capacity: 1 })
    const taker = failure(queue.take({ timeoutMs: 10 }))
    queue.close()
    expect(await taker).toBeInstanceOf(ClosedError)

    const full = setUp({ capacity: 1 })
    full.queue.offer(1)
    const pusher = failure(full.queue.push(2, { timeoutMs: 10 }))
    full.queue.close()
    full.queue.close()
    expect(await pusher).toBeInstanceOf(ClosedError)
    expect([clock.pendingTimers, full.clock.pendingTimers, full.queue.closed]).toEqual([0, 0, true])
    expect(full.queue.snapshot()).toMatchObject({ offered: 1, size: 1 })
  })

  it('lets what is queued be taken; then offer, push and take fail', async () => {
    const { queue } = setUp({ capacity: 3 })
    for (const item of [1, 2, 3]) queue.offer(item)
    expect(queue.closed).toBe(false)
    queue.close()
    expect([await queue.take(), queue.poll(), await queue.take()]).toEqual([1, 2, 3])
    expect(await failure(queue.take())).toBeInstanceOf(ClosedError)
    expect(await failure(queue.push(4))).toBeInstanceOf(ClosedError)
    expect(() => queue.offer(4)).toThrow(ClosedError)
    expect(queue.poll()).toBeUndefined()
    expect(queue.snapshot()).toMatchObject({ offered: 3, taken: 3, size: 0 })
  })

  it('ends an iteration when the queue is empty, whether it waits then or not', async () => {
    const { queue } = setUp({ capacity: 3 })
    const seen: number[] = []
    const consume = async () => {
      for await (const item of queue) seen.push(item)
    }
    const waiting = consume()
    await queue.push(1)
    await settle()
    queue.offer(2)
    queue.offer(3)
    queue.close()
    await waiting
    expect(seen).toEqual([1, 2, 3])

    const idle = setUp()
    const ended = (async () => {
      for await (const item of idle.queue) seen.push(item)
    })()
    await settle()
    idle.queue.close()
    await ended
    for await (const item of idle.queue) seen.push(item)
    expect(seen).toEqual([1, 2, 3])
  })

  it('loses no item to an iteration that breaks off', async () => {
    const { queue } = setUp({ capacity: 3 })
    for (const item of [1, 2, 3]) queue.offer(item)
    for await (const item of queue) {
      if (item === 2) break
    }
    expect(queue.poll()).toBe(3)
  })

  it('shares the items among several iterations, each given once', async () => {
    const { queue } = setUp({ capacity: 2 })
    const seen: number[] = []
    const consumers = [0, 1, 2].map(async () => {
      for await (const item of queue) seen.push(item)
    })
    for (let item = 0; item < 20; item++) await queue.push(item)
    queue.close()
    await Promise.all(consumers)
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index))
  })
})

describe('BoundedQueue: bad input', () => {
  it.each([
    {},
    { capacity: 0 },
    { capacity: 1.5 },
    { capacity: 1, overflow: 'drop' },
    { capacity: 1, onDrop: 5 },
    { capacity: 1, size: 2 },
  ])('refuses the options %o', (options) => {
    expect(() => new BoundedQueue(options as { capacity: number })).toThrow(ConfigError)
  })

  it('rejects bad arguments and takes nothing in or out', async () => {
    const { queue } = setUp()
    queue.offer(1)
    const bad = { timeoutMs: Number.NaN }
    for (const error of await Promise.all([queue.push(2, bad), queue.take(bad)].map(failure))) {
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    expect(queue.snapshot()).toMatchObject({ size: 1, offered: 1, taken: 0 })
  })
})

type Overflow = NonNullable<BoundedQueueOptions<number>['overflow']>

/** The same in plain arrays; who waits goes by a number. */
class Oracle {
  readonly items: number[] = []
  takers: number[] = []
  pushers: { id: number; item: number }[] = []
  readonly got = new Map<number, number>()
  readonly pushed = new Set<number>()
  readonly left = new Set<number>()
  readonly dropped: number[] = []
  readonly #capacity: number
  readonly #overflow: Overflow

  constructor(capacity: number, overflow: Overflow) {
    this.#capacity = capacity
    this.#overflow = overflow
  }

  offer(item: number): boolean {
    if (this.items.length < this.#capacity) this.#enter(item)
    else if (this.#overflow === 'drop-oldest') {
      this.dropped.push(this.items.shift() as number)
      this.items.push(item)
    } else {
      if (this.#overflow === 'drop-newest') this.dropped.push(item)
      return false
    }
    return true
  }

  push(id: number, item: number): void {
    if (this.items.length === this.#capacity) this.pushers.push({ id, item })
    else {
      this.#enter(item)
      this.pushed.add(id)
    }
  }

  poll(): number | undefined {
    const item = this.items.shift()
    const pusher = item === undefined ? undefined : this.pushers.shift()
    if (pusher !== undefined) {
      this.items.push(pusher.item)
      this.pushed.add(pusher.id)
    }
    return item
  }

  take(id: number): void {
    const item = this.poll()
    if (item === undefined) this.takers.push(id)
    else this.got.set(id, item)
  }

  leave(id: number): void {
    if (this.takers.includes(id) || this.pushers.some((pusher) => pusher.id === id)) this.left.add(id)
    this.takers = this.takers.filter((taker) => taker !== id)
    this.pushers = this.pushers.filter((pusher) => pusher.id !== id)
  }

  #enter(item: number): void {
    const taker = this.takers.shift()
    if (taker === undefined) this.items.push(item)
    else this.got.set(taker, item)
  }
}

describe('BoundedQueue: laws (CORE-26)', () => {
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constantFrom('offer', 'push', 'poll', 'take'), whom: fc.constant(0) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave'), whom: fc.nat(40) }) },
  )

  it('does what plain arrays do, and offered = taken + dropped + size at all times', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom<Overflow>('reject', 'drop-oldest', 'drop-newest'),
        fc.array(step, { maxLength: 60 }),
        async (capacity, overflow, steps) => {
          const dropped: number[] = []
          const { queue, clock } = setUp({ capacity, overflow, onDrop: (item) => dropped.push(item) })
          const oracle = new Oracle(capacity, overflow)
          const controllers = new Map<number, AbortController>()
          const waits = new Map<number, { readonly now: unknown }>()
          let refused = 0
          const begin = (id: number, wait: (options: { signal: AbortSignal }) => Promise<number | void>) => {
            const controller = new AbortController()
            controllers.set(id, controller)
            waits.set(id, follow(wait({ signal: controller.signal })))
          }
          for (const [id, { kind, whom }] of steps.entries()) {
            if (kind === 'offer') {
              const taken = oracle.offer(id)
              if (!taken && overflow === 'reject') refused++
              expect(queue.offer(id)).toBe(taken)
            }
            if (kind === 'poll') expect(queue.poll()).toBe(oracle.poll())
            if (kind === 'push') {
              oracle.push(id, id)
              begin(id, (options) => queue.push(id, options))
            }
            if (kind === 'take') {
              oracle.take(id)
              begin(id, (options) => queue.take(options))
            }
            if (kind === 'leave') {
              oracle.leave(whom)
              controllers.get(whom)?.abort('left')
            }
            const { offered, taken, size, rejected, peak } = queue.snapshot()
            expect(offered).toBe(taken + queue.snapshot().dropped + size)
            expect([size, rejected, dropped]).toEqual([oracle.items.length, refused, oracle.dropped])
            expect(peak).toBeLessThanOrEqual(capacity)
          }
          await settle()
          for (const [id, wait] of waits) {
            if (oracle.got.has(id)) expect(wait.now).toEqual({ status: 'done', value: oracle.got.get(id) })
            else if (oracle.pushed.has(id)) expect(wait.now).toEqual({ status: 'done', value: undefined })
            else if (oracle.left.has(id)) expect(wait.now).toEqual({ status: 'failed', error: 'left' })
            else expect(wait.now).toEqual({ status: 'waiting' })
          }
          queue.close()
          expect(drain(queue)).toEqual(oracle.items)
          for (const { signal } of controllers.values()) expect(getEventListeners(signal, 'abort')).toHaveLength(0)
          expect(clock.pendingTimers).toBe(0)
        },
      ),
      { numRuns: 300 },
    )
  })
})
