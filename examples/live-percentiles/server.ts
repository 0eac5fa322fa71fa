/** The server: something that takes time, the page, and the stream that the page listens to. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { HsError } from '@hs/core'
import { LIVE_PAGE } from './live-page.js'
import { ROUTES } from './load.js'
import type { RequestStats, Second } from './request-stats.js'

export function requestHandler(stats: RequestStats): RequestListener {
  return (request, response) => {
    switch (request.url) {
      case '/':
        response.setHeader('content-type', 'text/html; charset=utf-8').end(LIVE_PAGE)
        return
      case '/live':
        try {
          stream(stats, request, response)
        } catch (error) {
          if (!HsError.is(error, 'LIMIT_EXCEEDED')) throw error
          response.writeHead(503).end(`${error.message}\n`)
        }
        return
      default:
        measured(stats, request, response).catch((error: unknown) => response.destroy(error as Error))
    }
  }
}

async function measured(stats: RequestStats, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const begin = performance.now()
  response.once('finish', () => stats.answered(routeOf(request), performance.now() - begin, response.statusCode))
  await someWork()
  response.end('done\n')
}

/** Never what the client made up: that would be a window for each. */
function routeOf({ url = '' }: IncomingMessage): string {
  return ROUTES.includes(url) ? url : 'other'
}

/** A few milliseconds as a rule, many once in a while: the tail is what percentiles are for. */
async function someWork(): Promise<void> {
  const isSlow = Math.random() < 0.03
  await wait(isSlow ? 80 + 120 * Math.random() : 2 + 20 * Math.random())
}

/** Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html */
function stream(stats: RequestStats, request: IncomingMessage, response: ServerResponse): void {
  const tell = (second: Second) => {
    // Who reads too slowly misses seconds; its connection must not fill this process.
    if (!response.writableNeedDrain) response.write(`data: ${JSON.stringify(second)}\n\n`)
  }
  const unwatch = stats.watch(tell, () => response.end())
  request.once('close', unwatch)
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  response.flushHeaders()
}
