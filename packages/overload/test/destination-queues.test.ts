import { messagePriorities, type Deferred, deferred, type MessagePriority } from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import { DestinationQueues, type DestinationQueuesOptions } from '@hs/overload'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

interface Send {
  readonly destination: string
  readonly items: readonly string[]
  readonly done: Deferred<void>
}
const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
/** Until every promise that is settled has been heard of. */
const settle = () => new Promise((resolve) => setImmediate(resolve))

/** Each send lasts until the test ends it. */
function setUp(options: Partial<DestinationQueuesOptions<string>> = {}) {
  const sends: Send[] = []
  const queues = new DestinationQueues<string>({
    send: (destination, items) => {
      const done = deferred<void>()
      sends.push({ destination, items: [...items], done })
      return done.promise
    },
    ...options,
  })
  const end = async (send: Send | undefined, error?: Error) => {
    if (error === undefined) send?.done.resolve()
    else send?.done.reject(error)
    await settle()
  }
  const itemsTo = (to: string) => sends.filter(({ destination }) => destination === to).map(({ items }) => items)
  return { queues, sends, end, itemsTo }
}

describe('DestinationQueues (OVER-23)', () => {
  it('has one send under way for each destination, and a slow one delays no other', async () => {
    const { queues, sends, end, itemsTo } = setUp()
    expect(['1', '2', '3'].map((item) => queues.enqueue('a', item))).toEqual(['queued', 'queued', 'queued'])
    queues.enqueue('b', '4')
    expect(sends.map(({ destination }) => destination)).toEqual(['a', 'b'])
    expect([queues.depth('a'), queues.depth('b'), queues.depth('c')]).toEqual([2, 0, 0])
    await end(sends[1])
    queues.enqueue('b', '5')
    expect(itemsTo('b')).toEqual([['4'], ['5']])
    expect(itemsTo('a')).toEqual([['1']])
    await end(sends[0])
    expect(itemsTo('a')).toEqual([['1'], ['2']])
    expect(queues.snapshot()).toEqual({ destinations: 2, sent: 2, dropped: 0, failed: 0, depths: { a: 1, b: 0 } })
  })

  it('sends by priority, in order within one, one at a time by default', async () => {
    const { queues, sends, end, itemsTo } = setUp()
    queues.enqueue('a', 'first')
    const waiting: [string, MessagePriority][] = [
      ...([['l1', 'low'], ['n1', 'normal'], ['c1', 'critical']] as const).map(([...each]): [string, MessagePriority] => each), // prettier-ignore
      ...([['n2', 'normal'], ['h1', 'high'], ['l2', 'low'], ['c2', 'critical']] as const).map(([...each]): [string, MessagePriority] => each), // prettier-ignore
    ]
    for (const [item, priority] of waiting) queues.enqueue('a', item, priority)
    for (let i = 0; i < 8; i++) await end(sends[i])
    expect(itemsTo('a').flat()).toEqual(['first', 'c1', 'c2', 'h1', 'n1', 'n2', 'l1', 'l2'])
    expect(Math.max(...itemsTo('a').map((items) => items.length))).toBe(1)
  })

  it('takes up to maxBatch at a time, across priorities', async () => {
    const { queues, sends, end, itemsTo } = setUp({ maxBatch: 3 })
    queues.enqueue('a', 'first')
    for (const item of ['n1', 'n2', 'n3', 'n4']) queues.enqueue('a', item)
    queues.enqueue('a', 'h1', 'high')
    await end(sends[0])
    await end(sends[1])
    expect(itemsTo('a')).toEqual([['first'], ['h1', 'n1', 'n2'], ['n3', 'n4']])
  })

  it('when full displaces the oldest of the lowest priority present, if that is not above the newcomer', async () => {
    const { queues, sends, end, itemsTo } = setUp({ maxPerDestination: 3, maxBatch: 9 })
    queues.enqueue('a', 'first')
    const outcomes = (
      [
        ['n1', 'normal'],
        ['n2', 'normal'],
        ['h1', 'high'],
        ['l1', 'low'], // nothing is as low
        ['n3', 'normal'], // n1 goes
        ['c1', 'critical'], // n2 goes
        ['c2', 'critical'], // n3 goes
        ['n4', 'normal'], // only more important ones are left
        ['c3', 'critical'], // h1 goes
        ['c4', 'critical'], // c1, the oldest of its own
        ['h2', 'high'],
      ] as const
    ).map(([item, priority]) => queues.enqueue('a', item, priority))
    expect(outcomes).toEqual([
      ...['queued', 'queued', 'queued', 'dropped', 'displaced', 'displaced', 'displaced', 'dropped'],
      ...['displaced', 'displaced', 'dropped'],
    ])
    expect([queues.depth('a'), queues.snapshot().dropped]).toEqual([3, 8])
    await end(sends[0])
    expect(itemsTo('a')).toEqual([['first'], ['c2', 'c3', 'c4']])
  })

  it('gives what a failed send lost to onError, and goes on', async () => {
    const failures: unknown[] = []
    const onError = (...failure: unknown[]) => failures.push(failure)
    const { queues, sends, end, itemsTo } = setUp({ maxBatch: 2, onError })
    for (const item of ['1', '2', '3', '4']) queues.enqueue('a', item)
    const lost = new Error('lost')
    await end(sends[0])
    await end(sends[1], lost)
    expect(failures).toEqual([[lost, 'a', ['2', '3']]])
    expect(itemsTo('a')).toEqual([['1'], ['2', '3'], ['4']])
    await end(sends[2])
    expect(queues.snapshot()).toMatchObject({ sent: 2, failed: 2, dropped: 0, depths: { a: 0 } })
  })

  it('takes a send that throws at once for one that failed, and is not stuck if onError enqueues again', async () => {
    let attempts = 0
    const sent: string[] = []
    const queues: DestinationQueues<string> = new DestinationQueues<string>({
      send: (_, [item = '']) => {
        if (++attempts <= 3) throw new Error('not yet')
        sent.push(item)
        return Promise.resolve()
      },
      onError: (_, destination, items) => {
        for (const item of items) queues.enqueue(destination, item)
      },
    })
    expect(queues.enqueue('a', 'x')).toBe('queued')
    await settle()
    expect([attempts, sent]).toEqual([4, ['x']])
    expect(queues.snapshot()).toMatchObject({ sent: 1, failed: 3 })
  })

  it('goes on though onError throws, which is reported; without onError the error itself is', async () => {
    const logger = new MemoryLogger()
    const lines = () => logger.at('error').map(({ message }) => message)
    const options = { logger, send: async () => Promise.reject(new Error('lost')) }
    const onError = () => {
      throw new Error('worse')
    }
    const queues = new DestinationQueues<string>({ ...options, onError })
    queues.enqueue('a', '1')
    queues.enqueue('a', '2')
    await settle()
    expect(lines()).toEqual(['DestinationQueues.onError: worse', 'DestinationQueues.onError: worse'])
    expect(queues.snapshot()).toMatchObject({ failed: 2, depths: { a: 0 } })
    new DestinationQueues<string>(options).enqueue('b', '1')
    await settle()
    expect(lines().at(-1)).toBe('DestinationQueues.send: lost')
  })

  it('lets send enqueue, also to its own destination', async () => {
    const sent: string[] = []
    const queues: DestinationQueues<string> = new DestinationQueues<string>({
      send: async (_, items) => {
        sent.push(...items)
        if (sent.length < 4) queues.enqueue('a', `${sent.length}`)
      },
    })
    queues.enqueue('a', '0')
    expect(sent).toEqual(['0'])
    await settle()
    expect(sent).toEqual(['0', '1', '2', '3'])
  })

  it('makes room for a destination by one that is idle, the longest first, else drops the item', async () => {
    const { queues, sends, end } = setUp({ maxDestinations: 3 })
    for (const name of ['a', 'b', 'c']) queues.enqueue(name, '1')
    expect([queues.enqueue('d', '1', 'critical'), queues.snapshot().dropped]).toEqual(['dropped', 1])
    await end(sends[1]) // b
    await end(sends[0]) // a
    expect(queues.enqueue('d', '1')).toBe('queued')
    expect(Object.keys(queues.snapshot().depths)).toEqual(['a', 'c', 'd'])
    expect(queues.enqueue('e', '1')).toBe('queued')
    expect(Object.keys(queues.snapshot().depths)).toEqual(['c', 'd', 'e'])
    expect(queues.enqueue('f', '1')).toBe('dropped')
    expect(queues.enqueue('c', '2')).toBe('queued')
    expect(queues.snapshot()).toMatchObject({ destinations: 3, sent: 2, dropped: 2 })
  })

  it('is not idle while anything waits: that makes no room', async () => {
    const { queues, sends, end } = setUp({ maxDestinations: 1 })
    queues.enqueue('a', '1')
    queues.enqueue('a', '2')
    await end(sends[0])
    expect(queues.enqueue('b', '1')).toBe('dropped')
    await end(sends[1])
    expect(queues.enqueue('b', '1')).toBe('queued')
  })

  it('forgets what waits, and still has one send under way', async () => {
    const { queues, sends, end, itemsTo } = setUp()
    for (const item of ['1', '2', '3']) queues.enqueue('a', item)
    expect([queues.forget('a'), queues.forget('a'), queues.forget('b')]).toEqual([true, false, false])
    expect([queues.depth('a'), queues.snapshot().dropped]).toEqual([0, 2])
    queues.enqueue('a', '4')
    expect(itemsTo('a')).toEqual([['1']])
    await end(sends[0])
    expect(itemsTo('a')).toEqual([['1'], ['4']])
    expect(queues.forget('a')).toBe(true)
    await end(sends[1])
    expect(queues.snapshot()).toEqual({ destinations: 0, sent: 2, dropped: 2, failed: 0, depths: {} })
    queues.enqueue('a', '5')
    await end(sends[2])
    expect([queues.snapshot().destinations, queues.forget('a'), queues.snapshot().destinations]).toEqual([1, true, 0])
  })

  it('holds 500 items for each of 1,000 destinations by default', async () => {
    const { queues, sends, end } = setUp()
    for (let i = 0; i < 1_000; i++) queues.enqueue(`${i}`, 'x')
    expect(queues.enqueue('one more', 'x')).toBe('dropped')
    for (let i = 0; i < 500; i++) expect(queues.enqueue('0', `${i}`, 'low')).toBe('queued')
    expect([queues.enqueue('0', 'x', 'low'), queues.depth('0')]).toEqual(['displaced', 500])
    await end(sends[0])
    expect(sends.at(-1)?.items).toEqual(['1'])
  })

  it('shows plain frozen data, whatever destinations are called', async () => {
    const { queues } = setUp()
    queues.enqueue('__proto__', '1')
    queues.enqueue('__proto__', '2')
    const snapshot = queues.snapshot()
    expect(JSON.parse(JSON.stringify(snapshot.depths))).toEqual(JSON.parse('{"__proto__":1}'))
    expect([Object.isFrozen(snapshot), Object.isFrozen(snapshot.depths)]).toEqual([true, true])
  })

  it('refuses an unknown priority and a destination that is no text, and keeps nothing of them', () => {
    const { queues } = setUp()
    expect(() => queues.enqueue('a', 'x', 'urgent' as MessagePriority)).toThrow(invalid)
    expect(() => queues.enqueue(7 as unknown as string, 'x')).toThrow(invalid)
    expect(queues.snapshot()).toEqual({ destinations: 0, sent: 0, dropped: 0, failed: 0, depths: {} })
  })

  it('loses nothing uncounted, reorders nothing within a priority, and never sends twice at a time', async () => {
    const steps = fc.array(
      fc.record({
        waitMs: fc.nat(3),
        destination: fc.constantFrom('a', 'b', 'c'),
        priority: fc.constantFrom(...messagePriorities),
        act: fc.constantFrom('enqueue', 'enqueue', 'enqueue', 'enqueue', 'enqueue', 'forget'),
      }),
      { minLength: 1, maxLength: 60 },
    )
    const bounds = fc.record({
      maxBatch: fc.integer({ min: 1, max: 3 }),
      maxPerDestination: fc.integer({ min: 1, max: 4 }),
      maxDestinations: fc.integer({ min: 1, max: 3 }),
    })
    await fc.assert(
      fc.asyncProperty(steps, bounds, fc.nat(), async (all, options, seed) => {
        const clock = new VirtualClock()
        const dice = new SeededRandom(seed)
        const sending = new Set<string>()
        const left = new Map<string, number[]>()
        let lost = 0
        const queues = new DestinationQueues<{ lane: string; number: number }>({
          ...options,
          clock,
          send: async (destination, items) => {
            expect(sending.has(destination)).toBe(false)
            expect(items.length).toBeLessThanOrEqual(options.maxBatch)
            sending.add(destination)
            await clock.sleep(dice.int(6))
            sending.delete(destination)
            for (const { lane, number } of items) left.set(lane, [...(left.get(lane) ?? []), number])
            if (dice.next() < 0.2) throw new Error('lost')
          },
          onError: (_, __, items) => (lost += items.length),
        })
        let offered = 0
        for (const [number, { waitMs, destination, priority, act }] of all.entries()) {
          await clock.advanceAsync(waitMs)
          if (act === 'forget') queues.forget(destination)
          else {
            offered++
            queues.enqueue(destination, { lane: `${destination}/${priority}`, number }, priority)
          }
          const { destinations, depths } = queues.snapshot()
          expect(destinations).toBeLessThanOrEqual(options.maxDestinations)
          expect(Math.max(0, ...Object.values(depths))).toBeLessThanOrEqual(options.maxPerDestination)
        }
        await clock.advanceAsync(10_000)
        const { sent, dropped, failed, depths } = queues.snapshot()
        expect(Object.values(depths).every((depth) => depth === 0)).toBe(true)
        expect(sent + dropped + failed).toBe(offered)
        expect(failed).toBe(lost)
        for (const numbers of left.values()) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
      }),
    )
  })

  it.each([
    [{}, 'send'],
    [{ send: 'x' }, 'send'],
    [{ maxBatch: 0 }, 'maxBatch'],
    [{ maxPerDestination: 0 }, 'maxPerDestination'],
    [{ maxPerDestination: 2.5 }, 'maxPerDestination'],
    [{ maxDestinations: 0 }, 'maxDestinations'],
    [{ onError: 5 }, 'onError'],
    [{ onDrop: () => 5 }, 'onDrop'],
    [{ clock: 5 }, 'clock'],
  ])('refuses %j', (bad, path) => {
    const options = { ...(path === 'send' ? {} : { send: async () => {} }), ...bad }
    const config = { code: 'CONFIG_INVALID', issues: [expect.objectContaining({ path })] }
    const make = () => new DestinationQueues(options as DestinationQueuesOptions<string>)
    expect(make).toThrow(expect.objectContaining(config) as Error)
  })
})
