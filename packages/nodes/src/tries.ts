/** Three attempts, with longer and longer waits between them, and then one goes on without. */
import { isLinkFailure } from './link-failure.js'
import type { NodeLife } from './node-life.js'

const TRIES = 3

/**
 * Whether an attempt succeeded. It fails by `false` or by what it throws, which is reported unless the network explains
 * it; once `isOver`, no other is made. Rejects only when `signal` aborts.
 */
export async function tryThrice(
  { runtime, timing, reporter, label }: NodeLife,
  what: string,
  signal: AbortSignal,
  attempt: () => Promise<boolean>,
  isOver: () => boolean = () => false,
): Promise<boolean> {
  for (let failures = 0; failures < TRIES; failures++) {
    if (failures > 0) {
      const longestMs = timing.heartbeatMs * 2 ** (failures - 1)
      await runtime.clock.sleep(longestMs * (0.5 + runtime.random.next() / 2), signal)
    }
    if (isOver()) return false
    try {
      if (await attempt()) return true
    } catch (error) {
      if (signal.aborted) throw error
      if (!isLinkFailure(error)) reporter.report(`${label}.${what}`, error)
    }
  }
  return false
}
