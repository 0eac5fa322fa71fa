/** The contract of a `DatagramTransport` on a network that loses nothing: run it for every implementation. */

import type { DatagramTransport } from '../transport.js'
import {
  casesOf,
  expectBytes,
  expectEqual,
  expectThrows,
  sample,
  type ConformanceCase,
  type Fixture,
  type Scene,
} from './conformance.js'

type Datagrams = Scene<DatagramTransport>

interface Received {
  readonly from: string
  readonly bytes: Uint8Array
}

export function datagramConformance(make: () => Promise<Fixture<DatagramTransport>>): ConformanceCase[] {
  return casesOf(make, {
    'delivers a message with its bytes and the address of its sender': delivers,
    'answers to the address a message came from': answers,
    'delivers an empty message': deliversEmpty,
    'delivers to itself': deliversToItself,
    'delivers a message of maxMessageBytes and throws MESSAGE_TOO_LARGE above': boundsSize,
    'delivers many messages, each once': deliversMany,
    'lets the sender reuse its bytes': copiesOnSend,
    'gives the bytes of a message to its handler for good': givesBytesAway,
    'replaces the handler by the next one': replacesHandler,
    'is silent about a message to an address that nobody holds': silentToNobody,
    'throws INVALID_ARGUMENT for what is no address': refusesBadAddress,
    'throws CLOSED after it was closed, and may be closed twice': refusesWhenClosed,
    'hands nothing to its handler after it was closed': silentWhenClosed,
  })
}

async function delivers(scene: Datagrams): Promise<void> {
  const { a, b, atB } = await pair(scene)
  a.send(b.address, sample(100))
  await scene.until(() => atB.length > 0)
  expectEqual('messages', atB.length, 1)
  expectBytes('the message', atB[0]?.bytes, sample(100))
  expectEqual('from', atB[0]?.from, a.address)
}

async function answers(scene: Datagrams): Promise<void> {
  const { a, b, atA } = await pair(scene)
  b.onMessage((from, bytes) => b.send(from, bytes))
  a.send(b.address, sample(3))
  await scene.until(() => atA.length > 0)
  expectBytes('the answer', atA[0]?.bytes, sample(3))
  expectEqual('from', atA[0]?.from, b.address)
}

async function deliversEmpty(scene: Datagrams): Promise<void> {
  const { a, b, atB } = await pair(scene)
  a.send(b.address, new Uint8Array(0))
  await scene.until(() => atB.length > 0)
  expectBytes('the message', atB[0]?.bytes, new Uint8Array(0))
}

async function deliversToItself(scene: Datagrams): Promise<void> {
  const a = await scene.create('a')
  const received = record(a)
  a.send(a.address, sample(5))
  await scene.until(() => received.length > 0)
  expectBytes('the message', received[0]?.bytes, sample(5))
}

async function boundsSize(scene: Datagrams): Promise<void> {
  const { a, b, atB } = await pair(scene)
  const { maxMessageBytes } = a
  expectThrows('one byte more', 'MESSAGE_TOO_LARGE', () => a.send(b.address, sample(maxMessageBytes + 1)))
  a.send(b.address, sample(maxMessageBytes))
  await scene.until(() => atB.length > 0)
  await scene.quiet()
  expectEqual('messages', atB.length, 1)
  expectBytes('the largest message', atB[0]?.bytes, sample(maxMessageBytes))
}

async function deliversMany(scene: Datagrams): Promise<void> {
  const { a, b, atB } = await pair(scene)
  for (let i = 0; i < 50; i++) a.send(b.address, sample(20, i))
  await scene.until(() => atB.length >= 50)
  await scene.quiet()
  expectEqual('messages', atB.length, 50)
  // In any order: the network may choose it.
  const found = atB.map(({ bytes }) => String(bytes)).sort()
  const expected = Array.from({ length: 50 }, (_, i) => String(sample(20, i))).sort()
  for (const [at, text] of expected.entries()) expectEqual(`message ${at} in order of content`, found[at], text)
}

async function copiesOnSend(scene: Datagrams): Promise<void> {
  const { a, b, atB } = await pair(scene)
  const reused = sample(50)
  a.send(b.address, reused)
  reused.fill(0)
  await scene.until(() => atB.length > 0)
  expectBytes('the message', atB[0]?.bytes, sample(50))
}

async function givesBytesAway(scene: Datagrams): Promise<void> {
  const { a, b, atB } = await pair(scene)
  const sent = sample(50, 1)
  a.send(b.address, sent)
  await scene.until(() => atB.length > 0)
  const kept = atB[0]?.bytes
  for (let i = 2; i < 12; i++) a.send(b.address, sample(50, i))
  await scene.until(() => atB.length >= 11)
  expectBytes('the first message after ten more', kept, sample(50, 1))
  for (const { bytes } of atB) bytes.fill(0)
  expectBytes('what the sender gave, after the handler wrote into its own', sent, sample(50, 1))
  a.send(b.address, sent)
  await scene.until(() => atB.length >= 12)
  expectBytes('a message after the handler wrote into older ones', atB[11]?.bytes, sample(50, 1))
}

async function replacesHandler(scene: Datagrams): Promise<void> {
  const { a, b, atB } = await pair(scene)
  const later = record(b)
  a.send(b.address, sample(4))
  await scene.until(() => later.length > 0)
  expectEqual('messages at the second handler', later.length, 1)
  expectEqual('messages at the first handler', atB.length, 0)
}

async function silentToNobody(scene: Datagrams): Promise<void> {
  const { a, b, atB } = await pair(scene)
  const gone = await scene.create('gone')
  const { address } = gone
  await scene.done(gone.close())
  a.send(address, sample(4))
  await scene.quiet()
  a.send(b.address, sample(4))
  await scene.until(() => atB.length > 0)
  expectEqual('messages that arrive afterwards', atB.length, 1)
}

async function refusesBadAddress(scene: Datagrams): Promise<void> {
  const { a } = await pair(scene)
  for (const to of ['', 'nowhere', '127.0.0.1', '127.0.0.1:', '127.0.0.1:0', '127.0.0.1:65536', ':1', 'a b:1'])
    expectThrows(`send to ${JSON.stringify(to)}`, 'INVALID_ARGUMENT', () => a.send(to, sample(1)))
}

async function refusesWhenClosed(scene: Datagrams): Promise<void> {
  const { a, b, atB } = await pair(scene)
  await scene.done(a.close())
  await scene.done(a.close())
  expectThrows('send', 'CLOSED', () => a.send(b.address, sample(1)))
  await scene.quiet()
  expectEqual('messages', atB.length, 0)
}

async function silentWhenClosed(scene: Datagrams): Promise<void> {
  const { a, b, atB } = await pair(scene)
  const { address } = b
  await scene.done(b.close())
  a.send(address, sample(1))
  await scene.quiet()
  expectEqual('messages', atB.length, 0)
}

async function pair(scene: Datagrams) {
  const a = await scene.create('a')
  const b = await scene.create('b')
  return { a, b, atA: record(a), atB: record(b) }
}

function record(transport: DatagramTransport): Received[] {
  const received: Received[] = []
  transport.onMessage((from, bytes) => received.push({ from, bytes }))
  return received
}
