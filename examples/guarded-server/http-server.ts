/** With `node:http`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { settleWith, type Guard } from './guard.js'
import { articleOf, clientOf, priorityOf } from './routes.js'
import { failureAnswer, type StockClient } from './stock-client.js'

export function httpServer(guard: Guard, stock: StockClient): Server {
  return createServer((request, response) => {
    const path = request.url ?? '/'
    const entry = guard.enter(clientOf(request.headers, request.socket.remoteAddress), priorityOf(path))
    if (!entry.admitted) {
      response.writeHead(entry.status, { 'retry-after': entry.retryAfter }).end(entry.reason)
      return
    }
    settleWith(response, entry.permit)
    void answer(request, response, stock) // never rejects
  })
}

async function answer(request: IncomingMessage, response: ServerResponse, stock: StockClient): Promise<void> {
  const path = request.url ?? '/'
  if (path === '/health') {
    response.end('well')
    return
  }
  try {
    response.end(await stock.count(articleOf(path)))
  } catch (error) {
    const { status, headers, text } = failureAnswer(error)
    response.writeHead(status, headers).end(text)
  }
}
