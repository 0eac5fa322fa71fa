import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { ConfigError, LimitError, TimeoutError } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import { CoreAllocator } from '@hs/jobs'

describe('CoreAllocator (JOBS-12)', () => {
  it('gives cores that nobody else holds, all or nothing', () => {
    const cores = new CoreAllocator({ total: 4 })
    expect(cores.allocate('a', 3)).toEqual([0, 1, 2])
    expect(cores.allocate('b', 2)).toBeNull()
    expect(cores.allocate('b', 1)).toEqual([3])
    expect(cores.available).toBe(0)
    expect(cores.coresOf('a')).toEqual([0, 1, 2])
    expect(cores.coresOf('nobody')).toEqual([])
    expect(cores.snapshot()).toEqual({ total: 4, available: 0, waiting: 0, owners: { a: 3, b: 1 } })
  })

  it('takes back all or some, and nothing from whoever holds none', () => {
    const cores = new CoreAllocator({ total: 4 })
    cores.allocate('a', 4)
    expect(cores.releaseSome('a', 1)).toHaveLength(1)
    expect(cores.coresOf('a')).toHaveLength(3)
    expect(cores.release('a')).toHaveLength(3)
    expect(cores.release('a')).toEqual([])
    expect(cores.releaseSome('a', 1)).toEqual([])
    expect(cores.allocate('b', 2)).toHaveLength(2)
    expect(cores.releaseSome('b', 9)).toHaveLength(2)
    expect(cores.snapshot()).toEqual({ total: 4, available: 4, waiting: 0, owners: {} })
  })

  it('refuses an owner that holds or awaits cores', async () => {
    const cores = new CoreAllocator({ total: 1 })
    cores.allocate('a', 1)
    expect(() => cores.allocate('a', 1)).toThrow(expect.objectContaining({ code: 'ALREADY_ALLOCATED' }))
    const waiting = cores.acquire('b', 1)
    await expect(cores.acquire('b', 1)).rejects.toMatchObject({ code: 'ALREADY_ALLOCATED' })
    cores.release('a')
    expect(await waiting).toEqual([0])
  })

  it('serves strictly in order: nobody overtakes a waiter, not even one that would fit', async () => {
    const cores = new CoreAllocator({ total: 4 })
    cores.allocate('a', 3)
    const order: string[] = []
    const large = cores.acquire('large', 4).then(() => order.push('large'))
    const small = cores.acquire('small', 1).then(() => order.push('small'))
    expect(cores.allocate('late', 1)).toBeNull()
    expect(cores.waiting).toBe(2)
    cores.release('a')
    await large
    expect(cores.waiting).toBe(1)
    cores.release('large')
    await small
    expect(order).toEqual(['large', 'small'])
  })

  it('hands cores over inside the release, before anybody else can ask', () => {
    const cores = new CoreAllocator({ total: 1 })
    cores.allocate('a', 1)
    void cores.acquire('b', 1)
    cores.release('a')
    expect(cores.coresOf('b')).toEqual([0])
    expect(cores.allocate('c', 1)).toBeNull()
  })

  it('gives up after a while, and serves whoever stood behind', async () => {
    const clock = new VirtualClock()
    const cores = new CoreAllocator({ total: 2, clock })
    cores.allocate('a', 1)
    const large = cores.acquire('large', 2, { timeoutMs: 50 })
    const small = cores.acquire('small', 1)
    const rejected = expect(large).rejects.toBeInstanceOf(TimeoutError)
    await clock.advanceAsync(50)
    await rejected
    expect(await small).toHaveLength(1)
    expect(clock.pendingTimers).toBe(0)
  })

  it('gives up on abort with the reason of the signal, at once if it is aborted already', async () => {
    const clock = new VirtualClock()
    const cores = new CoreAllocator({ total: 1, clock })
    cores.allocate('a', 1)
    const controller = new AbortController()
    const removed = vi.spyOn(controller.signal, 'removeEventListener')
    const waiting = cores.acquire('b', 1, { signal: controller.signal, timeoutMs: 1_000 })
    controller.abort('enough')
    await expect(waiting).rejects.toBe('enough')
    await expect(cores.acquire('b', 1, { signal: controller.signal })).rejects.toBe('enough')
    expect([cores.waiting, clock.pendingTimers]).toEqual([0, 0])
    expect(removed).toHaveBeenCalled()
    cores.release('a')
    expect(cores.available).toBe(1)
  })

  it('leaves no timer and no listener behind when it is served', async () => {
    const clock = new VirtualClock()
    const cores = new CoreAllocator({ total: 1, clock })
    cores.allocate('a', 1)
    const { signal } = new AbortController()
    const removed = vi.spyOn(signal, 'removeEventListener')
    const waiting = cores.acquire('b', 1, { signal, timeoutMs: 1_000 })
    cores.release('a')
    await waiting
    expect(clock.pendingTimers).toBe(0)
    expect(removed).toHaveBeenCalledTimes(1)
  })

  it('refuses to wait for more cores than there are, and counts that are none', async () => {
    const cores = new CoreAllocator({ total: 2 })
    await expect(cores.acquire('a', 3)).rejects.toBeInstanceOf(LimitError)
    await expect(cores.acquire('a', 0)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(cores.allocate('a', 3)).toBeNull()
    expect(() => cores.allocate('a', 1.5)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => new CoreAllocator({ total: 0 })).toThrow(ConfigError)
  })

  it('behaves like a counting model under any commands', async () => {
    const command = fc.oneof(
      fc.record({ kind: fc.constant('allocate' as const), owner: fc.nat(9), count: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ kind: fc.constant('acquire' as const), owner: fc.nat(9), count: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ kind: fc.constant('release' as const), owner: fc.nat(9), count: fc.constant(0) }),
      fc.record({ kind: fc.constant('releaseSome' as const), owner: fc.nat(9), count: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ kind: fc.constant('abort' as const), owner: fc.nat(9), count: fc.constant(0) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60 }), async (commands) => {
        const total = 6
        const cores = new CoreAllocator({ total })
        const held = new Map<string, number>()
        const line: { owner: string; count: number; controller: AbortController }[] = []
        const free = () => total - [...held.values()].reduce((sum, count) => sum + count, 0)
        const serve = () => {
          while (line[0] !== undefined && line[0].count <= free()) {
            const { owner, count } = line.shift()!
            held.set(owner, count)
          }
        }
        for (const { kind, owner: number, count } of commands) {
          const owner = `o${number}`
          const waiting = line.find((one) => one.owner === owner)
          const isNew = !held.has(owner) && waiting === undefined
          if (kind === 'allocate' && isNew) {
            const fits = line.length === 0 && count <= free()
            expect(cores.allocate(owner, count) !== null).toBe(fits)
            if (fits) held.set(owner, count)
          } else if (kind === 'acquire' && isNew) {
            const controller = new AbortController()
            cores.acquire(owner, count, { signal: controller.signal }).catch(() => 'gave up')
            line.push({ owner, count, controller })
            serve()
          } else if (kind === 'release') {
            expect(cores.release(owner)).toHaveLength(held.get(owner) ?? 0)
            held.delete(owner)
            serve()
          } else if (kind === 'releaseSome') {
            const back = Math.min(count, held.get(owner) ?? 0)
            expect(cores.releaseSome(owner, count)).toHaveLength(back)
            const left = (held.get(owner) ?? 0) - back
            if (left > 0) held.set(owner, left)
            else held.delete(owner)
            serve()
          } else if (kind === 'abort' && waiting !== undefined) {
            waiting.controller.abort('enough')
            line.splice(line.indexOf(waiting), 1)
            serve()
          }
          const snapshot = { total, available: free(), waiting: line.length, owners: Object.fromEntries(held) }
          expect(cores.snapshot()).toEqual(snapshot)
          const given = Array.from({ length: 10 }, (_, index) => cores.coresOf(`o${index}`)).flat()
          expect(new Set(given).size).toBe(given.length)
        }
      }),
    )
  })
})
