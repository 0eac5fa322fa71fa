import { HsError, messagePriorities, overloadStates } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import {
  Admission,
  AdmissionError,
  GradientLimit,
  OverloadDetector,
  PriorityExecutor,
  RateLimiter,
  type AdmissionOptions,
  type AdmissionRequest,
  type MessagePriority,
  type OverloadState,
  type WorkPermit,
} from '@hs/overload'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
const misconfigured = (...paths: string[]): unknown =>
  expect.objectContaining({
    code: 'CONFIG_INVALID',
    issues: paths.map((path) => expect.objectContaining({ path }) as unknown),
  })

const loads: Record<OverloadState, number> = { healthy: 0, busy: 0.7, stressed: 0.85, overloaded: 0.95 }

function make(options: Partial<AdmissionOptions> = {}, limit = 10) {
  const clock = new VirtualClock()
  const detector = new OverloadDetector({ clock, recoverMs: 0, minSamples: 1 })
  const executor = new PriorityExecutor({ clock, limit, criticalReserve: 2 })
  const limiter = new RateLimiter({ clock, rates: { '*': { limit: 3, perMs: 3_000 } } })
  const admission = new Admission({ clock, detector, executor, limiter, ...options })
  const become = (state: OverloadState) => {
    for (let i = 0; i < 4; i++) detector.observe({ cpu: loads[state] })
    expect(detector.state).toBe(state)
  }
  const take = (request: AdmissionRequest): WorkPermit => {
    const decision = admission.admit(request)
    if (!decision.admitted) throw new Error(decision.reason)
    return decision.permit
  }
  return { clock, detector, executor, limiter, admission, become, take }
}

