import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ConfigError, consoleLogger, defaultLogger, fromPino, HsError, type LogFields, type PinoLike } from '@hs/core'

const methods = ['debug', 'info', 'warn', 'error'] as const

describe('consoleLogger (CORE-11)', () => {
  const written: { method: string; args: unknown[] }[] = []

  beforeEach(() => {
    written.length = 0
    for (const method of methods) {
      vi.spyOn(console, method).mockImplementation((...args: unknown[]) => void written.push({ method, args }))
    }
  })
  afterEach(() => vi.restoreAllMocks())

  /** The one line written, as data. */
  function line(fields?: unknown): Record<string, unknown> {
    written.length = 0
    consoleLogger().error('it broke', fields as LogFields)
    expect(written).toHaveLength(1)
    const [text] = written[0]!.args as [string]
    expect(written[0]!.args).toHaveLength(1)
    expect(text).not.toContain('\n')
    return JSON.parse(text) as Record<string, unknown>
  }

  it('by default writes warnings and errors, each by the console method of its name, and drops the rest', () => {
    for (const method of methods) defaultLogger[method](`a ${method}`, { n: 1 })
    expect(written).toEqual([
      { method: 'warn', args: ['{"level":"warn","message":"a warn","n":1}'] },
      { method: 'error', args: ['{"level":"error","message":"a error","n":1}'] },
    ])
  })

  it('writes from the level it is given', () => {
    for (const [i, level] of methods.entries()) {
      written.length = 0
      const logger = consoleLogger({ level })
      for (const method of methods) logger[method]('x')
      expect(written.map(({ method }) => method)).toEqual(methods.slice(i))
    }
  })

  it('joins the fields of its options, of its parents and of the call, the nearest winning', () => {
    const logger = consoleLogger({ fields: { a: 1, b: 1, c: 1 } }).child({ b: 2, c: 2 })
    logger.warn('x', { c: 3 })
    expect(written[0]!.args[0]).toBe('{"level":"warn","message":"x","a":1,"b":2,"c":3}')
  })

  it('renders errors with name, message, code, stack and cause', () => {
    const err = new HsError('LEASE_LOST', 'it is gone', { cause: new RangeError('why'), details: { key: 'a' } })
    expect(line({ err })['err']).toEqual({
      name: 'HsError',
      message: 'it is gone',
      code: 'LEASE_LOST',
      details: { key: 'a' },
      stack: expect.stringContaining('HsError: it is gone') as string,
      cause: { name: 'RangeError', message: 'why', stack: expect.stringContaining('RangeError: why') as string },
    })
  })

  it('turns bigints, functions, symbols, cycles, bytes and odd numbers into text', () => {
    const cycle: Record<string, unknown> = { n: 1 }
    cycle['self'] = cycle
    const shared = { s: 1 }
    expect(
      line({
        big: 2n ** 70n,
        fn: function named() {},
        sym: Symbol('s'),
        cycle,
        twice: [shared, shared],
        bytes: new Uint8Array(5),
        nan: NaN,
        inf: -Infinity,
        date: new Date(0),
        bad: new Date(NaN),
        map: new Map([['k', 1]]),
        none: undefined,
      }),
    ).toEqual({
      level: 'error',
      message: 'it broke',
      big: String(2n ** 70n),
      fn: '[Function named]',
      sym: 'Symbol(s)',
      cycle: { n: 1, self: '[Circular]' },
      twice: [{ s: 1 }, { s: 1 }],
      bytes: '[Uint8Array of 5 bytes]',
      nan: 'NaN',
      inf: '-Infinity',
      date: '1970-01-01T00:00:00.000Z',
      bad: 'Invalid Date',
      map: [['k', 1]],
    })
  })

  it('prints the line whatever throws while it is read', () => {
    const throwing = {
      get secret(): string {
        throw new Error('no access')
      },
      fine: 1,
    }
    const noJson = {
      toJSON() {
        throw new Error('no json')
      },
    }
    const proxy = new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('no keys')
        },
      },
    )
    const hostile = {
      get x(): string {
        throw { toString: null }
      },
    }
    const badError = new Error('x')
    Object.defineProperty(badError, 'message', {
      get() {
        throw new Error('no message')
      },
    })
    const fields = line({ throwing, noJson, proxy, hostile, badError })
    expect(fields['throwing']).toEqual({ secret: '[Throws: no access]', fine: 1 })
    expect(fields['noJson']).toBe('[Throws: no json]')
    expect(fields['proxy']).toBe('[Throws: no keys]')
    expect(fields['hostile']).toEqual({ x: '[Throws]' })
    expect(fields['badError']).toMatchObject({ name: 'Error', message: '[Throws: no message]' })
    expect(line(throwing)).toMatchObject({ level: 'error', message: 'it broke' })
    expect(line(proxy)).toMatchObject({ level: 'error', message: 'it broke' })
  })

  it('keeps the other fields in their place when a getter throws', () => {
    const fields = {
      get secret(): string {
        throw new Error('no access')
      },
      err: new Error('broke'),
      fine: 1,
    }
    expect(line(fields)).toMatchObject({ secret: '[Throws: no access]', err: { message: 'broke' }, fine: 1 })
    consoleLogger({ fields: { node: 'a' } })
      .child(fields)
      .error('x')
    expect(JSON.parse(String(written[1]!.args[0]))).toMatchObject({ node: 'a', fine: 1, err: { message: 'broke' } })
  })

  it('keeps a line bounded, in depth and in items', () => {
    let deep: unknown = 'bottom'
    for (let i = 0; i < 1_000; i++) deep = { deep }
    const fields = line({
      deep,
      list: Array.from({ length: 100_000 }, (_, i) => i),
      wide: Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`k${i}`, i])),
    })
    expect(JSON.stringify(fields['deep'])).toContain('[Object]')
    expect(fields['list']).toHaveLength(201)
    expect((fields['list'] as unknown[]).at(-1)).toBe('[99800 more]')
    expect(Object.keys(fields['wide'] as object)).toHaveLength(201)
  })

  it('keeps fields that are called level or message', () => {
    expect(line({ level: 3, message: 'mine', other: 1 })).toEqual({
      level: 'error',
      message: 'it broke',
      'field.level': 3,
      'field.message': 'mine',
      other: 1,
    })
  })

  it('keeps a key named __proto__ as a field', () => {
    const fields = JSON.parse('{"__proto__":{"polluted":1}}') as LogFields
    consoleLogger().error('x', { fields })
    expect(written[0]!.args[0]).toContain('"__proto__":{"polluted":1}')
  })

  it('does not throw when the console does', () => {
    vi.spyOn(console, 'error').mockImplementation(() => {
      throw new Error('EPIPE')
    })
    expect(() => consoleLogger().error('x')).not.toThrow()
  })

  it('refuses a level that does not exist', () => {
    expect(() => consoleLogger({ level: 'loud' as 'warn' })).toThrow(ConfigError)
    expect(() => consoleLogger({ level: 'loud' as 'warn' })).toThrow(/"debug"\|"info"\|"warn"\|"error".*found "loud"/)
    expect(() => consoleLogger({ levle: 'warn' } as object)).toThrow(ConfigError)
  })
})

describe('fromPino', () => {
  it('gives pino the fields first, and makes children of its children', () => {
    const calls: unknown[][] = []
    const pino = (bindings: object): PinoLike => ({
      debug: (fields, message) => void calls.push(['debug', bindings, fields, message]),
      info: (fields, message) => void calls.push(['info', bindings, fields, message]),
      warn: (fields, message) => void calls.push(['warn', bindings, fields, message]),
      error: (fields, message) => void calls.push(['error', bindings, fields, message]),
      child: (fields) => pino({ ...bindings, ...fields }),
    })
    const logger = fromPino(pino({}))
    for (const method of methods) logger[method](method, { n: 1 })
    logger.child({ a: 1 }).child({ b: 2 }).warn('alone')
    expect(calls).toEqual([
      ...methods.map((method) => [method, {}, { n: 1 }, method]),
      ['warn', { a: 1, b: 2 }, {}, 'alone'],
    ])
  })
})
