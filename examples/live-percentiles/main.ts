/**
 * Live percentiles of an HTTP server: each answer is a sample, each second a window, and whoever watches gets it, on
 * the terminal and in the browser. `npx tsx examples/live-percentiles/main.ts --help` tells the options.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Command, InvalidArgumentError } from 'commander'
import { sendLoad } from './load.js'
import { RequestStats } from './request-stats.js'
import { requestHandler } from './server.js'

const whole = (min: number, max: number) => (text: string) => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max)
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  return value
}
const { seconds, users, port } = new Command('live-percentiles')
  .description('Serves HTTP, sends itself some load, and shows its percentiles while it runs.')
  .option('--seconds <n>', 'how long, 1 to 86400', whole(1, 86_400), 15)
  .option('--users <n>', 'who ask at the same time, 0 to 1000: with 0 the load is yours', whole(0, 1_000), 8)
  .option('--port <n>', 'of the server, 0 to 65535: 0 is any that is free', whole(0, 65_535), 0)
  .parse()
  .opts<{ seconds: number; users: number; port: number }>()

const stats = new RequestStats()
const server = createServer(requestHandler(stats))
server.listen(port, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
console.log(`live in a browser: ${url}/`)

stats.watch((second) => {
  if (second.latency === undefined) return
  const { p50, p95, p99 } = second.latency
  const figures = [p50, p95, p99].map((ms) => `${ms.toFixed(1).padStart(7)} ms`).join('')
  console.log(
    `${second.time}  ${String(second.requests).padStart(6)} requests  p50, p95, p99:${figures}  ${second.level}`,
  )
})
await stats.start()
await sendLoad(url, users, seconds * 1_000)
await stats.stop()
console.log(`${stats.total} requests in all`)
server.close()
server.closeIdleConnections()
