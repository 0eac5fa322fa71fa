import { describe, expect, it, vi } from 'vitest'
import {
  assertNever,
  ClosedError,
  ConfigError,
  DecodeError,
  deepFreeze,
  HsError,
  LimitError,
  TimeoutError,
  TransportError,
} from '@hs/core'

describe('HsError (CORE-13)', () => {
  it('carries code, message, cause and frozen details', () => {
    const given = { key: 'a' }
    const cause = new Error('why')
    const error = new HsError('LEASE_LOST', 'renew earlier', { cause, details: given })
    given.key = 'changed later'
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({
      name: 'HsError',
      code: 'LEASE_LOST',
      message: 'renew earlier',
      details: { key: 'a' },
    })
    expect(error.cause).toBe(cause)
    expect(Object.isFrozen(error.details)).toBe(true)
    expect('cause' in new HsError('X', 'y')).toBe(false)
    expect(new HsError('X', 'y').details).toEqual({})
  })

  it('has its own name in the stack, as have classes derived from it', () => {
    class LeaseLostError extends HsError {}
    class NamedError extends HsError {
      override readonly name = 'Named'
    }
    class AssignedError extends HsError {
      constructor() {
        super('X', 'y')
        this.name = 'Assigned'
      }
    }
    expect(new LeaseLostError('LEASE_LOST', 'gone').stack).toMatch(/^LeaseLostError: gone\n/)
    expect(new LeaseLostError('LEASE_LOST', 'gone').name).toBe('LeaseLostError')
    expect(new NamedError('X', 'y').name).toBe('Named')
    expect(new AssignedError().name).toBe('Assigned')
    expect(Object.keys(new TimeoutError('x', 1))).not.toContain('name')
  })

  it('is recognised across two copies of the package', async () => {
    vi.resetModules()
    const other = await import('../src/errors.js')
    expect(other.HsError).not.toBe(HsError)
    const theirs = new other.LimitError('things', 3)
    expect(theirs).not.toBeInstanceOf(HsError)
    expect(HsError.is(theirs)).toBe(true)
    expect(HsError.is(theirs, 'LIMIT_EXCEEDED')).toBe(true)
    expect(HsError.is(theirs, 'CLOSED')).toBe(false)
    expect(other.HsError.is(new ClosedError('x'), 'CLOSED')).toBe(true)
  })

  it.each([
    undefined,
    null,
    'CLOSED',
    5,
    {},
    { code: 'CLOSED' },
    new Error('x'),
    Object.assign(new Error('x'), { code: 'CLOSED' }),
  ])('is not taken for %o', (value) => {
    expect(HsError.is(value)).toBe(false)
    expect(HsError.is(value, 'CLOSED')).toBe(false)
  })

  it('becomes plain data', () => {
    const cause = Object.assign(new RangeError('why'), { code: 'ERANGE' })
    expect(new HsError('A', 'b', { cause, details: { n: 1n, deep: { x: [1] } } }).toJSON()).toEqual({
      name: 'HsError',
      code: 'A',
      message: 'b',
      details: { n: '1', deep: { x: [1] } },
      cause: { name: 'RangeError', message: 'why', code: 'ERANGE' },
    })
    expect(new ClosedError('the pool').toJSON()).toEqual({
      name: 'ClosedError',
      code: 'CLOSED',
      message: 'the pool is closed',
      details: { what: 'the pool' },
    })
    expect(new HsError('A', 'b', { cause: 'text' }).toJSON().cause).toEqual({ name: 'string', message: 'text' })
    expect(new HsError('A', 'b', { cause: { odd: 1 } }).toJSON().cause).toEqual({
      name: 'object',
      message: '{"odd":1}',
    })
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    expect(JSON.stringify(new HsError('A', 'b', { details: cycle }))).toContain('[Circular]')
  })
})

