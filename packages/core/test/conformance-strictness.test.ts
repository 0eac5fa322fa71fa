/** The suites must find what is wrong: each flaw here is one that an implementation might have. */
import { describe, expect, it } from 'vitest'
import { HsError, TransportError, type DatagramTransport, type Disk, type DiskFile, type RpcTransport } from '@hs/core'
import {
  datagramConformance,
  diskConformance,
  MemoryDisk,
  MemoryLogger,
  MemoryNetwork,
  rpcConformance,
  VirtualClock,
  type ConformanceCase,
} from '@hs/core/testing'

/** The names of the cases that fail. */
async function failing(cases: readonly ConformanceCase[]): Promise<string[]> {
  const names: string[] = []
  for (const { name, run } of cases) {
    try {
      await run()
    } catch {
      names.push(name)
    }
  }
  return names
}

type Flaw<T> = (inner: T) => Partial<T>

/** `inner` with some of its members replaced. */
function flawed<T extends object>(inner: T, flaw: Flaw<T>): T {
  const replaced = flaw(inner)
  return new Proxy(inner, {
    get(target, key) {
      if (key in replaced) return (replaced as Record<PropertyKey, unknown>)[key]
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value
    },
  })
}

function network() {
  const clock = new VirtualClock()
  const net = new MemoryNetwork({ clock, latencyMs: 2, logger: new MemoryLogger() })
  return { clock, net, settle: () => clock.advanceAsync(50), close: async () => undefined }
}

describe('datagramConformance finds', () => {
  const flaws: Record<string, Flaw<DatagramTransport>> = {
    'a sender that does not copy': (inner) => {
      const waiting: (() => void)[] = []
      return {
        send: (to, bytes) => {
          // Misuse is found at once, the rest is read late.
          inner.send(to, new Uint8Array(bytes.length > inner.maxMessageBytes ? bytes.length : 0))
          waiting.push(() => inner.send(to, bytes))
          queueMicrotask(() => waiting.shift()?.())
        },
        onMessage: (fn) => inner.onMessage((from, bytes) => (bytes.length > 0 ? fn(from, bytes) : undefined)),
      }
    },
    'messages that come twice': (inner) => ({
      send: (to, bytes) => {
        inner.send(to, bytes)
        inner.send(to, bytes)
      },
    }),
    'one buffer for all that is received': (inner) => {
      const shared = new Uint8Array(70_000)
      return {
        onMessage: (fn) =>
          inner.onMessage((from, bytes) => {
            shared.set(bytes)
            fn(from, shared.subarray(0, bytes.length))
          }),
      }
    },
    'messages that are cut': (inner) => ({ send: (to, bytes) => inner.send(to, bytes.subarray(0, 60_000)) }),
    'a wrong limit': (inner) => ({ maxMessageBytes: inner.maxMessageBytes - 1 }),
    'handlers that add up': (inner) => {
      const handlers: ((from: string, bytes: Uint8Array) => void)[] = []
      inner.onMessage((from, bytes) => {
        for (const handler of handlers) handler(from, bytes)
      })
      return { onMessage: (fn) => void handlers.push(fn) }
    },
    'a wrong sender': (inner) => ({
      onMessage: (fn) => inner.onMessage((_from, bytes) => fn('somebody:1', bytes)),
    }),
    'empty messages that are lost': (inner) => ({
      send: (to, bytes) => (bytes.length > 0 ? inner.send(to, bytes) : undefined),
    }),
    'misuse that is not told': (inner) => ({
      send: (to, bytes) => {
        try {
          inner.send(to, bytes)
        } catch (error) {
          if (!HsError.is(error, 'INVALID_ARGUMENT')) throw error
        }
      },
    }),
    'an end that does not end': () => ({ close: async () => undefined }),
    'noise about absent receivers': (inner) => ({
      send: (to, bytes) => {
        if (to.startsWith('gone')) throw new TransportError('CONNECT_FAILED', 'nobody there')
        inner.send(to, bytes)
      },
    }),
  }

  it.each(Object.entries(flaws))('%s', async (_name, flaw) => {
    const cases = datagramConformance(async () => {
      const { net, ...fixture } = network()
      return { ...fixture, create: async (name) => flawed(net.datagram(`${name}:1`), flaw) }
    })
    expect(await failing(cases)).not.toEqual([])
  })
})

