import { getEventListeners } from 'node:events'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { HsError, sleepOn, systemClock, SystemClock } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'

const BEYOND_NATIVE_MS = 2 ** 31 + 5_000

describe('SystemClock (CORE-1)', () => {
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })

  it('reads performance.now for durations and Date.now for the wall', () => {
    vi.spyOn(performance, 'now').mockReturnValue(12.5)
    vi.spyOn(Date, 'now').mockReturnValue(1_700_000_000_000)
    expect(systemClock).toBeInstanceOf(SystemClock)
    expect(systemClock.now()).toBe(12.5)
    expect(systemClock.wallNow()).toBe(1_700_000_000_000)
  })

  it('waits as long as it is told, also beyond what setTimeout takes', () => {
    vi.useFakeTimers()
    const fired = vi.fn()
    systemClock.setTimer(BEYOND_NATIVE_MS, fired)
    vi.advanceTimersByTime(BEYOND_NATIVE_MS - 1)
    expect(fired).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(fired).toHaveBeenCalledTimes(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('does not fire a timer of more than 2^31 - 1 ms after one, in real time', async () => {
    const fired = vi.fn()
    const timer = systemClock.setTimer(BEYOND_NATIVE_MS, fired)
    await systemClock.sleep(20)
    timer.cancel()
    expect(fired).not.toHaveBeenCalled()
  })

  it('cancels a long timer in any of its hops', () => {
    vi.useFakeTimers()
    const fired = vi.fn()
    const timer = systemClock.setTimer(BEYOND_NATIVE_MS, fired)
    vi.advanceTimersByTime(2 ** 31)
    timer.cancel()
    timer.cancel()
    expect(vi.getTimerCount()).toBe(0)
    vi.advanceTimersByTime(2 ** 31)
    expect(fired).not.toHaveBeenCalled()
  })

  it('takes a negative delay for 0 and does not cut fractions off', () => {
    vi.useFakeTimers()
    const at: number[] = []
    const start = performance.now()
    systemClock.setTimer(-5, () => at.push(performance.now() - start))
    systemClock.setTimer(1.5, () => at.push(performance.now() - start))
    vi.advanceTimersByTime(10)
    expect(at).toEqual([0, 2])
  })

  it('lets a fired timer be cancelled to no effect', () => {
    vi.useFakeTimers()
    const fired = vi.fn()
    const timer = systemClock.setTimer(1, fired)
    vi.advanceTimersByTime(1)
    timer.cancel()
    expect(fired).toHaveBeenCalledTimes(1)
  })

  it.each([NaN, Infinity, -Infinity])('refuses a delay of %s', (delay) => {
    expect(() => systemClock.setTimer(delay, () => {})).toThrow(
      expect.objectContaining({ name: 'HsError', code: 'INVALID_ARGUMENT' }),
    )
  })
})

describe('sleep (CORE-2)', () => {
  it('resolves after its time and leaves neither timer nor listener', async () => {
    const clock = new VirtualClock()
    const { signal } = new AbortController()
    const slept = sleepOn(clock, 100, signal)
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await clock.advanceAsync(100)
    await slept
    expect(clock.pendingTimers).toBe(0)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  it('rejects at once with the reason of a signal that has aborted, and sets no timer', async () => {
    const clock = new VirtualClock()
    const reason = new Error('enough')
    await expect(sleepOn(clock, 100, AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(clock.pendingTimers).toBe(0)
  })

  it('on abort rejects with the reason itself, cancels its timer and removes its listener', async () => {
    const clock = new VirtualClock()
    const controller = new AbortController()
    const slept = sleepOn(clock, 100, controller.signal)
    controller.abort('any value')
    await expect(slept).rejects.toBe('any value')
    expect(clock.pendingTimers).toBe(0)
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  })

  it('sets one listener on a signal, however many sleep on it', async () => {
    const clock = new VirtualClock()
    const controller = new AbortController()
    const slept = Array.from({ length: 50 }, (_, i) => sleepOn(clock, i + 1, controller.signal))
    const settled = Promise.allSettled(slept)
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    await clock.advanceAsync(20)
    controller.abort('enough')
    const outcomes = (await settled).map(({ status }) => status)
    expect(outcomes).toEqual([...Array<string>(20).fill('fulfilled'), ...Array<string>(30).fill('rejected')])
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it('rejects where the clock refuses the delay', async () => {
    const refused = await sleepOn(new VirtualClock(), NaN).catch((error: unknown) => error)
    expect(HsError.is(refused, 'INVALID_ARGUMENT')).toBe(true)
  })

  it('works on the machine clock', async () => {
    const controller = new AbortController()
    const slept = systemClock.sleep(1_000_000, controller.signal)
    controller.abort(new Error('enough'))
    await expect(slept).rejects.toThrow('enough')
    await systemClock.sleep(0)
  })
})
