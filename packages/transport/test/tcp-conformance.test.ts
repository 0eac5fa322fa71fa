import type { RpcTransport } from '@hs/core'
import { MemoryLogger, rpcConformance } from '@hs/core/testing'
import { describe, it } from 'vitest'
import { TcpTransport } from '../src/index.js'

describe('TcpTransport as an RpcTransport (CORE-35)', () => {
  const cases = rpcConformance(async () => {
    const made: RpcTransport[] = []
    return {
      async create(name) {
        const transport = new TcpTransport({
          listen: '127.0.0.1:0',
          nodeId: name,
          drainTimeoutMs: 50,
          logger: new MemoryLogger(),
        })
        await transport.start()
        made.push(transport)
        return transport
      },
      settle: () => new Promise((resolve) => setTimeout(resolve, 2)),
      close: async () => {
        await Promise.all(made.map((transport) => transport.close()))
      },
    }
  })
  for (const { name, run } of cases) it(name, run)
})
