/** A worker in a process of its own, for tests that kill and stop processes. Ends with its parent. */
import { defineWorkflow, Worker } from '../src/index.js'

const paced = defineWorkflow({
  name: 'paced',
  run: async (ctx) => {
    for (let i = 1; i <= 15; i++) {
      await ctx.clock.sleep(50, ctx.signal)
      ctx.stats.count('steps')
      ctx.progress(i, 15)
    }
    return ctx.workerId
  },
})

const blocking = defineWorkflow({
  name: 'blocking',
  run: (ctx) => {
    const until = ctx.clock.now() + 3_000
    while (ctx.clock.now() < until) ctx.stats.count('turns')
    return ctx.workerId
  },
})

const [id = '', manager = '', cores = '2'] = process.argv.slice(2)
process.once('disconnect', () => process.exit(0))

const worker = new Worker({
  id,
  datacenter: 'eu',
  managers: [manager],
  workflows: [paced, blocking],
  cores: Number(cores),
  timing: 'local',
})
worker.events.on('shardStarted', (key) => process.send?.({ started: key }))
await worker.start()
await worker.ready()
process.send?.({ ready: true })
