import { HsError, messagePriorities, TimingWheel } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { reconnectDelayMs } from '../src/backoff.js'
import { BytePool } from '../src/byte-pool.js'
import { negotiate, type ProtocolOffer } from '../src/index.js'
import { LazyTimer } from '../src/lazy-timer.js'
import { CalledMethods, ServedMethods, type Lane } from '../src/methods.js'
import { OutboundCalls } from '../src/outbound-call.js'
import { SendQueue, type Message } from '../src/send-queue.js'
import { OutgoingFrame } from '../src/outgoing-frame.js'
import { PriorityTable } from '../src/priority-table.js'

describe('negotiate (NEG-1)', () => {
  const offer = fc.record({
    major: fc.integer({ min: 0, max: 3 }),
    minor: fc.nat(5),
    features: fc.array(fc.constantFrom('a', 'b', 'c', 'd')),
  })

  function agreed(a: ProtocolOffer, b: ProtocolOffer): ProtocolOffer | null {
    try {
      return negotiate(a, b)
    } catch {
      return null
    }
  }

  it('is symmetric, idempotent and never widens', () => {
    fc.assert(
      fc.property(offer, offer, (a, b) => {
        const found = agreed(a, b)
        expect(agreed(b, a)).toEqual(found)
        if (found === null) {
          expect(a.major).not.toBe(b.major)
          return
        }
        expect(negotiate(found, a)).toEqual(found)
        expect(negotiate(found, found)).toEqual(found)
        expect(found.minor).toBe(Math.min(a.minor, b.minor))
        expect(found.features).toEqual([...new Set(a.features)].filter((f) => b.features.includes(f)).sort())
      }),
    )
  })

  it('rejects another major as PEER_REJECTED, not executed, for its version', () => {
    const one = { major: 1, minor: 0, features: [] }
    expect(() => negotiate(one, { ...one, major: 2 })).toThrow(
      expect.objectContaining({ code: 'PEER_REJECTED', notExecuted: true, details: { reason: 'version' } }),
    )
  })

  it.each([
    null,
    undefined,
    1,
    {},
    { major: '1', minor: 0, features: [] },
    { major: 1, minor: -1, features: [] },
    { major: 1, minor: 0.5, features: [] },
    { major: 1, minor: 0, features: 'a' },
    { major: 1, minor: 0, features: [1] },
  ])('rejects the malformed offer %j', (bad) => {
    const good = { major: 1, minor: 0, features: [] }
    for (const attempt of [() => negotiate(good, bad as never), () => negotiate(bad as never, good)]) {
      expect(attempt).toThrow(expect.objectContaining({ code: 'PEER_REJECTED', details: { reason: 'version' } }))
    }
  })
})

describe('reconnectDelayMs (CONN-1)', () => {
  it.each([
    [1, 0, 50],
    [1, 1, 100],
    [2, 0, 100],
    [2, 0.5, 150],
    [6, 0, 1_600],
    [7, 0, 2_500],
    [7, 1, 5_000],
    [60, 0.5, 3_750],
    [5_000, 0, 2_500],
  ])('after failure %i with u = %f is %i ms', (failures, u, expected) => {
    expect(reconnectDelayMs(failures, 100, 5_000, u)).toBeCloseTo(expected)
  })
})

describe('PriorityTable (PRIO-1)', () => {
  const table = new PriorityTable({
    'job.cancel': 'critical',
    'job.*': 'high',
    'job.stats.*': 'low',
    'leader*': 'critical',
    '*': 'normal',
  })
  it.each([
    ['job.cancel', 'critical'],
    ['job.run', 'high'],
    ['job.', 'high'],
    ['job', 'normal'],
    ['job.stats.cpu', 'low'],
    ['job.stats', 'high'],
    ['leader', 'critical'],
    ['leadership', 'critical'],
    ['other', 'normal'],
  ])('gives %s the priority %s: exact name, else longest prefix, else normal', (method, priority) => {
    expect(table.of(method)).toBe(priority)
    expect(new PriorityTable({}).of(method)).toBe('normal')
  })
})

