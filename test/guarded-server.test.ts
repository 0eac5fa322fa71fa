/** The example under real load from a second process, with node:http and with fastify: every request is accounted for. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { fastifyServer } from '../examples/guarded-server/fastify-server.js'
import { Guard, type GuardOptions } from '../examples/guarded-server/guard.js'
import { httpServer } from '../examples/guarded-server/http-server.js'
import { load } from '../examples/guarded-server/load.js'
import { Stock } from '../examples/guarded-server/stock.js'
import { StockClient } from '../examples/guarded-server/stock-client.js'

const BURST = 50
const RATIO = 0.1
const RESERVE = 10 // of the budget: one a second over ten seconds

/** How busy or slow this machine is must decide nothing: the monitor is not started, and no latency is too long. */
const detector = { latencyBoundsMs: [1e6, 2e6, 3e6], deltaThresholds: [1e6, 2e6, 3e6] } as const

async function start(kind: 'node:http' | 'fastify', options: Partial<GuardOptions> = {}) {
  const stock = new Stock()
  stock.server.listen(0, '127.0.0.1')
  await once(stock.server, 'listening')
  const client = new StockClient(`http://127.0.0.1:${(stock.server.address() as AddressInfo).port}`)
  const guard = new Guard({ perSecond: 0.001, burst: BURST, concurrency: 100, detector, ...options })
  const app = kind === 'fastify' ? fastifyServer(guard, client) : null
  const server = app?.server ?? httpServer(guard, client)
  if (app !== null) await app.listen({ port: 0, host: '127.0.0.1' })
  else await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(async () => {
    await guard.stop()
    server.closeAllConnections()
    stock.server.closeAllConnections()
    if (app !== null) await app.close()
    else server.close()
    stock.server.close()
  })
  return { stock, client, guard, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

describe.each(['node:http', 'fastify'] as const)('a guarded server with %s', (kind) => {
  it('serves each client at its rate and tells it when to come again', async () => {
    const { stock, guard, url } = await start(kind)
    const path = `${url}/browse/lamp`
    const [ann, bob] = await Promise.all([
      load({ url: path, key: 'ann', amount: 400 }),
      load({ url: path, key: 'bob', amount: 30 }),
    ])
    expect(ann).toEqual({ statuses: { 200: BURST, 429: 400 - BURST }, errors: 0 })
    expect(bob).toEqual({ statuses: { 200: 30 }, errors: 0 })
    expect(stock.asked).toBe(BURST + 30)
    expect(guard.admission.snapshot()).toEqual({
      admitted: BURST + 30,
      refused: { shed: 0, full: 0, rate: 400 - BURST },
    })

    const refused = await fetch(path, { headers: { 'x-api-key': 'ann' } })
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(900) // one in a thousand seconds
  })

  it('lets go of what matters least when it has too much to do, and serves what is critical', async () => {
    const { guard, url } = await start(kind, { burst: 10_000 })
    const keepStressed = () => guard.detector.observe({ memory: 0.9 })
    keepStressed()
    const timer = setInterval(keepStressed, 1_000) // what is not seen again for ten seconds counts no more
    onTestFinished(() => clearInterval(timer))
    expect(guard.detector.state).toBe('stressed')
    const [checkout, browse, health] = await Promise.all(
      ['checkout/lamp', 'browse/lamp', 'health'].map((path) => load({ url: `${url}/${path}`, key: path, amount: 50 })),
    )
    expect(checkout).toEqual({ statuses: { 200: 50 }, errors: 0 })
    expect(browse).toEqual({ statuses: { 503: 50 }, errors: 0 })
    expect(health).toEqual({ statuses: { 200: 50 }, errors: 0 })
    const shed = await fetch(`${url}/browse/lamp`)
    expect([shed.status, shed.headers.get('retry-after')]).toEqual([503, '1'])
  })

  it('leaves an upstream alone that is down, and finds it again', async () => {
    const { stock, client, url } = await start(kind, { burst: 10_000 })
    stock.mood = 'down'
    const { statuses, errors } = await load({ url: `${url}/checkout/lamp`, key: 'ann', amount: 500 })
    const failed = statuses['502'] ?? 0
    const refused = statuses['503'] ?? 0
    expect(errors).toBe(0)
    expect(failed + refused).toBe(500)
    expect(refused).toBeGreaterThan(400)
    expect(stock.asked).toBeLessThanOrEqual(500 - refused + RATIO * 500 + RESERVE)
    expect(stock.asked).toBeGreaterThanOrEqual(5)
    expect(client.breaker.snapshot().totals.opened).toBeGreaterThanOrEqual(1)

    stock.mood = 'well'
    while (client.breaker.state === 'open')
      await new Promise((resolve) => setTimeout(resolve, client.breaker.snapshot().retryAfterMs + 1))
    const answer = await fetch(`${url}/checkout/lamp`)
    expect([answer.status, await answer.text()]).toEqual([200, '42'])
  })
})
