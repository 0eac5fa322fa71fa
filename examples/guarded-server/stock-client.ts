/**
 * The upstream, as it should be called: each attempt within a time, few of them again, and none while it is known to be
 * down. The breaker sees every attempt; that it is open is told to the caller at once.
 */
import { CircuitBreaker, CircuitOpenError } from '@hs/health'
import { classifyFailure, RetryBudget, RetryError, RetryPolicy } from '@hs/retry-budget'
import { retryAfterHeader } from './guard.js'

export class StockClient {
  readonly breaker = new CircuitBreaker({ window: { calls: 20 }, openMs: 1_000, isFailure: isSick })
  /** At most a tenth more than the requests, and one a second. */
  readonly budget = new RetryBudget({ ratio: 0.1, minPerSecond: 1 })
  readonly #url: string
  readonly #retry = new RetryPolicy({
    budget: this.budget,
    maxAttempts: 3,
    attemptTimeoutMs: 1_000,
    maxElapsedMs: 3_000,
    classify: (error) => (error instanceof CircuitOpenError ? { kind: 'permanent' } : classifyFailure(error)),
  })

  constructor(url: string) {
    this.#url = url
  }

  count(article: string): Promise<string> {
    return this.#retry.run(({ signal }) => this.breaker.run(() => this.#fetch(article, signal)))
  }

  async #fetch(article: string, signal: AbortSignal): Promise<string> {
    const response = await fetch(`${this.#url}/${article}`, { signal })
    if (response.ok) return response.text()
    await response.body?.cancel()
    throw response // 429 and 503 with Retry-After are understood
  }
}

/** What a client is told when the upstream has failed. */
export function failureAnswer(error: unknown): { status: number; headers: Record<string, string>; text: string } {
  if (error instanceof CircuitOpenError)
    return {
      status: 503,
      headers: { 'retry-after': retryAfterHeader(error.retryAfterMs) },
      text: 'the stock is not to be reached at the moment',
    }
  if (error instanceof RetryError) return { status: 502, headers: {}, text: 'the stock does not answer' }
  if (error instanceof Response && error.status === 404) return { status: 404, headers: {}, text: 'no such article' }
  return { status: 500, headers: {}, text: 'something went wrong' }
}

/** An article that is not there says nothing about the health of the upstream. */
function isSick(error: unknown): boolean {
  return !(error instanceof Response) || error.status === 429 || error.status >= 500
}
