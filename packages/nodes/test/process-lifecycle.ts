/** Starts one of each, runs a job, stops them, and must then end by itself. */
import { Client, defineWorkflow, Gate, Manager, Worker } from '../src/index.js'

const one = defineWorkflow({ name: 'one', run: () => 1 })
const long = defineWorkflow({ name: 'long', run: (ctx) => ctx.clock.sleep(3_600_000, ctx.signal) })

const manager = new Manager({ id: 'm1', datacenter: 'eu', timing: 'local' })
await manager.start()
const managers = [manager.address]
const worker = new Worker({
  id: 'w1',
  datacenter: 'eu',
  managers,
  workflows: [one, long],
  timing: 'local',
  drainMs: 100,
})
await worker.start()
const gate = new Gate({ id: 'g1', datacenters: { eu: managers }, timing: 'local' })
await gate.start()
const client = new Client({ gates: [gate.address], timing: 'local' })
await (await client.submit({ workflows: [{ workflow: one }] })).result()
const started = new Promise((resolve) => worker.events.once('shardStarted', resolve))
await client.submit({ workflows: [{ workflow: long }] })
await started
await Promise.all([client.stop(), worker.stop(), gate.stop(), manager.stop()])
console.log('stopped')
