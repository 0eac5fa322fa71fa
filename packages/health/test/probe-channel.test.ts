import { getEventListeners } from 'node:events'
import type { DatagramTransport } from '@hs/core'
import { MemoryLogger, MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import { ProbeChannel, type ProbeChannelOptions, type ProbeResult } from '@hs/health'
import { describe, expect, it } from 'vitest'
import { misconfigured } from './support/matchers.js'

type Tuning = Omit<ProbeChannelOptions, 'transport'>

const A = '10.0.0.1:7000'
const B = '10.0.0.2:7000'

const make = () => {
  const clock = new VirtualClock()
  const network = new MemoryNetwork({ clock, latencyMs: 5 })
  const logger = new MemoryLogger()
  const channel = (address: string, options: Tuning = {}) =>
    new ProbeChannel({
      transport: network.datagram(address),
      clock,
      logger,
      random: new SeededRandom(address),
      ...options,
    })
  /** A party that plays foul, or that only listens. */
  const raw = (address: string, onMessage: (from: string, bytes: Uint8Array) => void = () => {}) => {
    const transport = network.datagram(address)
    transport.onMessage(onMessage)
    return transport
  }
  return { clock, network, logger, channel, raw }
}

const datagram = (type: number, nonce: number[] = [1, 2, 3, 4, 5, 6, 7, 8]) => new Uint8Array([type, ...nonce])

describe('ProbeChannel (HL-15)', () => {
  it('finds a node alive or busy, with the round trip', async () => {
    const { clock, channel } = make()
    let busy = false
    const a = channel(A)
    const b = channel(B, { isBusy: () => busy })
    expect(await clock.run(a.probe(B))).toEqual({ status: 'alive', rttMs: 10 })
    busy = true
    expect(await clock.run(a.probe(B))).toEqual({ status: 'busy', rttMs: 10 })
    expect(a.snapshot()).toMatchObject({ sent: 2, answered: 0, timeouts: 0, limited: 0, ignored: 0, pending: 0 })
    expect(b.snapshot()).toMatchObject({ sent: 0, answered: 2, busyAnswered: 1, ignored: 0 })
    expect(Object.isFrozen(a.snapshot())).toBe(true)
  })

  it('times out where nobody answers', async () => {
    const { clock, channel } = make()
    const a = channel(A)
    expect(await clock.run(a.probe(B))).toEqual({ status: 'timeout' })
    expect(clock.now()).toBe(500)
    expect(await clock.run(a.probe(B, { timeoutMs: 20 }))).toEqual({ status: 'timeout' })
    expect([clock.now(), a.snapshot().timeouts, clock.pendingTimers]).toEqual([520, 2, 0])
  })

  it('sends nine bytes with a nonce of its own each time, and answers in as many, to where they came from', async () => {
    const { clock, channel, raw } = make()
    const seen: [string, number[]][] = []
    const listener = raw(B, (from, bytes) => seen.push([from, [...bytes]]))
    const a = channel(A)
    await clock.run(a.probe(B))
    await clock.run(a.probe(B))
    listener.send(A, datagram(1))
    await clock.advanceAsync(100)
    expect(seen.map(([from, bytes]) => [from, bytes.length, bytes[0]])).toEqual([
      [A, 9, 1],
      [A, 9, 1],
      [A, 9, 2],
    ])
    const [first, second, answer] = seen.map(([, bytes]) => bytes.slice(1))
    expect(first).not.toEqual(second)
    expect(answer).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('counts an answer only with the nonce of a probe under way, from the address probed', async () => {
    const { clock, channel, raw } = make()
    let forged: Uint8Array | undefined
    const victim = raw(B, (_, bytes) => (forged = bytes))
    const stranger = raw('10.0.0.66:7000')
    const a = channel(A)
    const probe = a.probe(B)
    await clock.advanceAsync(5)
    const nonce = [...(forged ?? [])].slice(1)
    stranger.send(A, datagram(2, nonce)) // the right nonce, the wrong address
    victim.send(A, datagram(2)) // the wrong nonce
    victim.send(A, datagram(4, nonce)) // no such type
    victim.send(A, datagram(2, nonce.slice(1))) // too short
    victim.send(A, datagram(2, [...nonce, 0])) // too long
    victim.send(A, new Uint8Array())
    await clock.advanceAsync(10)
    expect(a.snapshot()).toMatchObject({ ignored: 6, pending: 1, answered: 0 })
    victim.send(A, datagram(3, nonce))
    victim.send(A, datagram(2, nonce)) // used up
    expect(await clock.run(probe)).toEqual({ status: 'busy', rttMs: 20 })
    await clock.advanceAsync(10)
    expect(a.snapshot()).toMatchObject({ ignored: 7, pending: 0, timeouts: 0 })
  })

  it('ignores an answer that comes after the time-out', async () => {
    const { clock, channel, raw } = make()
    const late = raw(B, (from, bytes) => {
      clock.setTimer(600, () => late.send(from, datagram(2, [...bytes.slice(1)])))
    })
    const a = channel(A)
    expect(await clock.run(a.probe(B))).toEqual({ status: 'timeout' })
    await clock.advanceAsync(1_000)
    expect(a.snapshot()).toMatchObject({ timeouts: 1, ignored: 1 })
  })

  it('answers at most maxAnswersPerSecond in any second', async () => {
    const { clock, channel, raw } = make()
    const answers: number[] = []
    const flood = raw(A, () => answers.push(clock.now()))
    const b = channel(B, { maxAnswersPerSecond: 50 })
    for (let i = 0; i < 3_000; i++) {
      flood.send(B, datagram(1))
      await clock.advanceAsync(1)
    }
    await clock.advanceAsync(100)
    const most = Math.max(...answers.map((at) => answers.filter((other) => other >= at && other < at + 1_000).length))
    expect(most).toBe(50)
    expect(answers.length).toBe(150)
    expect(b.snapshot()).toMatchObject({ answered: 150, ignored: 2_850 })
  })

  it('answers that it lives where isBusy throws, and reports that', async () => {
    const { clock, channel, logger } = make()
    channel(B, {
      isBusy: () => {
        throw new Error('broken')
      },
    })
    expect(await clock.run(channel(A).probe(B))).toMatchObject({ status: 'alive' })
    expect(logger.at('error')[0]).toMatchObject({ message: 'ProbeChannel.isBusy: broken' })
  })
})

describe('ProbeChannel (HL-16)', () => {
  it('sends one datagram for all who ask at the same time, each with a time limit of its own', async () => {
    const { clock, channel, raw } = make()
    const answering = raw(B, (from, bytes) => {
      clock.setTimer(100, () => answering.send(from, datagram(2, [...bytes.slice(1)])))
    })
    const a = channel(A)
    const results: ProbeResult[] = []
    for (const timeoutMs of [50, 200, 300]) void a.probe(B, { timeoutMs }).then((result) => results.push(result))
    expect(a.snapshot()).toMatchObject({ sent: 1, pending: 1 })
    await clock.advanceAsync(500)
    expect(results).toEqual([{ status: 'timeout' }, { status: 'alive', rttMs: 110 }, { status: 'alive', rttMs: 110 }])
    expect(clock.pendingTimers).toBe(0)
  })

  it('is limited by the cool-down of a target, and not by that of another', async () => {
    const { clock, channel } = make()
    channel(B)
    channel('10.0.0.3:7000')
    const a = channel(A, { targetCooldownMs: 50 })
    expect(await clock.run(a.probe(B))).toMatchObject({ status: 'alive' })
    expect(await a.probe(B)).toEqual({ status: 'limited' })
    expect(await clock.run(a.probe('10.0.0.3:7000'))).toMatchObject({ status: 'alive' })
    expect(a.snapshot()).toMatchObject({ limited: 1, targets: 2 })
    clock.advance(40)
    expect(await clock.run(a.probe(B))).toMatchObject({ status: 'alive' })
    clock.advance(1_000)
    expect(a.snapshot()).toMatchObject({ limited: 1, targets: 0, sent: 3 })
  })

  it('is limited by the rate over all targets, in any second', async () => {
    const { clock, channel } = make()
    const a = channel(A, { maxProbesPerSecond: 10, timeoutMs: 10 })
    const sentAt: number[] = []
    for (let i = 0; i < 300; i++) {
      const before = a.snapshot().sent
      void a.probe(`10.0.1.${i % 250}:7000`)
      if (a.snapshot().sent > before) sentAt.push(clock.now())
      await clock.advanceAsync(10)
    }
    expect(sentAt).toHaveLength(30)
    sentAt.forEach((at, i) => expect(at - (sentAt[i - 10] ?? -Infinity)).toBeGreaterThanOrEqual(1_000))
  })

  it('is limited by the targets under way', async () => {
    const { channel } = make()
    const a = channel(A, { maxTargets: 3 })
    const targets = Array.from({ length: 5 }, (_, i) => `10.0.1.${i}:7000`)
    const results = targets.map((target) => a.probe(target))
    expect(a.snapshot()).toMatchObject({ pending: 3, limited: 2 })
    await a.stop()
    expect((await Promise.all(results)).map(({ status }) => status)).toEqual([
      'stopped',
      'stopped',
      'stopped',
      'limited',
      'limited',
    ])
  })

  it('sends without a cool-down where that is 0', async () => {
    const { clock, channel } = make()
    channel(B)
    const a = channel(A, { targetCooldownMs: 0 })
    for (let i = 0; i < 5; i++) expect(await clock.run(a.probe(B))).toMatchObject({ status: 'alive' })
    expect(a.snapshot()).toMatchObject({ sent: 5, targets: 0 })
  })

  it('ends as aborted with its signal, before or meanwhile, and leaves no listener', async () => {
    const { clock, channel } = make()
    const a = channel(A)
    const { signal } = new AbortController()
    expect(await a.probe(B, { signal: AbortSignal.abort() })).toEqual({ status: 'aborted' })
    expect(a.snapshot().sent).toBe(0)
    const controller = new AbortController()
    const [aborted, other] = [a.probe(B, { signal: controller.signal }), a.probe(B, { signal })]
    controller.abort()
    expect(await aborted).toEqual({ status: 'aborted' })
    expect(a.snapshot().pending).toBe(1)
    expect(await clock.run(other)).toEqual({ status: 'timeout' })
    expect(getEventListeners(signal, 'abort')).toEqual([])
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    expect([a.snapshot().pending, clock.pendingTimers]).toEqual([0, 0])
  })

  it('ends all as stopped, answers nobody from then on, and leaves no timer', async () => {
    const { clock, channel } = make()
    const a = channel(A)
    const b = channel(B)
    const probe = a.probe('10.0.0.9:7000')
    await a.stop()
    await a.stop()
    expect(await probe).toEqual({ status: 'stopped' })
    expect(await a.probe(B)).toEqual({ status: 'stopped' })
    clock.advance(5) // what was sent arrives
    expect(clock.pendingTimers).toBe(0)
    expect(await clock.run(b.probe(A))).toEqual({ status: 'timeout' })
    expect(a.snapshot()).toMatchObject({ ignored: 1, answered: 0, pending: 0 })
    await b[Symbol.asyncDispose]()
  })

  it('never rejects: what cannot be sent is reported and times out', async () => {
    const { clock, channel, logger } = make()
    const a = channel(A)
    expect(await clock.run(a.probe('no address at all'))).toEqual({ status: 'timeout' })
    expect(await clock.run(a.probe(undefined as never))).toEqual({ status: 'timeout' })
    expect(await clock.run(a.probe(B, { timeoutMs: NaN }))).toEqual({ status: 'timeout' })
    expect(logger.at('error')[0]?.fields).toMatchObject({ source: 'ProbeChannel.send', to: 'no address at all' })
    expect(a.snapshot()).toMatchObject({ sent: 1, timeouts: 3 })
  })

  it('hears an answer that comes within the call of send', async () => {
    const clock = new VirtualClock()
    let handler: (from: string, bytes: Uint8Array) => void = () => {}
    const echo: DatagramTransport = {
      address: A,
      maxMessageBytes: 1_400,
      send: (to, bytes) => handler(to, datagram(2, [...bytes.slice(1)])),
      onMessage: (fn) => (handler = fn),
      close: async () => {},
    }
    const channel = new ProbeChannel({ transport: echo, clock })
    expect(await channel.probe(B)).toEqual({ status: 'alive', rttMs: 0 })
    expect([channel.snapshot().sent, clock.pendingTimers]).toEqual([1, 0])
  })

  it('refuses options out of range', () => {
    const transport = new MemoryNetwork().datagram(A)
    const refused = (options: Tuning, path: string) =>
      expect(() => new ProbeChannel({ transport, ...options })).toThrow(misconfigured(path))
    refused({ timeoutMs: 0 }, 'timeoutMs')
    refused({ maxProbesPerSecond: 0 }, 'maxProbesPerSecond')
    refused({ maxAnswersPerSecond: 0.5 }, 'maxAnswersPerSecond')
    refused({ targetCooldownMs: -1 }, 'targetCooldownMs')
    refused({ maxTargets: 0 }, 'maxTargets')
    refused({ isBusy: true as never }, 'isBusy')
    expect(() => new ProbeChannel({} as never)).toThrow(misconfigured('transport'))
  })
})
