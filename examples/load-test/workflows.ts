/** The job of the demo: log in, browse and check out with many users, do small batches beside it, sum up. */

import { defineWorkflow, type JobDescription, type WorkflowContext } from '@hs/nodes'
import { z } from 'zod'
import { runVirtualUsers, type LoadTotals } from './virtual-users.js'

const BATCHES = 40
const BATCH_REQUESTS = 20
/** The steps that last as long as the load phase. */
export const LOAD_STEPS = ['browse', 'checkout'] as const

const loadInput = z.strictObject({ url: z.string(), requestsPerUser: z.number().int(), paceMs: z.number() })
const totals = z.strictObject({ requests: z.number().int(), errors: z.number().int() })

/** Publishes a token, which the steps that depend on it must find in their context. */
const login = defineWorkflow({
  name: 'login',
  input: loadInput,
  output: totals,
  run: async (ctx) => {
    const done = await runVirtualUsers(ctx, ctx.input)
    ctx.set('token', `token-of-${ctx.jobId}`)
    return done
  },
})

const load = defineWorkflow({
  name: 'load',
  input: loadInput,
  output: totals,
  run: async (ctx) => runVirtualUsers(ctx, { ...ctx.input, token: tokenOf(ctx) }),
})

const batch = defineWorkflow({
  name: 'batch',
  input: loadInput,
  output: totals,
  run: async (ctx) => runVirtualUsers(ctx, ctx.input),
})

/** Adds up what the load steps published. */
const summary = defineWorkflow({
  name: 'summary',
  output: z.strictObject({ steps: z.array(z.string()) }),
  run: (ctx) => ({ steps: Object.keys(ctx.context).sort() }),
})

export const workflows = [login, load, batch, summary]

function tokenOf(ctx: WorkflowContext<unknown>): string {
  const token = ctx.context['login']?.['token']
  if (typeof token !== 'string') throw new Error('the login step published no token')
  return token
}

/** What a step is expected to send in all, whatever dies on the way. */
export interface ExpectedRequests {
  readonly step: string
  readonly requests: number
}

export function describeJob(target: string, seconds: number): { job: JobDescription; expected: ExpectedRequests[] } {
  const perSecond = { browse: 40, checkout: 20 }
  const users = { browse: 10, checkout: 3 }
  const paced = (path: string, requestsPerUser: number, perUserPerSecond: number) => ({
    url: `${target}/${path}`,
    requestsPerUser,
    paceMs: 1_000 / perUserPerSecond,
  })

  const loadSteps = LOAD_STEPS.map((id) => ({
    workflow: load,
    id,
    vus: users[id],
    priority: 'high' as const,
    dependsOn: ['login'],
    input: paced(id, seconds * perSecond[id], perSecond[id]),
  }))
  // `catalog` ends after `login`, so that the batches take the cores that the load leaves over.
  const batches = Array.from({ length: BATCHES }, (_, index) => ({
    workflow: batch,
    id: `batch-${index + 1}`,
    dependsOn: ['catalog'],
    input: paced('batch', BATCH_REQUESTS, 20),
  }))
  const job: JobDescription = {
    name: 'load-test',
    workflows: [
      { workflow: login, id: 'login', input: paced('login', 5, 100) },
      { workflow: batch, id: 'catalog', input: paced('batch', 10, 20) },
      ...loadSteps,
      ...batches,
      { workflow: summary, id: 'summary', dependsOn: [...LOAD_STEPS] },
    ],
  }
  const expected = [
    { step: 'login', requests: 5 },
    { step: 'catalog', requests: 10 },
    ...LOAD_STEPS.map((step) => ({ step, requests: users[step] * seconds * perSecond[step] })),
    ...batches.map(({ id }) => ({ step: id, requests: BATCH_REQUESTS })),
    { step: 'summary', requests: 0 },
  ]
  return { job, expected }
}

export function requestsOf(value: unknown): LoadTotals {
  const parsed = totals.safeParse(value)
  return parsed.success ? parsed.data : { requests: 0, errors: 0 }
}
