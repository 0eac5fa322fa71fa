import { describe, expect, it, vi } from 'vitest'
import { HsError, TransportError, type RpcCall } from '@hs/core'
import { MemoryLogger, MemoryNetwork, VirtualClock } from '@hs/core/testing'

function setup(latencyMs = 0) {
  const clock = new VirtualClock()
  const logger = new MemoryLogger()
  const network = new MemoryNetwork({ clock, logger, latencyMs })
  return { clock, logger, network }
}

const bytes = (...values: number[]) => Uint8Array.from(values)

describe('MemoryNetwork: datagrams (CORE-35)', () => {
  it('delivers without time passing by default, after the code that sent', async () => {
    const { clock, network } = setup()
    const [a, b] = [network.datagram('a:1'), network.datagram('b:1')]
    const seen: string[] = []
    b.onMessage((from, message) => seen.push(`${from} ${String(message)}`))
    a.send('b:1', bytes(1, 2))
    seen.push('sent')
    await Promise.resolve()
    expect(seen).toEqual(['sent', 'a:1 1,2'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('delivers after latencyMs, in order, also when time is advanced synchronously', () => {
    const { clock, network } = setup(25)
    const [a, b] = [network.datagram('a:1'), network.datagram('b:1')]
    const seen: string[] = []
    b.onMessage((_from, message) => seen.push(`${String(message)} at ${clock.now()}`))
    for (const value of [1, 2, 3]) a.send('b:1', bytes(value))
    clock.advance(24)
    expect(seen).toEqual([])
    clock.advance(1)
    expect(seen).toEqual(['1 at 25', '2 at 25', '3 at 25'])
  })

  it('reports what a handler throws or rejects with, and goes on', async () => {
    const { clock, network, logger } = setup()
    const [a, b] = [network.datagram('a:1'), network.datagram('b:1')]
    let calls = 0
    const handlers: ((() => void) | (() => Promise<void>))[] = [
      () => {
        throw new Error('thrown')
      },
      () => Promise.reject(new Error('rejected')),
      () => undefined,
    ]
    // Typed to return nothing, as a handler is that its author forgot to be async.
    const onMessage = (() => handlers[calls++]?.()) as () => undefined
    b.onMessage(onMessage)
    for (let i = 0; i < 3; i++) a.send('b:1', bytes(i))
    await clock.advanceAsync(0)
    expect(calls).toBe(3)
    expect(logger.at('error').map((entry) => (entry.fields['err'] as Error).message)).toEqual(['thrown', 'rejected'])
    expect(logger.entries[0]?.fields).toMatchObject({ address: 'b:1', source: 'MemoryNetwork.onMessage' })
  })

  it('gives an address to one holder at a time', async () => {
    const { network, clock } = setup()
    const a = network.datagram('a:1')
    network.rpc('a:1')
    for (const taken of [() => network.datagram('a:1'), () => network.rpc('a:1')])
      expect(taken).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    await a.close()
    const again = network.datagram('a:1')
    await a.close()
    let got = 0
    again.onMessage(() => got++)
    again.send('a:1', bytes(1))
    await clock.advanceAsync(0)
    expect(got).toBe(1)
  })

  it('takes any text without white space as an address, and knows it after it closed', async () => {
    const { network, clock } = setup()
    for (const bad of ['', 'a b', 'x'.repeat(256), undefined])
      expect(() => network.datagram(bad as string)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    const [a, b] = [network.datagram('a'), network.datagram('b')]
    let got = 0
    b.onMessage(() => got++)
    a.send('b', bytes(1))
    await clock.advanceAsync(0)
    await b.close()
    a.send('b', bytes(1))
    expect(() => a.send('c', bytes(1))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    await clock.advanceAsync(0)
    expect(got).toBe(1)
  })

  it('refuses options that it does not know or cannot use', () => {
    for (const options of [{ latencyMs: -1 }, { latencyMs: Infinity }, { latency: 1 }, { clock: {} }])
      expect(() => new MemoryNetwork(options as object)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })

  it('runs on the real clock by default', async () => {
    const network = new MemoryNetwork({ latencyMs: 1 })
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    b.handle('echo', (body) => body)
    expect(await a.request('b:1', 'echo', bytes(7))).toEqual(bytes(7))
  })
})

describe('MemoryNetwork: RPC (CORE-35)', () => {
  it('shows a handler the address of the caller, no nodeId, protocol 1.0 and no features', async () => {
    const { network } = setup()
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    let identity: unknown
    b.handle('m', (body, from) => {
      identity = from
      return body
    })
    await a.request('b:1', 'm', bytes())
    expect(identity).toEqual({
      address: 'a:1',
      nodeId: '',
      encrypted: false,
      protocol: { major: 1, minor: 0 },
      features: [],
    })
    expect(Object.isFrozen(identity)).toBe(true)
  })

  it('takes latencyMs each way', async () => {
    const { network, clock } = setup(10)
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    const seen: number[] = []
    b.handle('m', async (body, _from, call) => {
      seen.push(clock.now(), call.remainingMs())
      await clock.sleep(5)
      return body
    })
    await clock.run(a.request('b:1', 'm', bytes(), { timeoutMs: 100 }))
    expect(seen).toEqual([10, 90])
    expect(clock.now()).toBe(25)
    expect(clock.pendingTimers).toBe(0)
  })

  it('answers on a clock that stands still', async () => {
    const { network, clock } = setup()
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    b.handle('m', (body) => body)
    expect(await a.request('b:1', 'm', bytes(1))).toEqual(bytes(1))
    await expect(a.request('c:1', 'm', bytes(1))).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
    expect(clock.now()).toBe(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it('has a deadline of 30 seconds when none is given', async () => {
    const { network, clock } = setup()
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    b.handle('m', () => new Promise(() => undefined))
    await expect(clock.run(a.request('b:1', 'm', bytes()))).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      notExecuted: false,
    })
    expect(clock.now()).toBe(30_000)
  })

  it('refuses deadlines that are none', async () => {
    const { network } = setup()
    const a = network.rpc('a:1')
    for (const timeoutMs of [-1, NaN, Infinity])
      await expect(a.request('b:1', 'm', bytes(), { timeoutMs })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        notExecuted: true,
      })
  })

  it('tells the handler why nobody waits any more', async () => {
    const reasons: unknown[] = []
    for (const end of ['deadline', 'abort', 'caller closes', 'server closes'] as const) {
      const { network, clock } = setup(3)
      const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
      let served: RpcCall | undefined
      let abortedAt: number | undefined
      b.handle('m', (_body, _from, call) => {
        served = call
        call.signal.addEventListener('abort', () => (abortedAt = clock.now()))
        return new Promise(() => undefined)
      })
      const controller = new AbortController()
      const request = a.request('b:1', 'm', bytes(), { timeoutMs: 20, signal: controller.signal })
      const outcome = request.catch((error: unknown) => error)
      await clock.advanceAsync(10)
      if (end === 'abort') controller.abort(new Error('secret'))
      if (end === 'caller closes') await a.close()
      if (end === 'server closes') await b.close()
      await clock.advanceAsync(30)
      reasons.push([((await outcome) as HsError).code, (served?.signal.reason as HsError).code, abortedAt])
      expect(String((served?.signal.reason as Error).cause)).not.toContain('secret')
      expect(served?.remainingMs()).toBe(0)
      expect(clock.pendingTimers).toBe(0)
    }
    expect(reasons).toEqual([
      ['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 23],
      ['CANCELLED', 'CANCELLED', 13],
      ['CLOSED', 'CLOSED', 13],
      ['CONNECTION_LOST', 'CLOSED', 10],
    ])
  })

  it('gives a signal that is aborted to a handler that asks for it late', async () => {
    const { network, clock } = setup()
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    let served: RpcCall | undefined
    b.handle('m', (_body, _from, call) => {
      served = call
      return new Promise(() => undefined)
    })
    const outcome = a.request('b:1', 'm', bytes(), { timeoutMs: 5 }).catch((error: unknown) => error)
    await clock.advanceAsync(10)
    expect(served?.signal.aborted).toBe(true)
    expect(served?.signal.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(await outcome).toBeInstanceOf(TransportError)
  })

  it('does not run a request whose caller gave up before it arrived', async () => {
    const { network, clock } = setup(50)
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    let runs = 0
    b.handle('m', (body) => {
      runs++
      return body
    })
    await expect(clock.run(a.request('b:1', 'm', bytes(), { timeoutMs: 20 }))).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    })
    await clock.advanceAsync(200)
    expect(runs).toBe(0)
  })

  it('leaves no listener on the signal of a request, however it ends', async () => {
    const { network, clock } = setup()
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    b.handle('m', (body) => body)
    b.handle('stuck', () => new Promise(() => undefined))
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, 'addEventListener')
    const removed = vi.spyOn(signal, 'removeEventListener')
    await a.request('b:1', 'm', bytes(), { signal })
    await a.request('b:1', 'unknown', bytes(), { signal }).catch((error: unknown) => error)
    await clock.run(a.request('b:1', 'stuck', bytes(), { signal, timeoutMs: 5 }).catch((error: unknown) => error))
    expect(added).toHaveBeenCalledTimes(3)
    expect(removed).toHaveBeenCalledTimes(3)
  })

  it('logs what a handler threw if that is no HsError, and says nothing of it to the caller', async () => {
    const { network, logger } = setup()
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    b.handle('bug', () => {
      throw new TypeError('undefined is not a function')
    })
    b.handle('refusal', () => {
      throw new HsError('NO', 'x'.repeat(5_000))
    })
    b.handle('nothing', () => undefined as never)
    await expect(a.request('b:1', 'bug', bytes())).rejects.toMatchObject({
      code: 'REMOTE_ERROR',
      message: expect.not.stringContaining('undefined') as string,
    })
    const refusal = await a.request('b:1', 'refusal', bytes()).catch((error: unknown) => error)
    expect((refusal as TransportError).message.length).toBe(1_024)
    await expect(a.request('b:1', 'nothing', bytes())).rejects.toMatchObject({ code: 'REMOTE_ERROR' })
    expect(logger.at('error').map((entry) => entry.fields['method'])).toEqual(['bug', 'nothing'])
  })

  it('carries no retryAfterMs that is no number', async () => {
    const { network } = setup()
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    for (const retryAfterMs of ['5', NaN, Infinity]) {
      b.handle('m', () => {
        throw new HsError('NO', 'no', { details: { retryAfterMs } })
      })
      const error = await a.request('b:1', 'm', bytes()).catch((thrown: unknown) => thrown)
      expect((error as TransportError).retryAfterMs).toBeUndefined()
    }
  })

  it('loses notifications to nobody, and logs what their handlers throw', async () => {
    const { network, logger, clock } = setup()
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    const remaining: number[] = []
    b.handle('m', (_body, _from, call) => {
      remaining.push(call.remainingMs())
      throw new HsError('NO', 'no')
    })
    await a.notify('nobody:1', 'm', bytes())
    await a.notify('b:1', 'unknown', bytes())
    await a.notify('b:1', 'm', bytes())
    await clock.advanceAsync(0)
    expect(remaining).toEqual([30_000])
    expect(logger.at('error').length).toBe(1)
  })

  it('aborts the signal of a notification when its transport closes', async () => {
    const { network, clock } = setup()
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    let served: RpcCall | undefined
    b.handle('m', (_body, _from, call) => {
      served = call
      return new Promise(() => undefined)
    })
    await a.notify('b:1', 'm', bytes())
    await clock.advanceAsync(0)
    expect(served?.signal.aborted).toBe(false)
    await b.close()
    expect(served?.signal.aborted).toBe(true)
  })

  it('keeps order for requests and notifications of one caller', async () => {
    const { network, clock } = setup(5)
    const [a, b] = [network.rpc('a:1'), network.rpc('b:1')]
    const seen: number[] = []
    b.handle('m', (body) => {
      seen.push(body[0] ?? -1)
      return body
    })
    const sent: Promise<unknown>[] = []
    for (let i = 0; i < 20; i++)
      sent.push(i % 2 === 0 ? a.request('b:1', 'm', bytes(i)) : a.notify('b:1', 'm', bytes(i)))
    await clock.run(Promise.all(sent))
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i))
  })
})
