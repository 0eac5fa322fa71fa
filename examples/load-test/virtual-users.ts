/** Virtual users: each sends its requests one after the other, at its pace, over a kept-alive connection. */

import { Agent, request } from 'node:http'
import type { WorkflowContext } from '@hs/nodes'

export interface Load {
  readonly url: string
  /** Requests that each virtual user sends. */
  readonly requestsPerUser: number
  /** From the start of one request of a user to the start of its next, unless the answer took longer. */
  readonly paceMs: number
  /** Proves that the login step's context arrived. */
  readonly token?: string
}

/** What one execution did. */
export interface LoadTotals {
  readonly requests: number
  readonly errors: number
}

/** Runs this shard's share of the virtual users. Ends early, by throwing the reason, when the execution is aborted. */
export async function runVirtualUsers(ctx: WorkflowContext<unknown>, load: Load): Promise<LoadTotals> {
  const agent = new Agent({ keepAlive: true, maxSockets: ctx.shard.vus })
  const total = load.requestsPerUser * ctx.shard.vus
  let requests = 0
  let errors = 0

  async function user(): Promise<void> {
    for (let i = 0; i < load.requestsPerUser; i++) {
      ctx.signal.throwIfAborted()
      const startedAt = ctx.clock.now()
      const status = await send(agent, load, ctx)
      const tookMs = ctx.clock.now() - startedAt
      requests++
      ctx.stats.count('requests')
      ctx.stats.record('latency', tookMs)
      if (status >= 400) {
        errors++
        ctx.stats.count('errors')
      }
      ctx.progress(requests, total)
      if (tookMs < load.paceMs) await ctx.clock.sleep(load.paceMs - tookMs, ctx.signal)
    }
  }

  try {
    await Promise.all(Array.from({ length: ctx.shard.vus }, user))
    return { requests, errors }
  } finally {
    agent.destroy()
  }
}

function send(agent: Agent, load: Load, { executionId, workerId }: WorkflowContext<unknown>): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      'x-hs-execution': executionId,
      'x-hs-worker': workerId,
      ...(load.token === undefined ? {} : { authorization: load.token }),
    }
    request(load.url, { agent, headers }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode ?? 0))
      response.once('error', reject)
    })
      .once('error', reject)
      .end()
  })
}
