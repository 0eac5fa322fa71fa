import type { BackpressureLevel, ConfigError } from '@hs/core'
import { MemoryLogger, VirtualClock } from '@hs/core/testing'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import {
  classifyUpdate,
  exponentialSketch,
  StatsPusher,
  WindowedStats,
  type StatsPusherEvents,
  type StatsPusherOptions,
  type StatsUpdate,
  type WindowResult,
} from '../src/index.js'

function setup(options: Partial<StatsPusherOptions> = {}) {
  const clock = new VirtualClock()
  const logger = new MemoryLogger()
  const stats = new WindowedStats({ clock, windowMs: 100, driftToleranceMs: 0, sketch: exponentialSketch() })
  const pusher = new StatsPusher({ stats, clock, logger, ...options })
  const told: { [K in keyof StatsPusherEvents]: StatsPusherEvents[K][0][] } = {
    subscriberError: [],
    undelivered: [],
    unclaimed: [],
  }
  pusher.events.on('subscriberError', (event) => told.subscriberError.push(event))
  pusher.events.on('undelivered', (event) => told.undelivered.push(event))
  pusher.events.on('unclaimed', (event) => told.unclaimed.push(event))
  /** One record of now, in the workflow. */
  const record = (jobId = 'j', workflowId = 'w', n = 1) =>
    stats.record({ jobId, workflowId, source: 's', atMs: clock.wallNow(), counts: { n } })
  const subscribe = (jobId = 'j') => {
    const updates: StatsUpdate[] = []
    const off = pusher.subscribe(jobId, (update) => void updates.push(update))
    return { updates, off }
  }
  return { clock, logger, stats, pusher, told, record, subscribe }
}

const windowsOf = (updates: readonly StatsUpdate[]): readonly WindowResult[] =>
  updates.flatMap((update) => (update.tier === 'periodic' ? update.windows : []))
const total = (updates: readonly StatsUpdate[]) =>
  windowsOf(updates).reduce((sum, { counts }) => sum + (counts['n'] ?? 0), 0)

describe('classifyUpdate (WSTAT-20)', () => {
  it('is immediate when the status changes, the first report included', () => {
    expect(classifyUpdate(undefined, 'running')).toBe('immediate')
    expect(classifyUpdate('running', 'running')).toBe('periodic')
    expect(classifyUpdate('running', 'failed')).toBe('immediate')
  })
})

describe('rounds (WSTAT-21, 22)', () => {
  it('brings closed windows every interval, numbered from 1', async () => {
    const { clock, pusher, record, subscribe } = setup()
    const { updates } = subscribe()
    await pusher.start()
    await pusher.start()
    record()
    clock.advance(249)
    expect(updates).toEqual([])
    clock.advance(1)
    record('j', 'w', 2)
    clock.advance(250)
    expect(updates).toMatchObject([
      { tier: 'periodic', jobId: 'j', sequence: 1, final: false, windows: [{ counts: { n: 1 } }] },
      { tier: 'periodic', jobId: 'j', sequence: 2, final: false, windows: [{ counts: { n: 2 } }] },
    ])
    expect(Object.isFrozen(updates[0])).toBe(true)
    clock.advance(10_000)
    expect(updates).toHaveLength(2) // nothing new, nothing sent
    await pusher.stop()
  })

  it.each<[BackpressureLevel, number]>([
    ['none', 250],
    ['throttle', 500],
    ['batch', 1_000],
  ])('waits longer at %s', async (level, waitMs) => {
    const { clock, pusher, record, subscribe } = setup({ backpressure: () => level })
    const { updates } = subscribe()
    await pusher.start()
    record()
    clock.advance(waitMs - 1)
    expect(updates).toEqual([])
    clock.advance(1)
    expect(total(updates)).toBe(1)
    await pusher.stop()
  })

  it('leaves a round out at reject, also if the level rose during the wait, and loses nothing', async () => {
    let level: BackpressureLevel = 'none'
    const { clock, pusher, record, subscribe } = setup({ backpressure: () => level })
    const { updates } = subscribe()
    await pusher.start()
    record()
    clock.advance(200)
    level = 'reject'
    clock.advance(50)
    expect(updates).toEqual([])
    expect(pusher.snapshot().skipped).toBe(1)
    clock.advance(999)
    level = 'none'
    clock.advance(1)
    expect(total(updates)).toBe(1)
    await pusher.stop()
  })

  it('reports a backpressure that throws, or says nothing it knows, and goes on as at none', async () => {
    const answers = [() => { throw new Error('no meter') }, () => 'a lot' as never] // prettier-ignore
    for (const backpressure of answers) {
      const { clock, logger, pusher, record, subscribe } = setup({ backpressure })
      const { updates } = subscribe()
      await pusher.start()
      record()
      clock.advance(250)
      expect(total(updates)).toBe(1)
      expect(logger.entries.some(({ level }) => level === 'error')).toBe(true)
      await pusher.stop()
    }
  })

  it('takes a round on demand', () => {
    const { clock, pusher, record, subscribe } = setup({ backpressure: () => 'reject' })
    const { updates } = subscribe()
    record()
    clock.advance(100)
    pusher.pushNow()
    expect(total(updates)).toBe(1)
    expect(pusher.snapshot()).toEqual({
      jobs: 1,
      subscribers: 1,
      queued: 0,
      delivered: 1,
      undelivered: 0,
      skipped: 0,
      retries: 0,
    })
  })
})

