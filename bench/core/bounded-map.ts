/**
 * Caches under a mixed load: 10,000 entries, 20,000 keys drawn evenly, nine gets to one set, on the machine's clock.
 * A time to live of a minute ends no entry within a round: what is measured is what looking at the time costs.
 */
import { BoundedMap } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import { LRUCache } from 'lru-cache'
import QuickLRU from 'quick-lru'
import type { Contender, Workload } from '../harness.js'

const KEYS = 20_000
const ENTRIES = 10_000
const TTL_MS = 60_000
/** By itself lru-cache reads the time once a millisecond, by a timer of its own; this one reads it as we do. */
const EXACT = 'lru-cache, exact time'
/** As many draws as are made beforehand and used again and again. */
const DRAWS = 1 << 16

interface Cache {
  get(key: string): number | undefined
  set(key: string, value: number): unknown
}

const random = new SeededRandom('bounded-map')
const keys = Array.from({ length: KEYS }, (_, index) => `customer-${index}`)
const drawn = Array.from({ length: DRAWS }, () => random.pick(keys))
const isSet = Uint8Array.from({ length: DRAWS }, () => (random.int(10) === 0 ? 1 : 0))

type Loop = (n: number) => number
type MakeLoop = (cache: Cache, drawn: readonly string[], isSet: Uint8Array, mask: number) => Loop

/** Compiled anew for each contender, so that none pays for the shapes of the others. */
function loopOf(cache: Cache): Loop {
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the only way to have a function twice
  const make = new Function('cache', 'drawn', 'isSet', 'mask', LOOP) as MakeLoop
  return make(cache, drawn, isSet, DRAWS - 1)
}

const LOOP = `return (n) => {
  let hits = 0
  for (let i = 0; i < n; i++) {
    const key = drawn[i & mask]
    if (isSet[i & mask] === 1) cache.set(key, i)
    else if (cache.get(key) !== undefined) hits++
  }
  return hits
}`

function contender(name: string, make: () => Cache): Contender {
  let loop: Loop | undefined
  return {
    name,
    ours: name.startsWith('BoundedMap'),
    setup: () => {
      const cache = make()
      for (const [index, key] of keys.entries()) cache.set(key, index)
      loop = loopOf(cache)
    },
    run: (n) => loop?.(n),
    teardown: () => {
      loop = undefined
    },
  }
}

const goals = [
  { peer: 'lru-cache', ratio: 1 },
  { peer: 'quick-lru', ratio: 1 },
]

export const workloads: Workload[] = [
  {
    name: 'bounded-map: 90 % get, no ttl',
    contenders: [
      contender('BoundedMap', () => new BoundedMap({ maxEntries: ENTRIES })),
      contender('lru-cache', () => new LRUCache<string, number>({ max: ENTRIES })),
      contender('quick-lru', () => new QuickLRU({ maxSize: ENTRIES })),
    ],
    goals,
  },
  {
    name: 'bounded-map: 90 % get, ttl',
    contenders: [
      contender('BoundedMap', () => new BoundedMap({ maxEntries: ENTRIES, ttlMs: TTL_MS })),
      contender('lru-cache', () => new LRUCache<string, number>({ max: ENTRIES, ttl: TTL_MS })),
      contender(EXACT, () => new LRUCache<string, number>({ max: ENTRIES, ttl: TTL_MS, ttlResolution: 0 })),
      contender('quick-lru', () => new QuickLRU({ maxSize: ENTRIES, maxAge: TTL_MS })),
    ],
    goals: [...goals, { peer: EXACT, ratio: 1 }],
  },
]
