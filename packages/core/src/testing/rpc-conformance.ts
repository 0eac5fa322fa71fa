/** The contract of an `RpcTransport`: run it for every implementation. */

import { HsError, TransportError } from '../errors.js'
import type { PeerIdentity, RpcCall, RpcTransport } from '../transport.js'
import {
  casesOf,
  expectBytes,
  expectCode,
  expectEqual,
  expectThrows,
  expectTrue,
  failed,
  sample,
  type ConformanceCase,
  type Fixture,
  type Scene,
} from './conformance.js'

type Rpcs = Scene<RpcTransport>

export function rpcConformance(make: () => Promise<Fixture<RpcTransport>>): ConformanceCase[] {
  return casesOf(make, {
    'answers a request with what its handler returns, now or later': answersRequest,
    'tells a handler whom the request is from': tellsIdentity,
    'carries a request back to the address it came from': asksBack,
    'carries bodies and answers of no bytes and of 64 KiB': carriesSizes,
    'lets the caller reuse its bytes': copiesBody,
    'gives bodies and answers away for good': givesBytesAway,
    'replaces the handler of a method by the next one': replacesHandler,
    'starts handlers in the order of the requests and runs them side by side': runsSideBySide,
    'rejects with UNKNOWN_METHOD, not executed, where nobody handles the method': unknownMethod,
    'rejects with REMOTE_ERROR, code and message of the HsError that a handler threw': remoteHsError,
    'carries retryAfterMs of the HsError that a handler threw': remoteRetryAfter,
    'rejects with a generic REMOTE_ERROR for any other error of a handler': remoteOther,
    'rejects with DEADLINE_EXCEEDED and aborts the signal of the handler': deadline,
    'gives a request without timeoutMs 30 seconds': defaultDeadline,
    'drops an answer after the deadline: the next request gets its own': lateAnswer,
    'rejects with CANCELLED, the reason as cause, and aborts the signal of the handler': cancelled,
    'rejects with CANCELLED, not executed, if the signal is aborted already': cancelledBefore,
    'rejects with CONNECT_FAILED, not executed, where nobody holds the address': nobody,
    'rejects with CONNECTION_LOST if the peer closes while it serves the request': peerCloses,
    'rejects with INVALID_ARGUMENT, not executed, for what is no address or no method': badArguments,
    'takes method names of 1 and of 255 bytes': longMethods,
    'rejects with CLOSED, not executed, after it was closed, and may be closed twice': closed,
    'settles its own requests when it is closed': closesWithRequests,
    'carries notifications without an answer': notifies,
  })
}

async function answersRequest(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  b.handle('now', (body) => body.slice().reverse())
  b.handle('later', async (body) => {
    await Promise.resolve()
    return body.slice(0, 2)
  })
  expectBytes('now', await scene.done(a.request(b.address, 'now', sample(9))), sample(9).reverse())
  expectBytes('later', await scene.done(a.request(b.address, 'later', sample(9))), sample(2))
}

async function tellsIdentity(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  let from: PeerIdentity | undefined
  b.handle('who', (body, peer) => {
    from = peer
    return body
  })
  await scene.done(a.request(b.address, 'who', sample(1)))
  if (from === undefined) throw failed('the handler must be told whom the request is from')
  expectEqual('typeof from.address', typeof from.address, 'string')
  expectEqual('typeof from.nodeId', typeof from.nodeId, 'string')
  expectEqual('typeof from.encrypted', typeof from.encrypted, 'boolean')
  expectEqual('from.protocol.major', from.protocol.major, 1)
  expectEqual('from.protocol.minor', from.protocol.minor, 0)
  expectTrue('from.features must be an array', Array.isArray(from.features))
}

async function asksBack(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  a.handle('back', (body) => body.slice().reverse())
  b.handle('there', (body, from) => b.request(from.address, 'back', body))
  expectBytes('the answer', await scene.done(a.request(b.address, 'there', sample(7))), sample(7).reverse())
}

async function carriesSizes(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const bodies: Uint8Array[] = []
  b.handle('echo', (body) => {
    bodies.push(body.slice())
    return body
  })
  for (const length of [0, 1, 65_536]) {
    const answer = await scene.done(a.request(b.address, 'echo', sample(length)))
    expectBytes(`the body of ${length} bytes`, bodies.at(-1), sample(length))
    expectBytes(`the answer of ${length} bytes`, answer, sample(length))
  }
}