describe('the errors of core', () => {
  it.each([
    [new DecodeError('bad'), 'DecodeError', 'DECODE_ERROR', 'bad', { reason: 'schema' }],
    [
      new DecodeError('bad', { reason: 'syntax', path: 'a.b' }),
      'DecodeError',
      'DECODE_ERROR',
      'bad',
      { reason: 'syntax', path: 'a.b' },
    ],
    [
      new TimeoutError('read', 50),
      'TimeoutError',
      'TIMEOUT',
      'read did not finish within 50 ms',
      { operation: 'read', timeoutMs: 50 },
    ],
    [
      new LimitError('waiters', 5),
      'LimitError',
      'LIMIT_EXCEEDED',
      'waiters: at most 5 allowed',
      { what: 'waiters', limit: 5 },
    ],
    [
      new LimitError('waiters', 5, 6),
      'LimitError',
      'LIMIT_EXCEEDED',
      'waiters: at most 5 allowed, found 6',
      { what: 'waiters', limit: 5, actual: 6 },
    ],
    [new ClosedError('queue'), 'ClosedError', 'CLOSED', 'queue is closed', { what: 'queue' }],
  ])('%s', (error, name, code, message, details) => {
    expect(error).toBeInstanceOf(HsError)
    expect(error).toMatchObject({ name, code, message, details })
  })

  it('DecodeError tells reason and path', () => {
    expect(new DecodeError('bad')).toMatchObject({ reason: 'schema' })
    expect(new DecodeError('bad').path).toBeUndefined()
    const cause = new Error('why')
    expect(new DecodeError('bad', { reason: 'depth', path: 'a', cause })).toMatchObject({
      reason: 'depth',
      path: 'a',
      cause,
    })
  })

  it('TransportError says whether the request can have run', () => {
    expect(new TransportError('CONNECTION_LOST', 'gone')).toMatchObject({ code: 'CONNECTION_LOST', notExecuted: false })
    const error = new TransportError('REMOTE_ERROR', 'no', {
      notExecuted: true,
      remoteCode: 'OVERLOADED',
      retryAfterMs: 250,
      cause: 'why',
      details: { method: 'x' },
    })
    expect(error).toMatchObject({
      name: 'TransportError',
      notExecuted: true,
      remoteCode: 'OVERLOADED',
      retryAfterMs: 250,
      cause: 'why',
      details: { method: 'x' },
    })
    expect(Object.keys(new TransportError('CLOSED', 'x'))).not.toContain('remoteCode')
  })

  it('assertNever throws with the value it was given', () => {
    expect(() => assertNever({ kind: 'new' } as never)).toThrow('{"kind":"new"}')
    expect(() => assertNever('x' as never)).toThrow(expect.objectContaining({ code: 'UNREACHABLE' }))
  })
})

describe('ConfigError', () => {
  it('names owner, path, what was expected and what was found, of every issue', () => {
    const error = new ConfigError('Pool', [
      { path: 'size', message: 'expected > 0', value: -1 },
      { path: '', message: 'expected an object', value: undefined },
      { path: 'list', message: 'expected fewer', value: Array.from({ length: 1_000 }, () => 'long') },
    ])
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toMatch(
      /^Pool: size: expected > 0, found -1; \(options\): expected an object, found undefined; list: /,
    )
    expect(error.message.length).toBeLessThan(400)
    expect(error.issues).toHaveLength(3)
    expect(error.details).toEqual({ owner: 'Pool', issues: error.issues })
    expect(Object.isFrozen(error.issues)).toBe(true)
  })

  it.each(['apiKey', 'tls.password', 'clientSecret', 'TOKEN', 'auth.credentials.0'])('redacts %s', (path) => {
    const error = new ConfigError('Pool', [{ path, message: 'hunter2 is too short', value: 'hunter2' }])
    expect(error.message).toBe(`Pool: ${path}: [redacted] is too short, found [redacted]`)
    expect(error.issues).toEqual([{ path, message: '[redacted] is too short', value: '[redacted]' }])
    expect(JSON.stringify([error.details, error.toJSON(), error.stack])).not.toContain('hunter2')
  })

  it('redacts below the value of an issue about the whole', () => {
    class Credentials {
      readonly user = 'hunter2'
    }
    const value = { host: 'h', tls: [{ password: 'hunter2' }], token: 'hunter2', auth: new Credentials() }
    const error = new ConfigError('Pool', [{ path: '', message: 'bad', value }])
    expect(error.issues[0]!.value).toEqual({
      host: 'h',
      tls: [{ password: '[redacted]' }],
      token: '[redacted]',
      auth: '[Credentials]',
    })
    expect(JSON.stringify([error.message, error.details])).not.toContain('hunter2')
  })

  it('survives getters that throw and values without a bottom', () => {
    const value: Record<string, unknown> = {
      get broken(): string {
        throw new Error('no access')
      },
    }
    value['self'] = value
    expect(new ConfigError('Pool', [{ path: 'a', message: 'bad', value }]).message).toContain('no access')
  })
})

describe('deepFreeze', () => {
  it('freezes plain objects and arrays all the way down, in place', () => {
    const value = { a: [{ b: 1 }], none: null, text: 'x' }
    expect(deepFreeze(value)).toBe(value)
    expect([value, value.a, value.a[0]].every(Object.isFrozen)).toBe(true)
    expect(deepFreeze(5)).toBe(5)
  })

  it('goes on below what is frozen already', () => {
    const value = Object.freeze({ list: Object.freeze([{ b: 1 }]), inner: { c: {} } })
    deepFreeze(value)
    expect([value.list[0], value.inner, value.inner.c].every(Object.isFrozen)).toBe(true)
  })

  it('goes through what is shared a few times at most', () => {
    let shared: object = {}
    for (let i = 0; i < 60; i++) shared = { left: shared, right: shared } // 2^60 paths
    expect(Object.isFrozen(deepFreeze(shared))).toBe(true)
  })

  it('leaves other objects alone and ends on cycles', () => {
    const map = new Map()
    const value: Record<string, unknown> = {
      map,
      bytes: new Uint8Array(1),
      bare: Object.assign(Object.create(null), { x: {} }),
    }
    value['self'] = value
    deepFreeze(value)
    expect(Object.isFrozen(map)).toBe(false)
    expect(Object.isFrozen((value['bare'] as { x: object }).x)).toBe(true)
  })
})
