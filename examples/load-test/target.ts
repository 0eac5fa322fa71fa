/**
 * The server under test. It counts every request under the execution that sent it, which is what the
 * totals of the result are held against.
 */

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock, Random } from '@hs/core'

/** What the target saw of one execution. */
export interface Served {
  readonly worker: string
  requests: number
}

/** By execution id. */
export type RequestCounts = Readonly<Record<string, Readonly<Served>>>

/** Answers of a path: delay in milliseconds, and the share that fails with 503. */
const PATHS: Readonly<Record<string, { minMs: number; maxMs: number; failing: number }>> = {
  '/login': { minMs: 5, maxMs: 10, failing: 0 },
  '/browse': { minMs: 1, maxMs: 6, failing: 0.002 },
  '/checkout': { minMs: 4, maxMs: 20, failing: 0.01 },
  '/batch': { minMs: 1, maxMs: 3, failing: 0 },
}

export async function startTarget(clock: Clock, random: Random): Promise<string> {
  const counts = new Map<string, Served>()

  const server = createServer((request, response) => {
    if (request.url === '/counts') {
      response.end(JSON.stringify(Object.fromEntries(counts)))
      return
    }
    const path = PATHS[request.url ?? '']
    if (path === undefined) {
      response.writeHead(404).end()
      return
    }
    const { 'x-hs-execution': execution, 'x-hs-worker': worker } = request.headers
    if (typeof execution !== 'string' || typeof worker !== 'string') {
      response.writeHead(400).end('the headers x-hs-execution and x-hs-worker are needed')
      return
    }
    const served = counts.get(execution) ?? { worker, requests: 0 }
    served.requests++
    counts.set(execution, served)
    request.resume()
    const status = random.next() < path.failing ? 503 : 200
    clock.setTimer(path.minMs + random.next() * (path.maxMs - path.minMs), () => {
      response.writeHead(status).end('ok')
    })
  })
  // Longer than any pause of a virtual user, so that no request meets a socket that is just being closed.
  server.keepAliveTimeout = 120_000
  return listen(server)
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export async function readCounts(target: string): Promise<RequestCounts> {
  const response = await fetch(`${target}/counts`)
  if (!response.ok) throw new Error(`the target answered ${response.status} when it was asked for its counts`)
  return (await response.json()) as RequestCounts
}
