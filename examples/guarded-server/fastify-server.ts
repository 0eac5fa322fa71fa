/** With fastify: the guard is a hook, the failures of the upstream an error handler, and the routes know of neither. */
import fastify, { type FastifyInstance } from 'fastify'
import { settleWith, type Guard } from './guard.js'
import { clientOf, priorityOf } from './routes.js'
import { failureAnswer, type StockClient } from './stock-client.js'

export function fastifyServer(guard: Guard, stock: StockClient): FastifyInstance {
  const app = fastify()

  app.addHook('onRequest', (request, reply, done) => {
    const entry = guard.enter(clientOf(request.headers, request.ip), priorityOf(request.url))
    if (entry.admitted) {
      settleWith(reply.raw, entry.permit)
      done()
    } else void reply.code(entry.status).header('retry-after', entry.retryAfter).send(entry.reason)
  })

  app.setErrorHandler((error, _request, reply) => {
    const { status, headers, text } = failureAnswer(error)
    void reply.code(status).headers(headers).send(text)
  })

  app.get('/health', () => 'well')
  for (const place of ['checkout', 'browse', 'stats'])
    app.get<{ Params: { article: string } }>(`/${place}/:article`, ({ params }) => stock.count(params.article))
  return app
}
