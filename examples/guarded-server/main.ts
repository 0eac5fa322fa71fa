/**
 * A web server between its clients and an upstream, guarded on both sides: limits of rate, priorities, shedding, a
 * circuit breaker and a retry budget. Sends itself load from other processes and shows what came of it.
 * `npx tsx examples/guarded-server/main.ts --help` tells the options.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Table from 'cli-table3'
import { Command } from 'commander'
import { fastifyServer } from './fastify-server.js'
import { Guard } from './guard.js'
import { httpServer } from './http-server.js'
import { load } from './load.js'
import { Stock } from './stock.js'
import { StockClient } from './stock-client.js'

const options = new Command('guarded-server')
  .description('Serves HTTP in front of an upstream that fails for a while, and counts what clients are told.')
  .option('--fastify', 'with fastify instead of node:http', false)
  .parse()
  .opts<{ fastify: boolean }>()

const stock = new Stock()
stock.server.listen(0, '127.0.0.1')
await once(stock.server, 'listening')
const client = new StockClient(`http://127.0.0.1:${(stock.server.address() as AddressInfo).port}`)
const guard = new Guard({ perSecond: 100, burst: 1_000, concurrency: 100 })
await guard.start()

const app = options.fastify ? fastifyServer(guard, client) : null
const server = app?.server ?? httpServer(guard, client)
if (app !== null) await app.listen({ port: 0, host: '127.0.0.1' })
else await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
console.log(`${options.fastify ? 'fastify' : 'node:http'} at ${url}, ${1_000} requests in each phase`)

const table = new Table({ head: ['phase', '200', '429', '502', '503', 'asked of the upstream', 'breaker'] })
const phase = async (name: string, key: string) => {
  const asked = stock.asked
  const { statuses } = await load({ url: `${url}/browse/lamp`, key, amount: 1_000 })
  const counts = ['200', '429', '502', '503'].map((status) => statuses[status] ?? 0)
  table.push([name, ...counts, stock.asked - asked, client.breaker.state])
  console.log(`${name}: done`)
}
await phase('a client within its rate', 'ann')
await phase('the same client again, too soon', 'ann')
stock.mood = 'down'
await phase('the upstream is down', 'bob')
stock.mood = 'well'
await new Promise((resolve) => setTimeout(resolve, client.breaker.snapshot().retryAfterMs))
await phase('it is back', 'cid')
console.log(table.toString())

if (app !== null) await app.close()
else server.close()
server.closeAllConnections()
stock.server.close()
stock.server.closeAllConnections()
await guard.stop()