async function copiesBody(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const notified: Uint8Array[] = []
  b.handle('echo', (body) => body)
  b.handle('note', (body) => {
    notified.push(body)
    return new Uint8Array(0)
  })
  const reused = sample(40)
  const answer = a.request(b.address, 'echo', reused)
  reused.fill(0)
  expectBytes('the body of the request', await scene.done(answer), sample(40))

  const again = sample(40, 1)
  const note = a.notify(b.address, 'note', again)
  again.fill(0)
  await scene.done(note)
  await scene.until(() => notified.length > 0)
  expectBytes('the body of the notification', notified[0], sample(40, 1))
}

async function givesBytesAway(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const bodies: Uint8Array[] = []
  b.handle('keep', (body) => {
    bodies.push(body)
    return body.slice()
  })
  const sent = sample(40, 0)
  const answers = [await scene.done(a.request(b.address, 'keep', sent))]
  for (let i = 1; i < 10; i++) answers.push(await scene.done(a.request(b.address, 'keep', sample(40, i))))
  for (const [i, body] of bodies.entries()) expectBytes(`body ${i} after all requests`, body, sample(40, i))
  for (const [i, answer] of answers.entries()) expectBytes(`answer ${i} after all requests`, answer, sample(40, i))
  for (const body of bodies) body.fill(0)
  expectBytes('what the caller gave, after the handler wrote into its own', sent, sample(40, 0))
  for (const [i, answer] of answers.entries()) expectBytes(`answer ${i} after that`, answer, sample(40, i))
}

async function replacesHandler(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  b.handle('m', () => sample(1, 1))
  b.handle('m', () => sample(1, 2))
  b.handle('other', () => sample(1, 3))
  expectBytes('the answer', await scene.done(a.request(b.address, 'm', sample(1))), sample(1, 2))
}

async function runsSideBySide(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const started: number[] = []
  const finish = new Map<number, () => void>()
  b.handle('work', async (body) => {
    const index = body[0] ?? -1
    started.push(index)
    await new Promise<void>((resolve) => finish.set(index, resolve))
    return body
  })
  const finished: number[] = []
  const requests = Array.from({ length: 20 }, async (_, i) => {
    const answer = await a.request(b.address, 'work', Uint8Array.of(i))
    finished.push(answer[0] ?? -1)
  })
  const all = scene.begin(Promise.all(requests))
  await scene.until(() => started.length === 20)
  expectEqual('handlers in the order of their start', String(started), String(Array.from({ length: 20 }, (_, i) => i)))
  finish.get(19)?.()
  await scene.until(() => finished.length > 0)
  expectEqual('the first request that is answered', finished[0], 19)
  for (const end of finish.values()) end()
  await scene.done(all)
  expectEqual('requests that are answered', finished.length, 20)
}

async function unknownMethod(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  b.handle('known', (body) => body)
  expectTransportError(
    await scene.failure('an unknown method', a.request(b.address, 'unknown', sample(1))),
    'UNKNOWN_METHOD',
    true,
  )
  expectBytes('a known one after it', await scene.done(a.request(b.address, 'known', sample(2))), sample(2))
}

async function remoteHsError(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  b.handle('sync', () => {
    throw new HsError('OUT_OF_STOCK', 'no more of these')
  })
  b.handle('async', async () => {
    await Promise.resolve()
    throw new HsError('OUT_OF_STOCK', 'no more of those')
  })
  for (const [method, text] of [
    ['sync', 'no more of these'],
    ['async', 'no more of those'],
  ] as const) {
    const thrown = await scene.failure(method, a.request(b.address, method, sample(1)))
    const error = expectTransportError(thrown, 'REMOTE_ERROR', false)
    expectEqual('remoteCode', error.remoteCode, 'OUT_OF_STOCK')
    expectTrue(`the message must hold "${text}", found "${error.message}"`, error.message.includes(text))
    expectEqual('retryAfterMs', error.retryAfterMs, undefined)
  }
}

async function remoteRetryAfter(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  b.handle('details', () => {
    throw new HsError('BUSY', 'later', { details: { retryAfterMs: 250 } })
  })
  b.handle('own', () => {
    throw new TransportError('RESOURCE_EXHAUSTED', 'later', { retryAfterMs: 350 })
  })
  const details = await scene.failure('details', a.request(b.address, 'details', sample(1)))
  expectEqual('from details', expectTransportError(details, 'REMOTE_ERROR', false).retryAfterMs, 250)
  const own = await scene.failure('own', a.request(b.address, 'own', sample(1)))
  const error = expectTransportError(own, 'REMOTE_ERROR', false)
  expectEqual('from its own property', error.retryAfterMs, 350)
  expectEqual('remoteCode', error.remoteCode, 'RESOURCE_EXHAUSTED')
}

