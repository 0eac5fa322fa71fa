import { getEventListeners } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { deferred, HsError, TimeoutError, withTimeout } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'

const never = () => new Promise<never>(() => {})
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable('it should have rejected'),
    (error: unknown) => error,
  )

describe('withTimeout (CORE-23)', () => {
  it('gives back what fn returns, at once or later, and leaves nothing behind', async () => {
    const clock = new VirtualClock()
    const { signal } = new AbortController()
    expect(await withTimeout('read', 100, () => 5, { clock, signal })).toBe(5)
    const later = withTimeout('read', 100, () => clock.sleep(50).then(() => 6), { clock, signal })
    expect(await clock.run(later)).toBe(6)
    expect(clock.now()).toBe(50)
    expect(clock.pendingTimers).toBe(0)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  it('rejects with what fn throws or rejects with', async () => {
    const clock = new VirtualClock()
    const error = new Error('broke')
    const thrower = () => {
      throw error
    }
    expect(await failure(withTimeout('read', 100, thrower, { clock }))).toBe(error)
    expect(await failure(withTimeout('read', 100, async () => thrower(), { clock }))).toBe(error)
    expect(clock.pendingTimers).toBe(0)
  })

  it('at its limit rejects with a TimeoutError and aborts the work with the very same', async () => {
    const clock = new VirtualClock()
    let inner: AbortSignal | undefined
    const call = withTimeout(
      'read of the lease',
      100,
      (signal) => {
        inner = signal
        return never()
      },
      { clock },
    )
    const caught = failure(call)
    clock.advance(99)
    expect(inner?.aborted).toBe(false)
    clock.advance(1)
    const error = await caught
    expect(error).toBeInstanceOf(TimeoutError)
    expect((error as TimeoutError).message).toContain('read of the lease')
    expect(inner?.reason).toBe(error)
    expect(clock.pendingTimers).toBe(0)
  })

  it('drops what the work does afterwards, its rejection included', async () => {
    const clock = new VirtualClock()
    const work = deferred<number>()
    const call = failure(withTimeout('read', 10, () => work.promise, { clock }))
    clock.advance(10)
    work.reject(new Error('too late'))
    expect(await call).toBeInstanceOf(TimeoutError)
  })

  it('passes the abort of the outer signal on, reason and all', async () => {
    const clock = new VirtualClock()
    const outer = new AbortController()
    const reason = new Error('enough')
    let inner: AbortSignal | undefined
    const call = withTimeout(
      'read',
      100,
      (signal) => {
        inner = signal
        return never()
      },
      { clock, signal: outer.signal },
    )
    outer.abort(reason)
    expect(await failure(call)).toBe(reason)
    expect(inner?.reason).toBe(reason)
    expect(clock.pendingTimers).toBe(0)
    expect(getEventListeners(outer.signal, 'abort')).toHaveLength(0)
  })

  it('does not start fn when the outer signal has aborted', async () => {
    const fn = vi.fn()
    const reason = new Error('enough')
    expect(await failure(withTimeout('read', 100, fn, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    expect(fn).not.toHaveBeenCalled()
  })

  it('has no limit at Infinity, sets no timer then, but still heeds the signal', async () => {
    const clock = new VirtualClock()
    const outer = new AbortController()
    const call = withTimeout('read', Infinity, never, { clock, signal: outer.signal })
    expect(clock.pendingTimers).toBe(0)
    outer.abort('enough')
    expect(await failure(call)).toBe('enough')
    expect(await withTimeout('read', Infinity, () => 1)).toBe(1)
  })

  it.each([NaN, undefined, '5'])('refuses a limit of %s', async (limit) => {
    const fn = vi.fn()
    const error = await failure(withTimeout('read', limit as number, fn))
    expect(HsError.is(error, 'INVALID_ARGUMENT')).toBe(true)
    expect(fn).not.toHaveBeenCalled()
  })

  it('takes a limit below 0 for 0', async () => {
    const clock = new VirtualClock()
    const call = failure(withTimeout('read', -5, never, { clock }))
    clock.advance(0)
    expect(await call).toBeInstanceOf(TimeoutError)
  })

  it('uses the machine clock by default', async () => {
    expect(await failure(withTimeout('read', 1, never))).toBeInstanceOf(TimeoutError)
  })
})

describe('deferred', () => {
  it('settles from outside', async () => {
    const good = deferred<number>()
    good.resolve(5)
    expect(await good.promise).toBe(5)
    const bad = deferred<number>()
    bad.reject('why')
    expect(await failure(bad.promise)).toBe('why')
  })
})
