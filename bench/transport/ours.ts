/** `TcpTransport` as an application uses it: defaults, one method, promises. */
import { TcpTransport } from '@hs/transport'
import { driveCalls, type EchoClient } from './load.js'

const priorities = { critical: 'critical', take: 'low' } as const

export async function serveOurs(): Promise<{ address: string; close(): Promise<void> }> {
  const transport = new TcpTransport({ listen: '127.0.0.1:0', priorities })
  transport.handle('echo', (body) => body)
  transport.handle('critical', (body) => body)
  transport.handle('take', () => new Uint8Array())
  await transport.start()
  return { address: transport.address, close: () => transport.close() }
}

export interface OurClient extends EchoClient {
  call(method: 'echo' | 'critical' | 'take', body: Uint8Array): Promise<Uint8Array>
}

export async function dialOurs(address: string): Promise<OurClient> {
  // Room for what the priority workload queues.
  const transport = new TcpTransport({ priorities, maxQueuedBytes: 128 * 1_048_576 })
  await transport.start()
  return {
    call: (method, body) => transport.request(address, method, body),
    drive: (plan) => driveCalls(plan, (body) => transport.request(address, 'echo', body)),
    close: () => transport.close(),
  }
}