describe('method tables', () => {
  const priorities = new PriorityTable({})

  it('find a served method by its bytes, whatever lies around them', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ minLength: 1, maxLength: 40 }), { minLength: 1 }), (names) => {
        const served = new ServedMethods(priorities)
        for (const name of names) served.set(name, () => new TextEncoder().encode(name))
        for (const name of names) {
          const bytes = Buffer.concat([Buffer.of(1, 2), Buffer.from(name), Buffer.of(3)])
          const found = served.find(bytes, 2, bytes.length - 1)
          expect(found?.name).toBe(name)
          const longer = served.find(bytes, 2, bytes.length)
          expect(longer === undefined || names.includes(longer.name)).toBe(true)
          expect(longer?.name).not.toBe(name)
        }
      }),
    )
  })

  it('tell names of one hash apart', () => {
    // FNV-1a of 32 bits: found by search.
    const served = new ServedMethods(priorities)
    const [a, b] = ['costarring', 'liquid']
    served.set(a, () => Uint8Array.of(1))
    served.set(b, () => Uint8Array.of(2))
    for (const name of [a, b]) {
      const bytes = Buffer.from(name)
      expect(served.find(bytes, 0, bytes.length)?.name).toBe(name)
    }
  })

  it('keep a bounded number of called names', () => {
    const called = new CalledMethods(priorities)
    const first = called.get('m0')
    expect(called.get('m0')).toBe(first)
    for (let i = 1; i <= 4_096; i++) called.get(`m${i}`)
    expect(called.get('m4096')).toBe(called.get('m4096'))
    expect(called.get('m0')).not.toBe(first)
  })
})

