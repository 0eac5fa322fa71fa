/** Real `fetch` against servers on loopback that refuse, throttle, reset and hang. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { VirtualClock } from '@hs/core/testing'
import { RetryBudget, RetryError, RetryPolicy, type AttemptContext, type RetryOptions } from '@hs/retry-budget'
import { afterEach, describe, expect, it } from 'vitest'

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void

let server: Server | undefined

afterEach(async () => {
  const open = server
  server = undefined
  if (open === undefined) return
  open.closeAllConnections()
  await new Promise((resolve) => open.close(resolve))
})

/** Serves the k-th request by `handle(…, k)`, from 1. */
async function serve(handle: Handler): Promise<{ url: string; count: () => number }> {
  let count = 0
  const opened = createServer((request, response) => handle(request, response, ++count))
  server = opened
  await new Promise<void>((resolve) => opened.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(opened.address() as AddressInfo).port}/`, count: () => count }
}

const make = (options: RetryOptions = {}) => new RetryPolicy({ baseMs: 1, throttledBaseMs: 1, maxMs: 5, ...options })

const get =
  (url: string, init: RequestInit = {}) =>
  async ({ signal }: AttemptContext): Promise<string> => {
    const response = await fetch(url, { ...init, signal })
    if (!response.ok) throw response
    return response.text()
  }

const answer = (response: ServerResponse, status: number, headers: Record<string, string> = {}) =>
  response.writeHead(status, { connection: 'close', ...headers }).end(status === 200 ? 'stock' : '')

describe('fetch under a policy (RB-1..4, RB-7)', () => {
  it('understands a thrown response: 503, then 429 with Retry-After', async () => {
    const { url, count } = await serve((_, response, k) => {
      if (k === 1) answer(response, 503)
      else if (k === 2) answer(response, 429, { 'retry-after': '0' })
      else answer(response, 200)
    })
    const delays: number[] = []
    const policy = make({ onRetry: ({ delayMs }) => delays.push(delayMs) })
    await expect(policy.run(get(url))).resolves.toBe('stock')
    expect([count(), delays.length]).toEqual([3, 2])
  })

  it('waits as long as a date of the server says, on the wall clock it is given', async () => {
    const clock = new VirtualClock()
    const date = new Date(clock.wallNow() + 5_000).toUTCString()
    const { url } = await serve((_, response) => answer(response, 503, { 'retry-after': date }))
    const response = await fetch(url)
    const decision = make({ clock, jitter: 'none' }).session().fail(response)
    expect(decision).toEqual({ retry: true, attempt: 2, delayMs: 5_001 })
  })

  it('gives up on a Retry-After that is too long, with one request made', async () => {
    const { url, count } = await serve((_, response) => answer(response, 503, { 'retry-after': '3600' }))
    await expect(make().run(get(url))).rejects.toMatchObject({ code: 'RETRY_AFTER_TOO_LONG', attempts: 1 })
    expect(count()).toBe(1)
  })

  it('rethrows a 404, the very response', async () => {
    const { url, count } = await serve((_, response) => answer(response, 404))
    await expect(make().run(get(url))).rejects.toBeInstanceOf(Response)
    expect(count()).toBe(1)
  })

  it('repeats what was reset, but not if it must not run twice', async () => {
    const { url, count } = await serve((request, response, k) => {
      if (k % 2 === 1) request.socket.resetAndDestroy()
      else answer(response, 200)
    })
    await expect(make().run(get(url))).resolves.toBe('stock')
    await expect(make().run(get(url, { method: 'POST' }), { idempotent: false })).rejects.toBeInstanceOf(TypeError)
    expect(count()).toBe(3)
  })

  it('repeats what was refused, also if it must not run twice, for it cannot have run', async () => {
    const { url } = await serve(() => {})
    const closed = server
    server = undefined
    await new Promise((resolve) => closed?.close(resolve))
    const error: unknown = await make({ idempotent: false, maxAttempts: 2 })
      .run(get(url))
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(RetryError)
    expect(error).toMatchObject({ code: 'RETRY_ATTEMPTS_EXHAUSTED', attempts: 2 })
    expect((error as RetryError).cause).toMatchObject({ cause: { code: 'ECONNREFUSED' } })
  })

  it('ends a request that hangs, and the server sees it', async () => {
    let gone = 0
    const { url, count } = await serve((request, response, k) => {
      request.socket.once('close', () => gone++)
      if (k > 1) answer(response, 200)
    })
    await expect(make({ attemptTimeoutMs: 150 }).run(get(url))).resolves.toBe('stock')
    expect(count()).toBe(2)
    await expect.poll(() => gone).toBe(2)
  })

  it('ends with the reason of the caller while the server hangs', async () => {
    const caller = new AbortController()
    const reason = new Error('user left')
    const { url } = await serve(() => caller.abort(reason))
    await expect(make().run(get(url), { signal: caller.signal })).rejects.toBe(reason)
  })

  it('stops when the budget is used up', async () => {
    const { url, count } = await serve((_, response) => answer(response, 503))
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 0.2 }) // a reserve of two
    await expect(make({ budget, maxAttempts: 9 }).run(get(url))).rejects.toMatchObject({
      code: 'RETRY_BUDGET_EXHAUSTED',
      attempts: 3,
    })
    expect(count()).toBe(3)
  })
})