async function remoteOther(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const secret = 'password hunter2'
  b.handle('error', () => {
    throw Object.assign(new TypeError(secret), { code: secret })
  })
  b.handle('text', async () => {
    throw secret
  })
  for (const method of ['error', 'text']) {
    const thrown = await scene.failure(method, a.request(b.address, method, sample(1)))
    const error = expectTransportError(thrown, 'REMOTE_ERROR', false)
    expectEqual('remoteCode', error.remoteCode, undefined)
    expectTrue('internals must not cross the wire', !JSON.stringify(error.toJSON()).includes('hunter2'))
  }
}

async function deadline(scene: Rpcs): Promise<void> {
  const { a, b } = await connectedPair(scene)
  const calls = stuck(b, 'stuck')
  const thrown = await scene.failure('no answer', a.request(b.address, 'stuck', sample(1), { timeoutMs: 100 }))
  expectTransportError(thrown, 'DEADLINE_EXCEEDED')
  await scene.until(() => calls[0]?.call.signal.aborted === true)
  const { call, remainingAtStart } = only(calls)
  expectTrue(
    `remainingMs at the start is within 0 and 100, found ${remainingAtStart}`,
    remainingAtStart >= 0 && remainingAtStart <= 100,
  )
  expectTrue('the signal of the handler must abort', call.signal.aborted)
  expectEqual('remainingMs after the deadline', call.remainingMs(), 0)
}

async function defaultDeadline(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const remaining: number[] = []
  b.handle('ask', (body, _from, call) => {
    remaining.push(call.remainingMs())
    expectTrue('the signal is not aborted while the caller waits', !call.signal.aborted)
    return body
  })
  await scene.done(a.request(b.address, 'ask', sample(1)))
  await scene.done(a.request(b.address, 'ask', sample(1), { timeoutMs: 60_000 }))
  const [usual = 0, longer = 0] = remaining
  expectTrue(`remainingMs is close to 30,000, found ${usual}`, usual > 20_000 && usual <= 30_000)
  expectTrue(`remainingMs is close to 60,000, found ${longer}`, longer > 50_000 && longer <= 60_000)
}

async function lateAnswer(scene: Rpcs): Promise<void> {
  const { a, b } = await connectedPair(scene)
  let answerLate: (answer: Uint8Array) => void = () => undefined
  b.handle('late', () => new Promise((resolve) => (answerLate = resolve)))
  const thrown = await scene.failure('no answer', a.request(b.address, 'late', sample(1), { timeoutMs: 50 }))
  expectTransportError(thrown, 'DEADLINE_EXCEEDED')
  const next = a.request(b.address, 'echo', sample(8, 2))
  answerLate(sample(8, 1))
  expectBytes('the next answer', await scene.done(next), sample(8, 2))
  expectBytes('the one after', await scene.done(a.request(b.address, 'echo', sample(8, 3))), sample(8, 3))
}

async function cancelled(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const calls = stuck(b, 'stuck')
  const controller = new AbortController()
  const reason = new Error('changed my mind')
  const request = a.request(b.address, 'stuck', sample(1), { signal: controller.signal })
  const thrown = scene.begin(scene.failure('a cancelled request', request))
  await scene.until(() => calls.length > 0)
  controller.abort(reason)
  expectEqual('cause', expectTransportError(await thrown, 'CANCELLED').cause, reason)
  await scene.until(() => calls[0]?.call.signal.aborted === true)
  expectTrue('the signal of the handler must abort', only(calls).call.signal.aborted)
}

async function cancelledBefore(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const calls = stuck(b, 'stuck')
  const reason = new Error('never wanted it')
  const request = a.request(b.address, 'stuck', sample(1), { signal: AbortSignal.abort(reason) })
  const error = expectTransportError(await scene.failure('a cancelled request', request), 'CANCELLED', true)
  expectEqual('cause', error.cause, reason)
  await scene.quiet()
  expectEqual('calls of the handler', calls.length, 0)
}

async function nobody(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  b.handle('echo', (body) => body)
  const { address } = b
  await scene.done(b.close())
  expectTransportError(
    await scene.failure('an address that nobody holds', a.request(address, 'echo', sample(1))),
    'CONNECT_FAILED',
    true,
  )
}

async function peerCloses(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const calls = stuck(b, 'stuck')
  const failing = scene.failure('a request to a peer that closes', a.request(b.address, 'stuck', sample(1)))
  const request = scene.begin(failing)
  await scene.until(() => calls.length > 0)
  await scene.done(b.close())
  expectTransportError(await request, 'CONNECTION_LOST', false)
  await scene.until(() => calls[0]?.call.signal.aborted === true)
  expectTrue('the signal of the handler must abort', only(calls).call.signal.aborted)
}

