/** What a policy costs around a call: one that succeeds at once, and one that fails twice before. */
import { VirtualClock } from '@hs/core/testing'
import { RetryBudget, RetryPolicy } from '@hs/retry-budget'
import { ConstantBackoff, handleAll, retry } from 'cockatiel'
import pRetry from 'p-retry'
import type { Contender, Workload } from '../harness.js'

const answer = async () => 1
const COCKATIEL = 'cockatiel 3.2'

/** One after the other, so that nothing but the call itself counts. */
const inTurn = (name: string, call: () => Promise<number>, ours = false): Contender => ({
  name,
  ours,
  run: async (n) => {
    let sum = 0
    for (let i = 0; i < n; i++) sum += await call()
    return sum
  },
})

const plain = new RetryPolicy()
const budgeted = new RetryPolicy({ budget: new RetryBudget() })
const peer = retry(handleAll, { maxAttempts: 3 })
const { signal } = new AbortController()
const call = { signal }

/** Fails on attempts 1 and 2. */
const flaky = async ({ attempt }: { attempt: number }) => {
  if (attempt < 3) throw unavailable
  return attempt
}
const unavailable = Object.assign(new Error('unavailable'), { retryable: true })

const CONCURRENT = 1_000
const clock = new VirtualClock()
const repeating = new RetryPolicy({ clock, baseMs: 0 })
const repeatingPeer = retry(handleAll, { maxAttempts: 3, backoff: new ConstantBackoff(0) })

/** As many at once as one turn of timers serves, for the peer waits on real ones, of a millisecond at least. */
const atOnce = (name: string, call: () => Promise<number>, drive: () => Promise<void>, ours = false): Contender => ({
  name,
  ours,
  run: async (n) => {
    let sum = 0
    for (let done = 0; done < n; done += CONCURRENT) {
      const calls = Promise.all(Array.from({ length: Math.min(CONCURRENT, n - done) }, call))
      await drive()
      for (const attempts of await calls) sum += attempts
    }
    return sum
  },
})

const nothing = async () => {}

/** Twice: lets the attempts fail, then lets their delays pass. */
async function passTime(): Promise<void> {
  for (let delays = 0; delays < 2; delays++) {
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(1)
  }
}

export const workloads: Workload[] = [
  {
    name: 'run of a resolved async function',
    contenders: [
      inTurn('RetryPolicy.run', () => plain.run(answer), true),
      inTurn(COCKATIEL, () => peer.execute(answer)),
      inTurn('p-retry 7', () => pRetry(answer, { retries: 2 })),
      inTurn('no policy at all', answer),
    ],
    goals: [
      { peer: COCKATIEL, ratio: 1 / 0.7 },
      { peer: 'p-retry 7', ratio: 1 / 0.03 },
    ],
  },
  {
    name: 'the same with a RetryBudget, which the peer has not',
    contenders: [
      inTurn('RetryPolicy.run', () => budgeted.run(answer), true),
      inTurn(COCKATIEL, () => peer.execute(answer)),
    ],
    goals: [{ peer: COCKATIEL, ratio: 1 }],
  },
  {
    name: 'the same with a long-lived signal',
    contenders: [
      inTurn('RetryPolicy.run', () => plain.run(answer, call), true),
      inTurn(COCKATIEL, () => peer.execute(answer, signal)),
    ],
    goals: [{ peer: COCKATIEL, ratio: 1 }],
  },
  {
    name: `two failures, then success, ${CONCURRENT} at once, no backoff`,
    contenders: [
      atOnce('RetryPolicy.run, virtual clock', () => repeating.run(flaky), passTime, true),
      atOnce(COCKATIEL, () => repeatingPeer.execute(({ attempt }) => flaky({ attempt: attempt + 1 })), nothing),
    ],
    goals: [{ peer: COCKATIEL, ratio: 1 / 0.8 }],
  },
]
