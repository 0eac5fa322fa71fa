/** A process of its own that serves: started by tests, with options as JSON, stopped or killed by them. Tells its heap when asked. */
import { TcpTransport, type TcpTransportOptions } from '../src/index.js'

const options = JSON.parse(process.argv[2] ?? '{}') as TcpTransportOptions
const server = new TcpTransport({ listen: '127.0.0.1:0', ...options })
server.handle('echo', (body) => body)
server.handle('stuck', () => new Promise(() => undefined))
await server.start()
process.send?.(server.address)
process.on('message', () => {
  for (let i = 0; i < 3; i++) globalThis.gc?.()
  process.send?.({ heapUsed: process.memoryUsage().heapUsed, inbound: server.stats().connections.inbound })
})
process.on('disconnect', () => process.exit(0))
