import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineWorkflow } from '../src/index.js'
import { DC, MemoryCluster } from './memory-cluster.js'

const square = defineWorkflow({
  name: 'square',
  input: z.object({ n: z.number() }),
  run: (ctx) => ctx.input.n ** 2,
})

describe('a job', () => {
  it('runs', async () => {
    const cluster = await MemoryCluster.start({ workflows: [square] })
    const client = cluster.client()
    const job = await cluster.run(client.submit({ workflows: [{ workflow: square, input: { n: 7 } }] }))
    const result = await cluster.result(job)
    expect(result.workflows['square']?.[DC]?.values).toEqual([49])
    console.log(JSON.stringify(result), cluster.clock.now(), cluster.errors())
    expect(await cluster.stop()).toBe(0)
  })
})