describe('Admission (OVER-9)', () => {
  it('sheds by state, first of all, at no cost', () => {
    const { admission, executor, limiter, become } = make()
    for (const state of overloadStates) {
      become(state)
      const shed = messagePriorities.filter((priority) => {
        const decision = admission.admit({ priority, client: `${state} ${priority}` })
        if (decision.admitted) decision.permit.release()
        else expect(decision).toEqual({ admitted: false, reason: 'shed', retryAfterMs: 1_000 })
        return !decision.admitted
      })
      expect(shed).toEqual(messagePriorities.slice(4 - overloadStates.indexOf(state)))
    }
    expect(admission.snapshot()).toEqual({ admitted: 10, refused: { shed: 6, full: 0, rate: 0 } })
    expect(limiter.snapshot()).toMatchObject({ allowed: 6, refused: 0 })
    expect(executor.snapshot()).toMatchObject({ inFlight: 0, admitted: { critical: 4, high: 3, normal: 2, low: 1 } })
    expect(Object.isFrozen(admission.snapshot().refused)).toBe(true)
  })

  it('then asks for a slot, which costs no token when there is none', () => {
    const { admission, limiter, executor, take } = make({ shedRetryAfterMs: 250 }, 2)
    const held = [take({ priority: 'high', client: 'a' }), take({ priority: 'high', client: 'b' })]
    expect(admission.admit({ priority: 'high', client: 'c' })).toEqual({
      admitted: false,
      reason: 'full',
      retryAfterMs: 250,
    })
    expect(limiter.snapshot()).toMatchObject({ allowed: 2, refused: 0, clients: 2 })
    held[0]?.success()
    expect(admission.admit({ priority: 'high', client: 'c' }).admitted).toBe(true)
    expect(executor.snapshot().inFlight).toBe(2)
  })

  it('then asks for a token, and gives the slot back when there is none', async () => {
    const { admission, executor, clock } = make({}, 2)
    const request = { priority: 'high', client: 'a', operation: 'submit', cost: 3 } as const
    const first = admission.admit(request)
    if (first.admitted) first.permit.success()
    clock.advance(600)
    expect(admission.admit(request)).toEqual({ admitted: false, reason: 'rate', retryAfterMs: 2_400 })
    expect(admission.admit({ ...request, cost: 4 })).toMatchObject({ reason: 'rate', retryAfterMs: Infinity })
    expect(executor.snapshot().inFlight).toBe(0)
    expect(admission.snapshot()).toEqual({ admitted: 1, refused: { shed: 0, full: 0, rate: 2 } })
    await executor.idle()
  })

  it('multiplies rates by the scale of the state', () => {
    const { admission, become, limiter } = make({ shedAt: { busy: null, stressed: null, overloaded: null } })
    const waits = overloadStates.map((state) => {
      become(state)
      const client = state
      for (let i = 0; i < 3; i++) {
        const decision = admission.admit({ priority: 'normal', client })
        if (decision.admitted) decision.permit.release()
      }
      const refused = admission.admit({ priority: 'normal', client })
      return refused.admitted ? 0 : Math.round(refused.retryAfterMs * 1e6) / 1e6
    })
    expect(waits).toEqual([1_000, 1_000, 2_000, 10_000])
    expect(limiter.snapshot().scale).toBe(0.1)
    become('healthy')
    const refused = admission.admit({ priority: 'normal', client: 'overloaded' })
    expect(refused).toMatchObject({ reason: 'rate' })
    expect(refused.admitted || Math.round(refused.retryAfterMs * 1e6) / 1e6).toBe(1_000)
  })

  it('takes scales of its own, and leaves the limiter alone where nobody gives a state', () => {
    const { clock, admission, become, limiter } = make({ rateScale: { busy: 0.25 } })
    become('busy')
    admission.admit({ priority: 'normal', client: 'a' })
    expect(limiter.snapshot().scale).toBe(0.25)

    const other = new RateLimiter({ clock })
    other.setScale(0.5)
    new Admission({ clock, limiter: other }).admit({ priority: 'low', client: 'a' })
    expect(other.snapshot().scale).toBe(0.5)
    new Admission({ clock, limiter: other, rateScale: { healthy: 0.75 } }).admit({ priority: 'low', client: 'a' })
    expect(other.snapshot().scale).toBe(0.75)
  })

  it('neither sheds nor limits by rate what is critical, but bounds it', () => {
    const { admission, become, limiter } = make({}, 4)
    become('overloaded')
    const decisions = Array.from({ length: 8 }, () => admission.admit({ priority: 'critical', client: 'a', cost: 9 }))
    expect(decisions.map((d) => (d.admitted ? 'in' : d.reason))).toEqual([
      ...Array.from({ length: 6 }, () => 'in'),
      'full',
      'full',
    ])
    expect(limiter.snapshot()).toMatchObject({ allowed: 0, refused: 0, clients: 0 })
  })

  it('tells the detector how long it took at success and failure, not at release; the first call counts', () => {
    const { clock, detector, executor, take } = make()
    const [one, two, three] = [1, 2, 3].map((i) => take({ priority: 'high', client: `${i}` }))
    expect(one?.priority).toBe('high')
    clock.advance(30)
    one?.success()
    one?.failure()
    clock.advance(20)
    two?.failure()
    two?.release()
    clock.advance(500)
    three?.release()
    three?.success()
    clock.advance(450)
    expect(detector.snapshot().currentMs).toBe(40)
    expect(executor.snapshot().inFlight).toBe(0)
  })

  it('tells the limit that learns, too', () => {
    const clock = new VirtualClock()
    const limit = new GradientLimit({ clock, minSamples: 2 })
    const admission = new Admission({ clock, executor: new PriorityExecutor({ clock, limit }) })
    const decisions = [1, 2, 3].map(() => admission.admit({ priority: 'normal' }))
    clock.advance(1_000)
    for (const [i, decision] of decisions.entries()) {
      if (!decision.admitted) throw new Error(decision.reason)
      if (i === 0) decision.permit.release()
      else decision.permit.failure()
    }
    expect(limit.snapshot()).toEqual({ limit: 18, longMs: 1_000, probing: false })
  })

  it('works with any of its parts, or none', () => {
    const none = new Admission()
    const decision = none.admit({ priority: 'low', client: 'a' })
    expect(decision.admitted).toBe(true)
    if (decision.admitted) decision.permit.success()
    if (decision.admitted) decision.permit.release()
    const released = none.admit({ priority: 'low' })
    if (released.admitted) released.permit.release()
    expect(none.snapshot().admitted).toBe(2)
  })

  it('charges only the total for a call without a client', () => {
    const clock = new VirtualClock()
    const limiter = new RateLimiter({
      clock,
      rates: { '*': { limit: 1, perMs: 1_000 } },
      total: { limit: 2, perMs: 1_000 },
    })
    const admission = new Admission({ clock, limiter })
    const reasons = [1, 2, 3].map(() => admission.admit({ priority: 'low' })).map((d) => (d.admitted ? 'in' : d.reason))
    expect(reasons).toEqual(['in', 'in', 'rate'])
    expect(limiter.size).toBe(0)
  })

  it('measures on the clock of its detector unless it is given one', () => {
    const clock = new VirtualClock()
    const detector = new OverloadDetector({ clock, minSamples: 1 })
    const decision = new Admission({ detector }).admit({ priority: 'low' })
    clock.advance(700)
    if (decision.admitted) decision.permit.success()
    clock.advance(300)
    expect(detector.snapshot().currentMs).toBe(700)
  })

  it('gives parts on other clocks their own time', () => {
    const clocks = [new VirtualClock(), new VirtualClock({ startMs: 5e6 }), new VirtualClock({ startMs: 9e9 })] as const
    const detector = new OverloadDetector({ clock: clocks[1], minSamples: 1 })
    const limiter = new RateLimiter({ clock: clocks[2], rates: { '*': { limit: 1, perMs: 1_000 } } })
    const admission = new Admission({ clock: clocks[0], detector, limiter })
    const decision = admission.admit({ priority: 'low', client: 'a' })
    clocks[0].advance(50)
    if (decision.admitted) decision.permit.success()
    expect(admission.admit({ priority: 'low', client: 'a' })).toMatchObject({ reason: 'rate', retryAfterMs: 1_000 })
    clocks[1].advance(1_000)
    clocks[2].advance(1_000)
    expect(detector.snapshot().currentMs).toBe(50)
    expect(admission.admit({ priority: 'low', client: 'a' }).admitted).toBe(true)
  })

  it('holds no slot and has cost no token for whatever it refuses', () => {
    const request = fc.record({
      priority: fc.constantFrom(...messagePriorities),
      client: fc.constantFrom('a', 'b', 'c'),
      load: fc.constantFrom(0, 0, 0.7, 0.85, 0.95),
      end: fc.constantFrom('success', 'failure', 'release', 'keep'),
      waitMs: fc.nat(400),
    })
    fc.assert(
      fc.property(fc.array(request, { maxLength: 80 }), (requests) => {
        const { clock, admission, detector, executor, limiter } = make({}, 5)
        const held: WorkPermit[] = []
        let charged = 0
        for (const { priority, client, load, end, waitMs } of requests) {
          clock.advance(waitMs)
          detector.observe({ cpu: load })
          const before = limiter.snapshot().allowed
          const decision = admission.admit({ priority, client })
          if (decision.admitted && priority !== 'critical') charged++
          if (decision.admitted) held.push(decision.permit)
          else expect(limiter.snapshot().allowed).toBe(before)
          expect(executor.snapshot().inFlight).toBe(held.length)
          if (end !== 'keep') held.pop()?.[end]()
          expect(executor.snapshot().inFlight).toBe(held.length)
        }
        const { admitted, refused } = admission.snapshot()
        expect(admitted + refused.shed + refused.full + refused.rate).toBe(requests.length)
        expect(limiter.snapshot().allowed).toBe(charged)
      }),
    )
  })
})

