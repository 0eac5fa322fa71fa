import { LRUCache } from 'lru-cache'
import { describe, expect, it } from 'vitest'
import { BoundedMap } from '../src/bounded-map.js'
import { collectGarbage } from './collect-garbage.js'

const ENTRIES = 10_000
const keys = Array.from({ length: 2 * ENTRIES }, (_, index) => `customer-${index}`)

interface Cache {
  set(key: string, value: number): unknown
}

async function bytesInUse(): Promise<number> {
  await collectGarbage()
  await collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

async function bytesPerEntry(make: () => Cache): Promise<number> {
  const caches: Cache[] = []
  const before = await bytesInUse()
  for (let copy = 0; copy < 10; copy++) {
    const cache = make()
    for (const [index, key] of keys.entries()) cache.set(key, index)
    caches.push(cache)
  }
  return ((await bytesInUse()) - before) / (caches.length * ENTRIES)
}

describe('BoundedMap: memory (section 6)', () => {
  it.each([
    ['without', {}, {}],
    ['with', { ttlMs: 60_000 }, { ttl: 60_000 }],
  ])('takes at most 1.2 times what lru-cache takes for an entry, %s a time to live', async (_, ours, theirs) => {
    const own = await bytesPerEntry(() => new BoundedMap({ maxEntries: ENTRIES, ...ours }))
    const peer = await bytesPerEntry(() => new LRUCache<string, number>({ max: ENTRIES, ...theirs }))
    expect(own).toBeLessThanOrEqual(1.2 * peer)
  })
})