describe('immediate updates (WSTAT-20, 22)', () => {
  it('go out at once, under any pressure, to every subscriber of the job', () => {
    const { pusher, subscribe } = setup({ backpressure: () => 'reject' })
    const one = subscribe()
    const two = subscribe()
    const other = subscribe('other')
    expect(pusher.publish('j', { status: 'running' })).toBe(2)
    expect(one.updates).toEqual([{ tier: 'immediate', jobId: 'j', sequence: 1, payload: { status: 'running' } }])
    expect(two.updates).toEqual(one.updates)
    expect(other.updates).toEqual([])
    expect(pusher.publish('nobody', 1)).toBe(0)
  })

  it('go before windows that wait, and the oldest gives way beyond the bound', async () => {
    const { clock, pusher, told, record } = setup({ maxQueuedPerSubscriber: 2, deliveryTimeoutMs: 60_000 })
    const seen: StatsUpdate[] = []
    let release = () => {}
    pusher.subscribe('j', (update) => {
      seen.push(update)
      return seen.length === 1 ? new Promise<void>((resolve) => (release = resolve)) : undefined
    })
    record()
    clock.advance(100)
    pusher.pushNow() // held
    record()
    clock.advance(100)
    pusher.pushNow()
    for (const payload of ['a', 'b', 'c']) pusher.publish('j', payload)
    expect(told.undelivered).toMatchObject([
      { jobId: 'j', update: { payload: 'a' }, error: { code: 'LIMIT_EXCEEDED' } },
    ])
    expect(pusher.snapshot().queued).toBe(4)
    release()
    await clock.advanceAsync(0)
    expect(seen.map((update) => (update.tier === 'immediate' ? update.payload : update.tier))).toEqual([
      'periodic',
      'b',
      'c',
      'periodic',
    ])
  })
})

