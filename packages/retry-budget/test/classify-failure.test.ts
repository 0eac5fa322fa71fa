import { HsError, TimeoutError, TransportError, type TransportErrorCode } from '@hs/core'
import { VirtualClock } from '@hs/core/testing'
import { classifyFailure, parseRetryAfter, type Failure } from '@hs/retry-budget'
import { describe, expect, it } from 'vitest'

const NOW = Date.UTC(2026, 0, 1)
const transient = { kind: 'transient' } as const
const throttled = { kind: 'throttled' } as const
const permanent = { kind: 'permanent' } as const
const notExecuted = true as const

const coded = (code: string, more: object = {}) => Object.assign(new Error(code), { code, ...more })
const named = (name: string) => Object.assign(new Error(name), { name })
const response = (status: number, headers: Record<string, string> = {}) => new Response(null, { status, headers })
const wrapped = (error: unknown, times = 1): unknown =>
  times === 0 ? error : new Error('wrapped', { cause: wrapped(error, times - 1) })

describe('classifyFailure (RB-1..3)', () => {
  const table: [what: string, error: unknown, expected: Failure][] = [
    ['retryable: false', { retryable: false, status: 503 }, permanent],
    ['retryable: true', { retryable: true }, transient],
    ['retryable: true on a 404', { retryable: true, status: 404 }, permanent],
    ['an AbortError', new DOMException('stop', 'AbortError'), permanent],
    ['a TimeoutError of the platform', new DOMException('late', 'TimeoutError'), transient],
    ['a TimeoutError of core', new TimeoutError('call', 5), transient],
    ['a renamed TimeoutError of core', Object.assign(new TimeoutError('call', 5), { name: 'a' }), transient],
    ['a hint', { retryAfterMs: 250 }, { ...throttled, retryAfterMs: 250 }],
    ['a hint of 0', { retryAfterMs: 0 }, { ...throttled, retryAfterMs: 0 }],
    ['a negative hint', { retryAfterMs: -1, status: 500 }, transient],
    ['a hint that is no number', { retryAfterMs: '5' }, permanent],
    ['an abort that has a hint', Object.assign(named('AbortError'), { retryAfterMs: 5 }), permanent],
    ['429', response(429), throttled],
    ['429 with Retry-After', response(429, { 'retry-after': '2' }), { ...throttled, retryAfterMs: 2_000 }],
    ['503', response(503), transient],
    ['503 with Retry-After', response(503, { 'retry-after': '0' }), { ...throttled, retryAfterMs: 0 }],
    [
      '503 with a date',
      response(503, { 'retry-after': new Date(NOW + 5_000).toUTCString() }),
      { ...throttled, retryAfterMs: 5_000 },
    ],
    ['503 with a bad Retry-After', response(503, { 'retry-after': 'soon' }), transient],
    ['503 with a negative Retry-After', response(503, { 'retry-after': '-5' }), transient],
    ...[408, 425, 500, 502, 504].map((status): [string, unknown, Failure] => [
      `${status}`,
      response(status),
      transient,
    ]),
    ...[400, 401, 404, 409, 422].map((status): [string, unknown, Failure] => [
      `${status}`,
      response(status),
      permanent,
    ]),
    ['501', response(501), permanent],
    ['a statusCode', { statusCode: 502 }, transient],
    ['plain headers', { statusCode: 429, headers: { 'retry-after': '1' } }, { ...throttled, retryAfterMs: 1_000 }],
    ['a status that is text', { status: '503' }, permanent],
    ['TypeError', new TypeError('x is not a function'), permanent],
    ['an unknown code', coded('ENOENT'), permanent],
    ['undefined', undefined, permanent],
    ['null', null, permanent],
    ['text', 'ECONNRESET', permanent],
    ['notExecuted', { notExecuted: true, retryable: true }, { ...transient, notExecuted }],
    ['notExecuted alone', { notExecuted: true }, { ...permanent, notExecuted }],
    ['notExecuted that is not true', { notExecuted: 1, retryable: true }, transient],
  ]
  it.each(table)('%s', (_, error, expected) => {
    expect(classifyFailure(error, NOW)).toEqual(expected)
  })

  const byCode: [TransportErrorCode, Failure][] = [
    ['CANCELLED', permanent],
    ['UNKNOWN_METHOD', permanent],
    ['MESSAGE_TOO_LARGE', permanent],
    ['PEER_REJECTED', permanent],
    ['INVALID_ARGUMENT', permanent],
    ['CLOSED', permanent],
    ['REMOTE_ERROR', permanent],
    ['RESOURCE_EXHAUSTED', throttled],
    ['QUEUE_FULL', throttled],
    ['POOL_EXHAUSTED', throttled],
    ['CONNECTION_LOST', transient],
    ['DEADLINE_EXCEEDED', transient],
    ['CONNECT_FAILED', { ...transient, notExecuted }],
  ]
  it.each(byCode)('code %s of a transport', (code, expected) => {
    expect(classifyFailure(new TransportError(code, 'failed'))).toEqual(expected)
  })

  it('takes the time to the next dial as a hint, but not as throttling', () => {
    const error = new TransportError('CONNECT_FAILED', 'refused', { retryAfterMs: 300 })
    expect(classifyFailure(error)).toEqual({ ...transient, retryAfterMs: 300, notExecuted })
  })

  it('keeps the hint of a peer that is exhausted', () => {
    const error = new TransportError('RESOURCE_EXHAUSTED', 'busy', { retryAfterMs: 300 })
    expect(classifyFailure(error)).toEqual({ ...throttled, retryAfterMs: 300 })
  })

  it.each(['CANCELLED', 'INVALID_ARGUMENT', 'CLOSED'] as const)('lets no hint mend %s', (code) => {
    expect(classifyFailure(new TransportError(code, 'no', { retryAfterMs: 5 }))).toEqual(permanent)
  })

  const network = ['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN']
  const undici = ['UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']
  it.each([...network, ...undici])('%s is transient', (code) => {
    expect(classifyFailure(coded(code))).toEqual(transient)
  })

  it.each(['ECONNREFUSED', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'])('%s cannot have run', (code) => {
    expect(classifyFailure(coded(code))).toEqual({ ...transient, notExecuted })
    expect(classifyFailure(wrapped(coded(code)))).toEqual({ ...transient, notExecuted })
  })

  it('judges by the first of the causes that says something, five links deep', () => {
    expect(classifyFailure(wrapped(coded('EPIPE'), 4))).toEqual(transient)
    expect(classifyFailure(wrapped(coded('EPIPE'), 5))).toEqual(permanent)
    expect(classifyFailure(coded('EPIPE', { cause: named('AbortError') }))).toEqual(transient)
    expect(classifyFailure(wrapped(named('AbortError')))).toEqual(permanent)
    expect(classifyFailure(coded('ECONNRESET', { cause: coded('ECONNREFUSED') }))).toEqual(transient)
    expect(classifyFailure(Object.assign(new Error('outer', { cause: coded('EPIPE') }), { notExecuted }))).toEqual({
      ...transient,
      notExecuted,
    })
  })

  it('ends on a cycle of causes', () => {
    const error = new Error('self')
    error.cause = error
    expect(classifyFailure(error)).toEqual(permanent)
  })

  it('takes an error that throws when it is read as permanent', () => {
    const hostile = {
      get code(): string {
        throw new Error('no')
      },
    }
    expect(classifyFailure(hostile)).toEqual(permanent)
  })

  it('reads the time of the machine for a date if none is given', () => {
    const past = response(503, { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' })
    expect(classifyFailure(past)).toEqual({ ...throttled, retryAfterMs: 0 })
  })

  it('knows errors of this library of another copy of it by their code', () => {
    const foreign = Object.assign(new HsError('TIMEOUT', 'late'), { name: 'x' })
    expect(classifyFailure(foreign)).toEqual(transient)
    expect(classifyFailure(coded('TIMEOUT'))).toEqual(permanent)
  })
})

describe('parseRetryAfter (RB-4)', () => {
  const at = Date.UTC(1994, 10, 6, 8, 49, 37)
  const table: [string | null | undefined, wallNow: number, expected: number | undefined][] = [
    ['0', NOW, 0],
    ['120', NOW, 120_000],
    [' 7 ', NOW, 7_000],
    ['604800', NOW, 604_800_000],
    ['Sun, 06 Nov 1994 08:49:37 GMT', at - 1_500, 1_500],
    ['Sunday, 06-Nov-94 08:49:37 GMT', at - 1_500, 1_500],
    ['Sun Nov  6 08:49:37 1994', at - 1_500, 1_500],
    ['Sun, 06 Nov 1994 08:49:37 GMT', at + 1, 0],
    ['Tue, 29 Feb 2028 00:00:00 GMT', Date.UTC(2028, 1, 28), 86_400_000],
    ['Sat, 31 Dec 2016 23:59:60 GMT', Date.UTC(2016, 11, 31, 23, 59, 59), 1_000],
    ['Saturday, 01-Jan-00 00:00:00 GMT', Date.UTC(1999, 11, 31), 0],
    ['', NOW, undefined],
    ['-1', NOW, undefined],
    ['1.5', NOW, undefined],
    ['1e3', NOW, undefined],
    ['0x10', NOW, undefined],
    ['+5', NOW, undefined],
    ['5 s', NOW, undefined],
    ['soon', NOW, undefined],
    ['2027', NOW, 2_027_000],
    ['2027-01-01', NOW, undefined],
    ['Sun, 06 Nov 1994 08:49:37 PST', NOW, undefined],
    ['Sun, 31 Feb 2027 00:00:00 GMT', NOW, undefined],
    ['Sun, 06 Nov 2027 24:00:00 GMT', NOW, undefined],
    ['Sun, 06 Foo 2027 00:00:00 GMT', NOW, undefined],
    [null, NOW, undefined],
    [undefined, NOW, undefined],
  ]
  it.each(table)('%j at %d is %j', (value, wallNow, expected) => {
    expect(parseRetryAfter(value, wallNow)).toBe(expected)
  })

  it('takes what Date writes', () => {
    const clock = new VirtualClock()
    const date = new Date(clock.wallNow() + 90_000).toUTCString()
    expect(parseRetryAfter(date, clock.wallNow())).toBe(90_000)
  })
})