async function badArguments(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  b.handle('echo', (body) => body)
  const tooLong = 'é'.repeat(128)
  for (const to of ['', 'nowhere', 'localhost:', 'localhost:0', 'localhost:65536', ':1', 'a b:1']) {
    const what = `the address ${JSON.stringify(to)}`
    const request = await scene.failure(what, a.request(to, 'echo', sample(1)))
    expectTransportError(request, 'INVALID_ARGUMENT', true)
    expectTransportError(await scene.failure(what, a.notify(to, 'echo', sample(1))), 'INVALID_ARGUMENT', true)
  }
  for (const method of ['', 'x'.repeat(256), tooLong]) {
    const what = `a method of ${method.length} characters`
    const request = await scene.failure(what, a.request(b.address, method, sample(1)))
    expectTransportError(request, 'INVALID_ARGUMENT', true)
    expectTransportError(await scene.failure(what, a.notify(b.address, method, sample(1))), 'INVALID_ARGUMENT', true)
    expectThrows(`handle of ${what}`, 'INVALID_ARGUMENT', () => b.handle(method, (body) => body))
  }
}

async function longMethods(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  for (const method of ['m', 'x'.repeat(255), `${'é'.repeat(127)}x`]) {
    b.handle(method, () => sample(3, method.length))
    const answer = await scene.done(a.request(b.address, method, sample(1)))
    expectBytes(`the answer of ${method}`, answer, sample(3, method.length))
  }
}

async function closed(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const calls = stuck(b, 'stuck')
  await scene.done(a.close())
  await scene.done(a.close())
  const request = await scene.failure('a request', a.request(b.address, 'stuck', sample(1)))
  expectTransportError(request, 'CLOSED', true)
  const note = await scene.failure('a notification', a.notify(b.address, 'stuck', sample(1)))
  expectTransportError(note, 'CLOSED', true)
  await scene.quiet()
  expectEqual('calls of the handler', calls.length, 0)
}

async function closesWithRequests(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const calls = stuck(b, 'stuck')
  const failing = scene.failure('a request of a closed transport', a.request(b.address, 'stuck', sample(1)))
  const request = scene.begin(failing)
  await scene.until(() => calls.length > 0)
  await scene.done(a.close())
  const error = await request
  // Which of the two depends on which end is told first.
  expectTransportError(error, HsError.is(error, 'CONNECTION_LOST') ? 'CONNECTION_LOST' : 'CLOSED', false)
  await scene.until(() => calls[0]?.call.signal.aborted === true)
  expectTrue('the signal of the handler must abort', only(calls).call.signal.aborted)
}

async function notifies(scene: Rpcs): Promise<void> {
  const { a, b } = await pair(scene)
  const notes: Uint8Array[] = []
  b.handle('note', (body) => {
    notes.push(body)
    return body
  })
  expectEqual('what notify resolves with', await scene.done(a.notify(b.address, 'note', sample(6, 0))), undefined)
  await scene.done(a.notify(b.address, 'unknown', sample(6, 1)))
  await scene.done(a.notify(b.address, 'note', sample(6, 2)))
  await scene.until(() => notes.length >= 2)
  await scene.quiet()
  expectEqual('notifications', notes.length, 2)
  expectBytes('the first', notes[0], sample(6, 0))
  expectBytes('the second', notes[1], sample(6, 2))
}

async function pair(scene: Rpcs) {
  return { a: await scene.create('a'), b: await scene.create('b') }
}

/** With a connection, where there are any: so that a short deadline is not spent on making one. */
async function connectedPair(scene: Rpcs) {
  const { a, b } = await pair(scene)
  b.handle('echo', (body) => body)
  await scene.done(a.request(b.address, 'echo', sample(1)))
  return { a, b }
}

interface StuckCall {
  readonly call: RpcCall
  readonly remainingAtStart: number
}

/** Handles `method` by never answering it, and collects the calls. */
function stuck(transport: RpcTransport, method: string): StuckCall[] {
  const calls: StuckCall[] = []
  transport.handle(method, (_body, _from, call) => {
    calls.push({ call, remainingAtStart: call.remainingMs() })
    return new Promise(() => undefined)
  })
  return calls
}

function only(calls: readonly StuckCall[]): StuckCall {
  const [call] = calls
  if (call === undefined || calls.length > 1) throw failed(`the handler must be called once, found ${calls.length}`)
  return call
}

function expectTransportError(error: unknown, code: string, notExecuted?: boolean): TransportError {
  const found = expectCode('the error', error, code) as TransportError
  if (notExecuted !== undefined) expectEqual(`notExecuted of ${code}`, found.notExecuted, notExecuted)
  return found
}
