/** A process of its own that serves: started by `tcp-processes.test.ts`, which stops or kills it. */
import { TcpTransport } from '../src/index.js'

const server = new TcpTransport({ listen: '127.0.0.1:0' })
server.handle('echo', (body) => body)
server.handle('stuck', () => new Promise(() => undefined))
await server.start()
process.send?.(server.address)
process.on('disconnect', () => process.exit(0))