describe('LazyTimer', () => {
  it('fires once at the last deadline that was set, never early, though it moves often', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ wait: fc.nat(50), delay: fc.option(fc.integer({ min: 1, max: 100 })) }), {
          maxLength: 30,
        }),
        (steps) => {
          const clock = new VirtualClock()
          const wheel = new TimingWheel({ clock, tickMs: 1 })
          const fired: number[] = []
          const timer = new LazyTimer(clock, wheel, () => fired.push(clock.now()))
          const expected: number[] = []
          let due = Infinity
          for (const { wait, delay } of steps) {
            if (due <= clock.now() + wait) {
              expected.push(due)
              due = Infinity
            }
            clock.advance(wait)
            if (delay === null) timer.clear()
            else timer.set(clock.now(), delay)
            due = delay === null ? Infinity : clock.now() + delay
          }
          if (due < Infinity) expected.push(due)
          clock.advance(1_000)
          expect(fired).toEqual(expected)
          timer.cancel()
          expect(wheel.size).toBe(0)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('SendQueue (PRIO-3, PRIO-4, LIM-2, RPC-6)', () => {
  const clock = new VirtualClock()
  const calls = new OutboundCalls(clock, new TimingWheel({ clock }))
  const methods = new CalledMethods(new PriorityTable({ critical: 'critical', high: 'high', low: 'low' }))
  const nameOf = (lane: Lane) => messagePriorities[lane]

  const request = (lane: Lane, size = 0) => {
    const call = calls.take()
    call.begin('a:1', methods.get(nameOf(lane)), new Uint8Array(size), 0, 1_000, undefined).catch((error: unknown) => {
      if (!HsError.is(error)) throw error
    })
    return call
  }
  const notification = (lane: Lane, size = 0) =>
    OutgoingFrame.notification(methods.get(nameOf(lane)), new Uint8Array(size))
  const answer = (lane: Lane, size = 0) => OutgoingFrame.answer(3, 1, lane, new Uint8Array(size), null)

  it('gives control frames first, then strictly by priority, and requests last within one', () => {
    const queue = new SendQueue({ maxQueued: 100, maxQueuedBytes: 1e9 })
    const order: Message[] = []
    const add = (message: Message, how: 'addRequest' | 'addFrame' | 'addControl') => {
      queue[how](message as never)
      return message
    }
    const low = add(notification(3), 'addFrame')
    const normalRequest = add(request(2), 'addRequest')
    const secondNormalRequest = add(request(2), 'addRequest')
    const normalAnswer = add(answer(2), 'addFrame')
    const normalNote = add(notification(2), 'addFrame')
    const high = add(request(1), 'addRequest')
    const ping = add(OutgoingFrame.control(7, 0, new Uint8Array(8)), 'addControl')
    for (let next = queue.peek(true); next !== null; next = queue.peek(true)) {
      queue.take(next)
      order.push(next)
    }
    expect(order).toEqual([ping, high, normalAnswer, normalNote, normalRequest, secondNormalRequest, low])
    expect(queue.bytes).toBe(0)
    expect(queue.isEmpty).toBe(true)
  })

  it('lets notifications pass requests that wait for a slot', () => {
    const queue = new SendQueue({ maxQueued: 100, maxQueuedBytes: 1e9 })
    queue.addRequest(request(1))
    const note = notification(3)
    queue.addFrame(note)
    expect(queue.peek(false)).toBe(note)
    queue.take(note)
    expect(queue.peek(false)).toBeNull()
    expect(queue.isEmpty).toBe(false)
  })

  it('admits maxQueued of each priority, beyond those for which there are slots', () => {
    const queue = new SendQueue({ maxQueued: 2, maxQueuedBytes: 1e9 })
    const admitted = (lane: Lane, slots: number) => {
      const ok = queue.admits(lane, 20, slots)
      if (ok) queue.addRequest(request(lane))
      return ok
    }
    expect([admitted(3, 1), admitted(3, 1), admitted(3, 1), admitted(3, 1)]).toEqual([true, true, true, false])
    expect([admitted(2, 1), admitted(2, 1), admitted(2, 1)]).toEqual([true, true, false])
    expect(queue.messages(3)).toBe(3)
  })

  it('displaces the newest of the lowest priorities, only if that is enough, and no answer', () => {
    const queue = new SendQueue({ maxQueued: 100, maxQueuedBytes: 1_000 })
    const lowFirst = notification(3, 250)
    const lowSecond = notification(3, 250)
    const normal = notification(2, 250)
    for (const frame of [lowFirst, lowSecond, answer(3, 150), normal]) queue.addFrame(frame)
    expect(queue.admits(1, 200, 0)).toBe(false)
    expect(queue.displace(1, 900)).toEqual([])
    expect(queue.displace(3, 200)).toEqual([])
    expect(queue.displace(2, 200)).toEqual([lowSecond])
    expect(queue.displace(1, 500)).toEqual([lowFirst])
    expect(queue.displace(1, 800)).toEqual([normal])
    expect(queue.admits(1, 800, 0)).toBe(true)
  })

  it('counts messages and bytes right under any use', () => {
    const lane = fc.integer({ min: 0, max: 3 }) as fc.Arbitrary<Lane>
    const step = fc.oneof(
      fc.record({ do: fc.constant('request' as const), lane, size: fc.nat(50) }),
      fc.record({ do: fc.constant('notify' as const), lane, size: fc.nat(50) }),
      fc.record({ do: fc.constant('answer' as const), lane, size: fc.nat(50) }),
      fc.record({ do: fc.constant('take' as const), lane, size: fc.nat(1) }),
      fc.record({ do: fc.constant('remove' as const), lane, size: fc.nat(1) }),
      fc.record({ do: fc.constant('displace' as const), lane, size: fc.nat(500) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new SendQueue({ maxQueued: 100, maxQueuedBytes: 1_000 })
        const inside = new Set<Message>()
        const add = (message: Message) => {
          inside.add(message)
          if (message instanceof OutgoingFrame) queue.addFrame(message)
          else queue.addRequest(message)
        }
        for (const s of steps) {
          if (s.do === 'request') add(request(s.lane, s.size))
          else if (s.do === 'notify') add(notification(s.lane, s.size))
          else if (s.do === 'answer') add(answer(s.lane, s.size))
          else if (s.do === 'take') {
            const next = queue.peek(s.size === 1)
            if (next === null) continue
            queue.take(next)
            expect(inside.delete(next)).toBe(true)
          } else if (s.do === 'remove') {
            const some = [...inside].find((m) => m.method !== null && m.method.lane === s.lane)
            if (some !== undefined) {
              queue.remove(some)
              inside.delete(some)
            }
          } else for (const gone of queue.displace(s.lane, s.size)) expect(inside.delete(gone)).toBe(true)
          expect(queue.bytes).toBe([...inside].reduce((sum, m) => sum + m.bytes, 0))
          for (const l of [0, 1, 2, 3] as const) {
            expect(queue.messages(l)).toBe([...inside].filter((m) => m.method !== null && m.method.lane === l).length)
          }
        }
        const drained = queue.drain(true)
        for (const message of drained) expect(inside.delete(message)).toBe(true)
        expect([...inside].every((m) => m.method === null)).toBe(true)
      }),
    )
  })
})

describe('BytePool', () => {
  it('gives copies that nobody else has, though memory is used again', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ size: fc.nat(40_000), letGo: fc.option(fc.nat(10)) }), { maxLength: 40 }),
        (steps) => {
          const pool = new BytePool()
          const held: { copy: Uint8Array; value: number }[] = []
          for (const [i, { size, letGo }] of steps.entries()) {
            const source = new Uint8Array(size).fill(i)
            held.push({ copy: pool.copy(source), value: i })
            source.fill(255)
            if (letGo !== null) for (const { copy } of held.splice(letGo, 1)) pool.recycle(copy)
            for (const { copy, value } of held) expect(copy.every((byte) => byte === value)).toBe(true)
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  it('uses the memory of large copies again, that of small and huge ones not', () => {
    const pool = new BytePool()
    const reuses = (size: number) => {
      const first = pool.copy(new Uint8Array(size))
      pool.recycle(first)
      const second = pool.copy(new Uint8Array(size - 1))
      return second.buffer === first.buffer && second.byteOffset === first.byteOffset
    }
    expect([2_048, 2_050, 4_096, 16_384, 32_768].map(reuses)).toEqual([false, true, true, true, true])
    expect(reuses(40_000)).toBe(false)
  })
})