describe('rpcConformance finds', () => {
  /** Changes the error that a request rejects with. */
  const rejecting =
    (change: (error: TransportError) => unknown): Flaw<RpcTransport> =>
    (inner) => ({
      request: async (to, method, body, options) => {
        try {
          return await inner.request(to, method, body, options)
        } catch (error) {
          throw change(error as TransportError)
        }
      },
    })
  const recode = (from: string, error: TransportError, options: object) =>
    error.code === from
      ? new TransportError(error.code, error.message, { ...error, cause: error.cause, ...options })
      : error

  const flaws: Record<string, Flaw<RpcTransport>> = {
    'a caller that does not copy': (inner) => ({
      request: async (to, method, body, options) => {
        await Promise.resolve()
        return inner.request(to, method, body, options)
      },
    }),
    'a notification that is not copied': (inner) => ({
      notify: async (to, method, body) => {
        await Promise.resolve()
        return inner.notify(to, method, body)
      },
    }),
    'a body that is still the transport’s': (inner) => {
      const shared = new Uint8Array(70_000)
      return {
        handle: (method, fn) =>
          inner.handle(method, (body, from, call) => {
            shared.set(body)
            return fn(shared.subarray(0, body.length), from, call)
          }),
      }
    },
    'handlers that cannot be replaced': (inner) => {
      const known = new Set<string>()
      return {
        handle: (method, fn) => {
          if (known.has(method)) return
          known.add(method)
          inner.handle(method, fn)
        },
      }
    },
    'handlers that run one after the other': (inner) => {
      let last: Promise<unknown> = Promise.resolve()
      return {
        handle: (method, fn) =>
          inner.handle(method, (body, from, call) => {
            const next = last.then(() => fn(body, from, call))
            last = next.catch((error: unknown) => error)
            return next
          }),
      }
    },
    'an unknown method that may have run': rejecting((error) =>
      recode('UNKNOWN_METHOD', error, { notExecuted: false }),
    ),
    'a remote error that cannot have run': rejecting((error) => recode('REMOTE_ERROR', error, { notExecuted: true })),
    'a remote error without its code': rejecting((error) => recode('REMOTE_ERROR', error, { remoteCode: undefined })),
    'a remote error without its retryAfterMs': rejecting((error) =>
      recode('REMOTE_ERROR', error, { retryAfterMs: undefined }),
    ),
    'internals that cross the wire': (inner) => ({
      handle: (method, fn) =>
        inner.handle(method, async (body, from, call) => {
          try {
            return await fn(body, from, call)
          } catch (error) {
            throw HsError.is(error) ? error : new HsError('INTERNAL', String(error))
          }
        }),
    }),
    'a handler that never hears of the end': (inner) => ({
      handle: (method, fn) =>
        inner.handle(method, (body, from, call) =>
          fn(body, from, { signal: new AbortController().signal, remainingMs: () => call.remainingMs() }),
        ),
    }),
    'time left that never ends': (inner) => ({
      handle: (method, fn) =>
        inner.handle(method, (body, from, call) => fn(body, from, { signal: call.signal, remainingMs: () => 50 })),
    }),
    'no deadline by default': (inner) => ({
      request: (to, method, body, options) => inner.request(to, method, body, { timeoutMs: 1e9, ...options }),
    }),
    'a cancel without its reason': rejecting((error) =>
      error.code === 'CANCELLED'
        ? new TransportError('CANCELLED', 'cancelled', { notExecuted: error.notExecuted })
        : error,
    ),
    'a cancel as the platform makes it': rejecting((error) => (error.code === 'CANCELLED' ? error.cause : error)),
    'a signal that is looked at too late': (inner) => ({
      request: (to, method, body, options) =>
        inner.request(to, method, body, { ...options, signal: undefined as never }),
    }),
    'nobody there, may have run': rejecting((error) => recode('CONNECT_FAILED', error, { notExecuted: false })),
    'a lost connection that cannot have run': rejecting((error) =>
      recode('CONNECTION_LOST', error, { notExecuted: true }),
    ),
    'misuse that is not told': (inner) => ({
      notify: (to, method, body) =>
        inner.notify(to, method, body).catch((error: unknown) => {
          if (!HsError.is(error, 'INVALID_ARGUMENT')) throw error
        }),
    }),
    'an end that does not end': () => ({ close: async () => undefined }),
    'a notification that answers': (inner) => ({
      notify: (to, method, body) => inner.request(to, method, body) as never,
    }),
    'an address that does not lead back': (inner) => ({
      handle: (method, fn) =>
        inner.handle(method, (body, from, call) => fn(body, { ...from, address: 'nowhere:1' }, call)),
    }),
    'no identity': (inner) => ({
      handle: (method, fn) => inner.handle(method, (body, _from, call) => fn(body, {} as never, call)),
    }),
  }

  it.each(Object.entries(flaws))('%s', async (_name, flaw) => {
    const cases = rpcConformance(async () => {
      const { net, ...fixture } = network()
      return { ...fixture, create: async (name) => flawed(net.rpc(`${name}:1`), flaw) }
    })
    expect(await failing(cases)).not.toEqual([])
  })
})