describe('Bad input of Admission', () => {
  it('refuses what is no priority, no cost and no text, and changes nothing', () => {
    const { admission, executor, limiter } = make()
    const bad: object[] = [
      { priority: 'urgent' as MessagePriority },
      { priority: 'low', client: 'a', cost: 0 },
      { priority: 'critical', client: 'a', cost: NaN },
      { priority: 'low', client: 7 },
      { priority: 'low', client: 'a', operation: null },
    ]
    for (const request of bad) expect(() => admission.admit(request as AdmissionRequest)).toThrow(invalid)
    expect(executor.snapshot().inFlight).toBe(0)
    expect(limiter.snapshot()).toMatchObject({ allowed: 0, refused: 0 })
    expect(admission.snapshot()).toEqual({ admitted: 0, refused: { shed: 0, full: 0, rate: 0 } })
  })

  it.each<[object, string[]]>([
    [{ shedAt: { overloaded: 'critical' } }, ['shedAt.overloaded']],
    [{ shedAt: { calm: 'low' } }, ['shedAt.calm']],
    [{ rateScale: { busy: 0, stressed: 2 } }, ['rateScale.busy', 'rateScale.stressed']],
    [{ detector: {}, limiter: 1, executor: null }, ['detector', 'limiter', 'executor']],
    [{ shedRetryAfterMs: -1, shed: {} }, ['shedRetryAfterMs', 'shed']],
  ])('refuses %j', (bad, paths) => {
    expect(() => new Admission(bad as AdmissionOptions)).toThrow(misconfigured(...paths))
  })
})

describe('AdmissionError', () => {
  it('is an HsError with a code and a time to try again', () => {
    const error = new AdmissionError('QUEUE_FULL', 'No slot', { retryAfterMs: 5, details: { waiting: 3 } })
    expect(HsError.is(error, 'QUEUE_FULL')).toBe(true)
    expect(error).toMatchObject({ name: 'AdmissionError', retryAfterMs: 5, details: { waiting: 3, retryAfterMs: 5 } })
  })
})
