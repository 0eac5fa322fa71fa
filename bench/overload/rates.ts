/** What a limit of rate costs: a token that is there, of one client and of 10,000, and one that has to be waited for. */
import { RateLimiter } from '@hs/overload'
import Bottleneck from 'bottleneck'
import { RateLimiter as Limiter } from 'limiter'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { Contender, Workload } from '../harness.js'

const FLEXIBLE = 'rate-limiter-flexible 11 (memory)'
/** The default's rate, never used up: a client that has called within a tenth of a second is in debt. */
const IN_USE = { limit: 100, perMs: 10_000, burst: 1e9 }
/** Paid back within a nanosecond: every account is without debts again when the next call looks at it. */
const IDLE_AT_ONCE = { limit: 1e9, perMs: 1_000 }

const keysOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `client-${i}`)

const ours = (name: string, rate: typeof IDLE_AT_ONCE, keys: readonly string[], isOurs = false): Contender => {
  const limiter = new RateLimiter({ rates: { '*': rate }, maxClients: keys.length })
  return {
    name,
    ours: isOurs,
    run: (n) => {
      let allowed = 0
      for (let i = 0; i < n; i++) if (limiter.tryTake(keys[i % keys.length]!).allowed) allowed++
      if (allowed !== n) throw new Error(`${allowed} of ${n} were allowed`)
      return allowed
    },
  }
}

const flexible = (keys: readonly string[]): Contender => {
  const limiter = new RateLimiterMemory({ points: 1e9, duration: 10 })
  return {
    name: FLEXIBLE,
    run: async (n) => {
      let left = 0
      for (let i = 0; i < n; i++) left = (await limiter.consume(keys[i % keys.length]!)).remainingPoints
      return left
    },
  }
}

const taking = (clients: number, atMost: number): Workload => {
  const keys = keysOf(clients)
  return {
    name: `tryTake, ${clients.toLocaleString('en')} ${clients === 1 ? 'client' : 'clients'}`,
    contenders: [
      ours('RateLimiter.tryTake', IN_USE, keys, true),
      ours('the same, accounts that come and go', IDLE_AT_ONCE, keys),
      flexible(keys),
    ],
    goals: [{ peer: FLEXIBLE, ratio: 1 / atMost }],
  }
}

const WAITERS = 1_000

/** So many wait at once, until all of them were served. */
const waiting = (name: string, acquire: () => Promise<unknown>, isOurs = false): Contender => ({
  name,
  ours: isOurs,
  run: async (n) => {
    for (let done = 0; done < n; done += WAITERS) {
      await Promise.all(Array.from({ length: Math.min(WAITERS, n - done) }, acquire))
    }
    return n
  },
})

const limiter = new RateLimiter({ rates: { '*': { limit: 1e6, perMs: 1_000, burst: 1 } } })
const bottleneck = new Bottleneck({ minTime: 0 })
const bucket = new Limiter({ tokensPerInterval: 1e6, interval: 1_000 })

export const rates: Workload[] = [
  taking(1, 0.55),
  taking(10_000, 0.6),
  {
    name: `acquire, ${WAITERS.toLocaleString('en')} waiters of one client, 1,000,000 a second`,
    contenders: [
      waiting('RateLimiter.acquire', () => limiter.acquire('a'), true),
      waiting('bottleneck 2.19, no minimum time', () => bottleneck.schedule(() => Promise.resolve(1))),
      waiting('limiter 3', () => bucket.removeTokens(1)),
    ],
    goals: [{ peer: 'bottleneck 2.19, no minimum time', ratio: 20 }],
  },
]
