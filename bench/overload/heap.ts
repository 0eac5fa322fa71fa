/** Bytes of heap that a client takes which has an account: names not counted, for the caller has those. */
import { RateLimiter } from '@hs/overload'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { Report } from '../swim/report.js'

interface Filled {
  readonly size: number
}

function used(): number {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc')
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** What is still there when `fill` is done. In a function of its own, so that nothing of the round before is. */
async function growth(names: readonly string[], fill: (names: readonly string[]) => Promise<Filled>): Promise<number> {
  const before = used()
  const filled = await fill(names)
  const grown = used() - before
  if (filled.size !== names.length) throw new Error(`${filled.size} of ${names.length} clients were kept`)
  return grown / names.length
}

/** The least of some, for whatever else the process allocates meanwhile comes on top. */
async function perClient(clients: number, fill: (names: readonly string[]) => Promise<Filled>): Promise<number> {
  const names = Array.from({ length: clients }, (_, i) => `client-${i}`)
  await fill(names.slice(0, 10)) // what the first use alone allocates
  const rounds: number[] = []
  for (let round = 0; round < 3; round++) rounds.push(await growth(names, fill))
  return Math.min(...rounds)
}

export async function printHeap(report: Report, isSmoke: boolean): Promise<void> {
  const clients = isSmoke ? 1_000 : 200_000
  const ours = await perClient(clients, async (names) => {
    const limiter = new RateLimiter({ rates: { '*': { limit: 100, perMs: 3_600_000 } }, maxClients: clients })
    for (const name of names) limiter.tryTake(name)
    return limiter
  })
  const map = await perClient(clients, async (names) => new Map(names.map((name, i) => [name, i])))
  const flexible = await perClient(clients, async (names) => {
    const limiter = new RateLimiterMemory({ points: 100, duration: 3_600 })
    for (const name of names) await limiter.consume(name)
    return { limiter, size: names.length }
  })
  console.log(`heap of ${clients.toLocaleString('en')} clients, bytes each: ${ours.toFixed(0)} RateLimiter,`)
  console.log(`  ${flexible.toFixed(0)} rate-limiter-flexible 11 (memory), ${map.toFixed(0)} Map<string, number>`)
  for (const judged of [
    { what: 'heap / rate-limiter-flexible', figure: ours / flexible, atMost: 0.3 },
    { what: 'heap / Map<string, number>', figure: ours / map, atMost: 2.5 },
  ]) {
    console.log(`${judged.what}: ${judged.figure.toFixed(2)}x, at most ${judged.atMost}x: ${report.verdict(judged)}`)
  }
}
