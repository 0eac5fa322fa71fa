/** `nats` through a `nats-server` of its own: requests to a responder in the other process. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect as dial, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'nats'
import { driveCalls, type EchoClient } from './load.js'

export function hasNatsServer(): boolean {
  return spawnSync('nats-server', ['--version'], { stdio: 'ignore' }).status === 0
}

export async function serveNats(): Promise<{ address: string; close(): void }> {
  const port = await freePort()
  const broker = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' })
  process.once('exit', () => broker.kill())
  await listening(broker, port)
  const address = `127.0.0.1:${port}`
  const connection = await connect({ servers: address })
  connection.subscribe('echo', { callback: (_error, message) => void message.respond(message.data) })
  await connection.flush()
  return { address, close: () => void broker.kill() }
}

export async function dialNats(address: string): Promise<EchoClient> {
  const connection = await connect({ servers: address })
  const call = async (body: Uint8Array) => (await connection.request('echo', body, { timeout: 5_000 })).data
  return { drive: (plan) => driveCalls(plan, call), close: () => connection.close() }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function listening(broker: ChildProcess, port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (broker.exitCode !== null) throw new Error(`nats-server ended with ${broker.exitCode}`)
    const socket = dial(port, '127.0.0.1')
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (open) return
    await sleep(10)
  }
  throw new Error('nats-server does not listen')
}
