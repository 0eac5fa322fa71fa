/** `@grpc/grpc-js`, unary calls with raw bytes: no protobuf, so that only the transport is measured. */
import { Client, Server, ServerCredentials, credentials, type ServiceDefinition } from '@grpc/grpc-js'
import { driveCalls, type EchoClient } from './load.js'

const identity = (bytes: Buffer) => bytes
const method = (name: string) => ({
  path: `/bench.Echo/${name}`,
  requestStream: false as const,
  responseStream: false as const,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
})
const service: ServiceDefinition = { echo: method('echo'), take: method('take') }

export async function serveGrpc(): Promise<{ address: string; close(): void }> {
  const server = new Server()
  server.addService(service, {
    echo: (call: { request: Buffer }, done: (error: null, bytes: Buffer) => void) => done(null, call.request),
    take: (_call: unknown, done: (error: null, bytes: Buffer) => void) => done(null, Buffer.alloc(0)),
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  return { address: `127.0.0.1:${port}`, close: () => server.forceShutdown() }
}

export interface GrpcClient extends EchoClient {
  call(name: 'echo' | 'take', body: Uint8Array): Promise<Uint8Array>
}

export async function dialGrpc(address: string): Promise<GrpcClient> {
  const client = new Client(address, credentials.createInsecure())
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 5_000, (error) => (error ? reject(error) : resolve()))
  })
  const call = (name: 'echo' | 'take', body: Uint8Array) =>
    new Promise<Uint8Array>((resolve, reject) => {
      client.makeUnaryRequest(`/bench.Echo/${name}`, identity, identity, body as Buffer, (error, answer) =>
        answer === undefined ? reject(error ?? new Error('no answer')) : resolve(answer),
      )
    })
  return { call, drive: (plan) => driveCalls(plan, (body) => call('echo', body)), close: () => client.close() }
}
