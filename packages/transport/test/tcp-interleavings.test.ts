import { HsError, type MessagePriority, type TransportError } from '@hs/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SERVER, world } from './tcp-world.js'

const priorities: Record<string, MessagePriority> = { critical: 'critical', high: 'high', low: 'low' }
const methods = ['critical', 'high', 'normal', 'low'] as const

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('request' as const), n: fc.nat(3), ms: fc.integer({ min: 0, max: 60 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('notify' as const), n: fc.nat(3), ms: fc.constant(0) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('abort' as const), n: fc.nat(20), ms: fc.constant(0) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('answer' as const), n: fc.nat(20), ms: fc.constant(0) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('throw' as const), n: fc.nat(20), ms: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), n: fc.nat(3), ms: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('silence' as const), n: fc.nat(3), ms: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), n: fc.nat(3), ms: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refuse' as const), n: fc.nat(1), ms: fc.constant(0) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('pass' as const), n: fc.nat(1), ms: fc.integer({ min: 0, max: 40 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('passNow' as const), n: fc.nat(1), ms: fc.integer({ min: 0, max: 40 }) }),
  },
)

interface Running {
  readonly index: number
  answer(body: Uint8Array): void
  fail(error: unknown): void
}

interface Sent {
  readonly index: number
  readonly controller: AbortController
  settled: number
  answer: number | null
  error: TransportError | null
}

describe('any interleaving of requests, cancels, deadlines, answers and disconnects', () => {
  it('settles every promise exactly once, truthfully, and leaves nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }), async (steps) => {
        const { clock, sockets, endpoint } = world()
        const running: Running[] = []
        const executed = new Map<number, number>()
        const start = async () => {
          const server = endpoint({ listen: SERVER, priorities, drainTimeoutMs: 30, maxInFlight: 4 })
          for (const method of methods) {
            server.handle(method, (body) => {
              const index = Buffer.from(body).readUInt32BE()
              executed.set(index, (executed.get(index) ?? 0) + 1)
              if (index % 3 === 0) return body
              return new Promise((answer, fail) => running.push({ index, answer, fail }))
            })
          }
          await server.start()
          return server
        }
        let server = await start()
        const rpc = endpoint({
          priorities,
          maxInFlight: 3,
          maxQueued: 2,
          requestTimeoutMs: 50,
          keepaliveMs: 40,
          keepaliveTimeoutMs: 20,
          handshakeTimeoutMs: 30,
          idleTimeoutMs: 70,
          reconnectBaseMs: 5,
          reconnectMaxMs: 10,
          drainTimeoutMs: 20,
        })
        const sent: Sent[] = []
        let notes = 0
        const stops: Promise<void>[] = []

        for (const { do: what, n, ms } of steps) {
          const served = running[n % Math.max(1, running.length)]
          if (what === 'request') {
            const body = Buffer.alloc(4)
            const one: Sent = {
              index: sent.length,
              controller: new AbortController(),
              settled: 0,
              answer: null,
              error: null,
            }
            body.writeUInt32BE(one.index)
            sent.push(one)
            rpc.request(SERVER, methods[n] as string, body, { timeoutMs: ms, signal: one.controller.signal }).then(
              (answer) => {
                one.settled++
                one.answer = Buffer.from(answer).readUInt32BE()
              },
              (error: unknown) => {
                if (!HsError.is(error)) throw error
                one.settled++
                one.error = error as TransportError
              },
            )
            body.fill(255)
          } else if (what === 'notify') {
            const body = Buffer.alloc(4, 255)
            const settle = () => void notes--
            notes++
            rpc.notify(SERVER, methods[n] as string, body).then(settle, settle)
          } else if (what === 'abort') sent[n]?.controller.abort('enough')
          else if (what === 'answer' && served !== undefined) {
            const body = Buffer.alloc(4)
            body.writeUInt32BE(served.index)
            served.answer(body)
          } else if (what === 'throw') served?.fail(new HsError('NO', 'no'))
          else if (what === 'cut') sockets.dialled.at(-1 - n)?.destroy()
          else if (what === 'silence') {
            const socket = sockets.dialled.at(-1 - n)
            if (socket !== undefined) socket.silent = socket.other!.silent = true
          } else if (what === 'restart') {
            stops.push(server.stop())
            if (n > 1) await clock.advanceAsync(n)
            server = await start()
          } else if (what === 'refuse') sockets.mode = n === 0 ? 'accept' : 'refuse'
          else if (what === 'passNow') clock.advance(ms)
          else if (what === 'pass') await clock.advanceAsync(ms)
        }
        await clock.advanceAsync(200)
        expect(rpc.stats().inFlight.outbound).toBe(0)
        expect(rpc.stats().queued).toEqual({ critical: 0, high: 0, normal: 0, low: 0, bytes: 0 })
        stops.push(server.stop(), rpc.stop())
        await clock.advanceAsync(200)
        await Promise.all(stops)
        await clock.advanceAsync(0)

        expect(notes).toBe(0)
        for (const { index, settled, answer, error } of sent) {
          const ran = executed.get(index) ?? 0
          expect(settled).toBe(1)
          expect(ran).toBeLessThanOrEqual(1)
          if (answer !== null) expect([answer, ran]).toEqual([index, 1])
          if (error?.notExecuted === true) expect(ran).toBe(0)
          if (error?.code === 'REMOTE_ERROR') expect(ran).toBe(1)
        }
        for (const end of [rpc, server]) {
          expect(end.stats()).toMatchObject({
            connections: { inbound: 0, outbound: 0, dialing: 0 },
            inFlight: { outbound: 0, inbound: 0 },
            queued: { bytes: 0 },
          })
        }
        expect(clock.pendingTimers).toBe(0)
      }),
      { numRuns: 300 },
    )
  })
})