describe('diskConformance finds', () => {
  const files =
    (flaw: Flaw<DiskFile>): Flaw<Disk> =>
    (inner) => ({ open: async (name, options) => flawed(await inner.open(name, options), flaw) })

  const flaws: Record<string, Flaw<Disk>> = {
    'a file that is always created': (inner) => ({ open: (name) => inner.open(name, { create: true }) }),
    'a file that is emptied when created': (inner) => ({
      open: async (name, options) => {
        const file = await inner.open(name, options)
        if (options?.create === true) await file.truncate(0)
        return file
      },
    }),
    'another code for a missing file': (inner) => ({
      open: (name, options) =>
        inner.open(name, options).catch((error: unknown) => {
          throw HsError.is(error, 'ENOENT') ? new HsError('NOT_FOUND', 'none') : error
        }),
    }),
    'a list without order': (inner) => ({ list: async () => (await inner.list()).reverse() }),
    'a lock that is listed': (inner) => {
      let locked = false
      return {
        list: async () => (locked ? [...(await inner.list()), 'lock'] : inner.list()),
        lock: async () => {
          locked = true
          const release = await inner.lock()
          return async () => {
            locked = false
            await release()
          }
        },
      }
    },
    'a rename that keeps the old name': (inner) => ({
      rename: async (from, to) => {
        await inner.rename(from, to)
        await (await inner.open(from, { create: true })).close()
      },
    }),
    'a rename that replaces nothing': (inner) => ({
      rename: async (from, to) => {
        if ((await inner.list()).includes(to)) throw new HsError('EEXIST', 'there')
        await inner.rename(from, to)
      },
    }),
    'a removal that wants to find something': (inner) => ({
      remove: async (name) => {
        if (!(await inner.list()).includes(name)) throw new HsError('ENOENT', 'none')
        await inner.remove(name)
      },
    }),
    'names that are not looked at': (inner) => ({
      open: (name, options) => inner.open(name.replace(/[^A-Za-z0-9._-]/g, '_') || '_', options),
    }),
    'a lock that anyone gets': () => ({ lock: async () => async () => undefined }),
    'a lock that is never released': (inner) => ({
      lock: async () => {
        await inner.lock()
        return async () => undefined
      },
    }),
    'a release that works twice': (inner) => {
      let held: (() => Promise<void>) | undefined
      return {
        lock: async () => {
          held = await inner.lock()
          return async () => held?.()
        },
      }
    },
    'a read that is padded': files((file) => ({
      read: async (offset, length) => {
        const padded = new Uint8Array(length)
        padded.set(await file.read(offset, length))
        return padded
      },
    })),
    'a write that appends': files((file) => ({
      write: async (_offset, bytes) => file.write(await file.size(), bytes),
    })),
    'a write that is not there yet': files((file) => {
      let waiting: (() => Promise<void>) | undefined
      return {
        write: async (offset, bytes) => {
          const copy = bytes.slice()
          if (offset < 0 || !Number.isSafeInteger(offset)) return file.write(offset, bytes)
          waiting = () => file.write(offset, copy)
        },
        sync: async () => {
          await waiting?.()
          await file.sync()
        },
      }
    }),
    'a gap of garbage': files((file) => ({
      write: async (offset, bytes) => {
        const size = Number.isSafeInteger(offset) ? await file.size() : offset
        if (offset > size) await file.write(size, new Uint8Array(offset - size).fill(7))
        await file.write(offset, bytes)
      },
    })),
    'a truncate that only shortens': files((file) => ({
      truncate: async (size) => {
        if (!(size >= (await file.size()))) await file.truncate(size)
      },
    })),
    'a closed file that can be read': files(() => ({ close: async () => undefined })),
  }

  it.each(Object.entries(flaws))('%s', async (_name, flaw) => {
    const cases = diskConformance(async () => ({
      create: async () => flawed<Disk>(new MemoryDisk(), flaw),
      settle: async () => undefined,
      close: async () => undefined,
    }))
    expect(await failing(cases)).not.toEqual([])
  })
})