describe('slow and failing subscribers (WSTAT-22, 23)', () => {
  it('a subscriber that hangs holds up nobody and gets coarser windows, with every count', async () => {
    const { clock, pusher, record, subscribe } = setup({ maxQueuedPerSubscriber: 4, deliveryTimeoutMs: 60_000 })
    const slow: StatsUpdate[] = []
    let release = () => {}
    pusher.subscribe('j', (update) => {
      slow.push(update)
      return new Promise<void>((resolve) => (release = resolve))
    })
    const healthy = subscribe()
    for (let i = 0; i < 40; i++) {
      record('j', i % 2 === 0 ? 'even' : 'odd')
      clock.advance(100)
      pusher.pushNow()
    }
    expect(total(healthy.updates)).toBe(40)
    expect(windowsOf(healthy.updates)).toHaveLength(40)
    expect(slow).toHaveLength(1)
    release()
    await clock.advanceAsync(0)
    expect(windowsOf(slow)).toHaveLength(5)
    expect(total(slow)).toBe(40)
    expect(new Set(windowsOf(slow).map(({ workflowId }) => workflowId))).toEqual(new Set(['even', 'odd']))
  })

  it('repeats a failed delivery with the same number, after waits that double, and then gives it up', async () => {
    const { clock, pusher, told, record } = setup()
    const at: number[] = []
    const numbers: number[] = []
    pusher.subscribe('j', ({ sequence }) => {
      at.push(clock.now())
      numbers.push(sequence)
      if (sequence === 1) throw new Error('broken')
    })
    record()
    clock.advance(100)
    pusher.pushNow()
    record()
    clock.advance(100)
    pusher.pushNow()
    clock.advance(10_000)
    expect(at).toEqual([100, 600, 1_600, 1_600])
    expect(numbers).toEqual([1, 1, 1, 2])
    expect(told.subscriberError.map(({ jobId, attempt }) => [jobId, attempt])).toEqual([
      ['j', 1],
      ['j', 2],
      ['j', 3],
    ])
    expect(told.undelivered).toMatchObject([{ jobId: 'j', update: { sequence: 1, windows: [{ counts: { n: 1 } }] } }])
    expect(pusher.snapshot()).toMatchObject({ delivered: 1, undelivered: 1, retries: 2 })
    expect(clock.pendingTimers).toBe(0)
  })

  it('a promise that rejects or does not settle in time is a failure, and what it says later means nothing', async () => {
    const { clock, pusher, told, record } = setup({ attempts: 2, retryBaseMs: 100, deliveryTimeoutMs: 1_000 })
    const calls: (() => void)[] = []
    pusher.subscribe('j', ({ sequence }) => {
      if (sequence > 1) return undefined
      if (calls.length === 1) return Promise.reject(new Error('no'))
      return new Promise<void>((resolve) => calls.push(resolve))
    })
    record()
    clock.advance(100)
    pusher.pushNow()
    await clock.advanceAsync(1_050)
    expect(told.subscriberError).toMatchObject([{ error: { code: 'TIMEOUT' }, attempt: 1 }])
    calls[0]?.()
    await clock.advanceAsync(1_000)
    expect(told.subscriberError).toMatchObject([{ attempt: 1 }, { error: { message: 'no' }, attempt: 2 }])
    expect(told.undelivered).toHaveLength(1)
    expect(pusher.snapshot()).toMatchObject({ delivered: 0, undelivered: 1, queued: 0 })
  })

  it('a listener that throws is reported and changes nothing', () => {
    const { clock, logger, pusher } = setup({ attempts: 1 })
    pusher.events.on('subscriberError', () => {
      throw new Error('a listener')
    })
    pusher.subscribe('j', () => {
      throw new Error('a subscriber')
    })
    pusher.publish('j', 1)
    pusher.publish('j', 2)
    expect(pusher.snapshot()).toMatchObject({ undelivered: 2, queued: 0 })
    expect(logger.entries.length).toBeGreaterThan(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it('unsubscribing drops the queue, also from within a delivery and between tries', async () => {
    const { clock, pusher } = setup()
    const seen: unknown[] = []
    const off = pusher.subscribe('j', (update) => {
      seen.push(update.sequence)
      pusher.publish('j', 'more')
      off()
    })
    pusher.publish('j', 'first')
    expect(seen).toEqual([1])
    expect(pusher.snapshot()).toMatchObject({ jobs: 0, subscribers: 0, queued: 0 })

    const failing = vi.fn(() => {
      throw new Error('no')
    })
    const offFailing = pusher.subscribe('j', failing)
    pusher.publish('j', 1)
    offFailing()
    offFailing()
    await clock.advanceAsync(10_000)
    expect(failing).toHaveBeenCalledTimes(1)
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('jobs that nobody watches (WSTAT-24)', () => {
  it('are told once, keep their windows, and are told again after somebody came and went', () => {
    const { clock, pusher, told, record, subscribe } = setup()
    record()
    clock.advance(100)
    pusher.pushNow()
    pusher.pushNow()
    expect(told.unclaimed).toEqual([{ jobId: 'j' }])
    record()
    clock.advance(100)
    pusher.pushNow()
    expect(told.unclaimed).toHaveLength(1)
    const { updates, off } = subscribe()
    pusher.pushNow()
    expect(total(updates)).toBe(2)
    off()
    record()
    clock.advance(100)
    pusher.pushNow()
    pusher.pushNow()
    expect(told.unclaimed).toEqual([{ jobId: 'j' }, { jobId: 'j' }])
  })
})

describe('complete (WSTAT-25)', () => {
  it('brings the last windows after all that wait, marked as final, under any pressure', async () => {
    const { clock, pusher, record, subscribe } = setup({ backpressure: () => 'reject' })
    const { updates } = subscribe()
    record()
    clock.advance(100)
    record()
    const ended = await pusher.complete('j')
    expect(ended).toEqual({ subscribers: 1, delivered: 1, undelivered: 0 })
    expect(updates).toHaveLength(1)
    expect(updates[0]).toMatchObject({ tier: 'periodic', final: true })
    expect(total(updates)).toBe(2)
    expect(record()).toBe('finished')
    expect(pusher.snapshot()).toMatchObject({ jobs: 0, subscribers: 0 })
    expect(pusher.publish('j', 1)).toBe(0)
  })

  it('also without windows', async () => {
    const { pusher, subscribe } = setup()
    const { updates } = subscribe()
    await pusher.complete('j')
    expect(updates).toMatchObject([{ windows: [], final: true, sequence: 1 }])
  })

  it('waits for what is queued and for its repetitions, and for each subscriber', async () => {
    const { clock, pusher, record, subscribe } = setup()
    const seen: StatsUpdate[] = []
    let failures = 2
    pusher.subscribe('j', (update) => {
      if (failures-- > 0) throw new Error('not yet')
      seen.push(update)
    })
    pusher.subscribe('j', () => new Promise(() => undefined))
    const healthy = subscribe()
    record()
    clock.advance(100)
    pusher.pushNow()
    record()
    const ending = pusher.complete('j')
    expect(pusher.complete('j')).toBe(ending)
    expect(healthy.updates).toHaveLength(2)
    await clock.advanceAsync(60_000)
    expect(await ending).toEqual({ subscribers: 3, delivered: 2, undelivered: 1 })
    expect(seen.map((update) => update.tier === 'periodic' && update.final)).toEqual([false, true])
    expect(total(seen)).toBe(2)
    expect(clock.pendingTimers).toBe(0)
  })

  it('without subscribers the windows go out with `unclaimed`', async () => {
    const { pusher, told, record } = setup()
    record()
    expect(await pusher.complete('j')).toEqual({ subscribers: 0, delivered: 0, undelivered: 0 })
    expect(told.unclaimed).toMatchObject([{ jobId: 'j', windows: [{ counts: { n: 1 } }] }])
    await pusher.complete('unknown')
    expect(told.unclaimed).toHaveLength(1)
  })

  it('whoever leaves meanwhile is not waited for', async () => {
    const { pusher, clock } = setup()
    const off = pusher.subscribe('j', () => new Promise(() => undefined))
    const ending = pusher.complete('j')
    off()
    expect(await ending).toEqual({ subscribers: 1, delivered: 0, undelivered: 1 })
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('callbacks that call back (WSTAT-22, 23, 25)', () => {
  it('every subscriber has its share of a round before the first can complete the job', async () => {
    const { clock, pusher, record, subscribe } = setup()
    let ending: Promise<unknown> | undefined
    pusher.subscribe('j', (update) => {
      if (update.tier === 'periodic' && !update.final) ending = pusher.complete('j')
    })
    const { updates } = subscribe()
    record()
    clock.advance(100)
    record()
    pusher.pushNow()
    expect(await ending).toEqual({ subscribers: 2, delivered: 2, undelivered: 0 })
    expect(total(updates)).toBe(2)
    expect(updates.map((update) => update.tier === 'periodic' && update.final)).toEqual([false, true])
  })

  it('and of an immediate update', async () => {
    const { pusher, subscribe } = setup()
    let ending: Promise<unknown> | undefined
    pusher.subscribe('j', (update) => {
      if (update.tier === 'immediate') ending = pusher.complete('j')
    })
    const { updates } = subscribe()
    expect(pusher.publish('j', 'done')).toBe(2)
    await ending
    expect(updates).toMatchObject([
      { payload: 'done', sequence: 1 },
      { final: true, sequence: 2 },
    ])
  })

  it('a job that is completed during a round is not said to be unclaimed', () => {
    const { clock, pusher, told, record, subscribe } = setup()
    pusher.subscribe('j', () => void pusher.complete('k'))
    const { updates } = subscribe('k')
    record('j')
    record('k')
    clock.advance(100)
    pusher.pushNow()
    expect(told.unclaimed).toEqual([])
    expect(total(updates)).toBe(1)
  })

  it('completing from within the last delivery is the same completing', async () => {
    const { pusher } = setup()
    let inner: Promise<unknown> | undefined
    pusher.subscribe('j', () => void (inner = pusher.complete('j')))
    const outer = pusher.complete('j')
    expect(inner).toBe(outer)
    expect(await outer).toEqual({ subscribers: 1, delivered: 1, undelivered: 0 })
  })

  it('who subscribes while a job takes its leave is completed by the next call, or by stop', async () => {
    const { pusher, subscribe } = setup()
    let release = () => {}
    pusher.subscribe('j', () => new Promise<void>((resolve) => (release = resolve)))
    const first = pusher.complete('j')
    expect(pusher.snapshot()).toMatchObject({ jobs: 1, subscribers: 1, queued: 1 })
    const late = subscribe()
    const second = pusher.complete('j')
    const later = subscribe()
    const stopping = pusher.stop()
    for (const { updates } of [late, later]) expect(updates).toMatchObject([{ final: true, windows: [] }])
    release()
    expect(await first).toEqual({ subscribers: 1, delivered: 1, undelivered: 0 })
    expect(await second).toEqual({ subscribers: 2, delivered: 2, undelivered: 0 })
    await stopping
    expect(pusher.snapshot()).toMatchObject({ jobs: 0, subscribers: 0, queued: 0 })
  })

  it('what is thrown or rejected by one that unsubscribed meanwhile still has its reader, and is not repeated', async () => {
    const { clock, pusher, told } = setup()
    const offThrowing = pusher.subscribe('j', () => {
      offThrowing()
      throw new Error('bye')
    })
    const offRejecting = pusher.subscribe('j', () => {
      offRejecting()
      return Promise.reject(new Error('adieu'))
    })
    pusher.publish('j', 1)
    await clock.advanceAsync(10_000)
    expect(told.subscriberError.map(({ error, attempt }) => [(error as Error).message, attempt])).toEqual([
      ['bye', 1],
      ['adieu', 1],
    ])
    expect(told.undelivered).toEqual([])
    expect(clock.pendingTimers).toBe(0)
  })

  it('a return that is no promise is a delivery at once, whatever it is', () => {
    const { clock, pusher } = setup()
    pusher.subscribe('j', (() => ({ then: 'later' })) as never)
    pusher.publish('j', 1)
    expect(pusher.snapshot()).toMatchObject({ delivered: 1, queued: 0 })
    expect(clock.pendingTimers).toBe(0)
  })

  it('counts are kept whatever callbacks do', async () => {
    const step = fc.record({
      kind: fc.constantFrom('record', 'push', 'wait', 'publish', 'visit'),
      jobId: fc.constantFrom('a', 'b'),
      n: fc.nat(5),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.infiniteStream(fc.nat(12)), async (steps, moods) => {
        const { clock, pusher, record } = setup({ attempts: 1e6, maxQueuedPerSubscriber: 3, retryBaseMs: 50 })
        const sent = new Map([
          ['a', 0],
          ['b', 0],
        ])
        const send = (jobId: string, n: number) => {
          if (record(jobId, 'w', n) === 'counted') sent.set(jobId, (sent.get(jobId) ?? 0) + n)
        }
        const readers = ['a', 'b', 'a', 'b'].map((jobId) => ({ jobId, seen: new Map<number, StatsUpdate>() }))
        for (const { jobId, seen } of readers) {
          pusher.subscribe(jobId, (update) => {
            const mood = moods.next().value as number
            if (mood === 0) throw new Error('not now')
            if (mood === 1) return new Promise(() => undefined)
            if (mood === 2) return Promise.reject(new Error('not now'))
            if (mood === 3) pusher.pushNow()
            if (mood === 4) send(jobId, 1)
            if (mood === 5) pusher.publish('b', 0)
            seen.set(update.sequence, update)
            return mood === 6 ? clock.sleep(300) : undefined
          })
        }
        for (const { kind, jobId, n } of steps) {
          if (kind === 'record') send(jobId, n)
          if (kind === 'push') pusher.pushNow()
          if (kind === 'wait') await clock.advanceAsync(n * 60)
          if (kind === 'publish') pusher.publish(jobId, n)
          if (kind === 'visit') pusher.subscribe(jobId, () => undefined)()
        }
        const ends = await clock.run(Promise.all(['a', 'b'].map((jobId) => pusher.complete(jobId))))
        for (const end of ends) expect(end).toEqual({ subscribers: 2, delivered: 2, undelivered: 0 })
        for (const { jobId, seen } of readers) expect(total([...seen.values()])).toBe(sent.get(jobId))
      }),
      { numRuns: 100 },
    )
  })
})

describe('life (WSTAT-26)', () => {
  it('stop completes every job, also between tries, and leaves no timer', async () => {
    const { clock, pusher, record, subscribe } = setup()
    await pusher.start()
    const { updates } = subscribe()
    const failing = vi.fn(() => {
      throw new Error('no')
    })
    pusher.subscribe('k', failing)
    record('j')
    record('k')
    clock.advance(250)
    const stopping = pusher.stop()
    expect(pusher.stop()).toBe(stopping)
    await clock.advanceAsync(60_000)
    await stopping
    expect(updates.at(-1)).toMatchObject({ final: true })
    expect(total(updates)).toBe(1)
    expect(failing).toHaveBeenCalledTimes(6)
    expect(clock.pendingTimers).toBe(0)
    expect(() => pusher.subscribe('j', () => undefined)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    await expect(pusher.start()).rejects.toMatchObject({ code: 'CLOSED' })
    expect(pusher.publish('j', 1)).toBe(0)
    pusher.pushNow()
  })

  it('stops at the end of a block', async () => {
    const { clock, pusher } = setup()
    {
      await using inner = pusher
      await inner.start()
    }
    expect(clock.pendingTimers).toBe(0)
  })

  it('bounds the subscribers of a job', () => {
    const { pusher } = setup({ maxSubscribersPerJob: 2 })
    const off = pusher.subscribe('j', () => undefined)
    pusher.subscribe('j', () => undefined)
    expect(() => pusher.subscribe('j', () => undefined)).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }))
    off()
    pusher.subscribe('j', () => undefined)
    expect(() => pusher.subscribe('', () => undefined)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => pusher.subscribe('j', 1 as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it.each<[string, object]>([
    ['stats', { stats: {} }],
    ['intervalMs', { intervalMs: 0 }],
    ['intervalFactor.batch', { intervalFactor: { batch: 0 } }],
    ['attempts', { attempts: 0 }],
    ['deliveryTimeoutMs', { deliveryTimeoutMs: -1 }],
    ['maxQueuedPerSubscriber', { maxQueuedPerSubscriber: 0 }],
  ])('names %s of bad options', (path, options) => {
    try {
      setup(options)
      expect.unreachable()
    } catch (error) {
      expect((error as ConfigError).issues.map((issue) => issue.path)).toContain(path)
    }
  })
})

describe('every count reaches every subscriber that stays (WSTAT-15, 22, 25)', () => {
  it('whatever is slow, fails a while or reorders', async () => {
    const step = fc.record({
      workflow: fc.constantFrom('a', 'b', 'c'),
      n: fc.integer({ min: 1, max: 9 }),
      waitMs: fc.nat(400),
      isRound: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.infiniteStream(fc.nat(5)), async (steps, moods) => {
        const { clock, pusher, record } = setup({ maxQueuedPerSubscriber: 3, attempts: 1_000 })
        const seen = new Map<number, StatsUpdate>()
        pusher.subscribe('j', (update) => {
          const mood = moods.next().value as number
          if (mood === 0) throw new Error('not now')
          if (mood === 1) return Promise.reject(new Error('not now'))
          const take = () => void seen.set(update.sequence, update)
          if (mood === 2) return clock.sleep(300).then(take)
          take()
          return undefined
        })
        let sent = 0
        for (const { workflow, n, waitMs, isRound } of steps) {
          sent += n
          record('j', workflow, n)
          await clock.advanceAsync(waitMs)
          if (isRound) pusher.pushNow()
        }
        const ended = await clock.run(pusher.complete('j'))
        expect(ended).toEqual({ subscribers: 1, delivered: 1, undelivered: 0 })
        const updates = [...seen].sort(([a], [b]) => a - b).map(([, update]) => update)
        expect(total(updates)).toBe(sent)
        expect(updates.map(({ sequence }) => sequence)).toEqual(updates.map((_, i) => i + 1))
        expect(updates.at(-1)).toMatchObject({ final: true })
      }),
      { numRuns: 50 },
    )
  })
})
