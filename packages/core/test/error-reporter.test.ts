import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ConfigError, ErrorReporter, HsError, type Logger } from '@hs/core'
import { MemoryLogger, VirtualClock } from '@hs/core/testing'

const clock = new VirtualClock()
let logger = new MemoryLogger()
beforeEach(() => {
  logger = new MemoryLogger()
})
afterEach(() => vi.restoreAllMocks())

/** A promise that rejects with `error`, and one turn for its reader. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

function brokenLogger(error: unknown): Logger {
  const fail = () => {
    throw error
  }
  return { debug: fail, info: fail, warn: fail, error: fail, child: () => brokenLogger(error) }
}

describe('ErrorReporter.report (CORE-15)', () => {
  it('counts, calls onError and logs at error level', () => {
    const seen: unknown[] = []
    const reporter = new ErrorReporter({ clock, logger, onError: (error, context) => void seen.push([error, context]) })
    const error = new HsError('X', 'broke')
    reporter.report('pool.connect', error, { peer: 'a' })
    expect(seen).toEqual([[error, { source: 'pool.connect', peer: 'a' }]])
    expect(logger.entries).toEqual([
      { level: 'error', message: 'pool.connect: broke', fields: { source: 'pool.connect', err: error, peer: 'a' } },
    ])
    expect(reporter.snapshot()).toEqual({ total: 1, bySource: { 'pool.connect': 1 }, lost: 0 })
    expect(Object.isFrozen(reporter.snapshot().bySource)).toBe(true)
  })

  it('does not let fields hide the source or the error', () => {
    const onError = vi.fn()
    const error = new Error('broke')
    new ErrorReporter({ clock, logger, onError }).report('real', error, { source: 'fake', err: 'fake' })
    expect(logger.entries[0]!.fields).toEqual({ source: 'real', err: error })
    expect(onError.mock.calls[0]![1]).toMatchObject({ source: 'real' })
  })

  it.each([undefined, null, 'text', 5, Symbol('s'), {}, { message: 1 }])(
    'takes anything that can be thrown: %o',
    (thrown) => {
      const reporter = new ErrorReporter({ clock, logger })
      reporter.report('x', thrown)
      expect(logger.entries[0]!.fields['err']).toBe(thrown)
    },
  )

  it('survives fields that cannot be read, and still logs the error with those that can', () => {
    const seen: unknown[] = []
    const reporter = new ErrorReporter({ clock, logger, onError: (error, context) => void seen.push([error, context]) })
    const error = new Error('broke')
    const fields = {
      get secret(): string {
        throw new Error('no access')
      },
      peer: 'a',
    }
    reporter.report('x', error, fields)
    reporter.guard(
      'y',
      () => {
        throw error
      },
      fields,
    )()
    const readable = { secret: '[Throws: no access]', peer: 'a' }
    expect(seen).toEqual([
      [error, { source: 'x', ...readable }],
      [error, { source: 'y', ...readable }],
    ])
    expect(logger.entries.map((entry) => entry.fields)).toEqual([
      { source: 'x', err: error, ...readable },
      { source: 'y', err: error, ...readable },
    ])
  })

  it('survives an error that cannot be read', () => {
    const unreadable = new Proxy(
      {},
      {
        get() {
          throw new Error('no')
        },
      },
    )
    const reporter = new ErrorReporter({ clock, logger })
    reporter.report('x', unreadable)
    expect(logger.entries).toHaveLength(1)
  })

  it('logs what onError throws beside the original', () => {
    const original = new Error('original')
    const broken = new Error('handler broke')
    const onError = () => {
      throw broken
    }
    new ErrorReporter({ clock, logger, onError }).report('x', original, { peer: 'a' })
    expect(logger.at('error').map(({ fields }) => fields)).toEqual([
      { source: 'x', err: original, peer: 'a' },
      { source: 'x', err: broken, originalErr: original, peer: 'a' },
    ])
  })

  it('logs what onError rejects with beside the original', async () => {
    const original = new Error('original')
    const broken = new Error('handler broke')
    const onError = async () => {
      throw broken
    }
    new ErrorReporter({ clock, logger, onError }).report('x', original)
    await turn()
    expect(logger.at('error').map(({ fields }) => fields)).toEqual([
      { source: 'x', err: original },
      { source: 'x', err: broken, originalErr: original },
    ])
  })

  it('logs the failure of onError whatever the throttle says', () => {
    const onError = () => {
      throw new Error('handler broke')
    }
    const reporter = new ErrorReporter({ clock, logger, onError, logBurst: 1 })
    for (let i = 0; i < 4; i++) reporter.report('x', new Error('original'))
    expect(logger.entries.filter(({ fields }) => 'originalErr' in fields)).toHaveLength(4)
    expect(logger.entries.filter(({ fields }) => !('originalErr' in fields))).toHaveLength(1)
  })

  it('writes one console line with all three when the logger throws too', () => {
    const written = vi.spyOn(console, 'error').mockImplementation(() => {})
    const onError = () => {
      throw new Error('handler broke')
    }
    const reporter = new ErrorReporter({ clock, logger: brokenLogger(new Error('logger broke')), onError })
    reporter.report('pool.connect', new Error('original'), { peer: 'a' })
    expect(written).toHaveBeenCalledTimes(1)
    const line = written.mock.calls[0]![0] as string
    expect(line).not.toContain('\n')
    for (const part of ['pool.connect', 'original', 'handler broke', 'logger broke']) expect(line).toContain(part)
    expect(reporter.snapshot().lost).toBe(0)
  })

  it('writes it too when onError rejects and the logger throws only then', async () => {
    const written = vi.spyOn(console, 'error').mockImplementation(() => {})
    const onError = async () => {
      throw new Error('handler broke')
    }
    new ErrorReporter({ clock, logger: brokenLogger(new Error('logger broke')), onError }).report(
      'x',
      new Error('original'),
    )
    await turn()
    expect(written).toHaveBeenCalledTimes(2) // the original at once; when the handler has rejected, all three
    const line = written.mock.calls[1]![0] as string
    for (const part of ['original', 'handler broke', 'logger broke']) expect(line).toContain(part)
  })

  it('takes a logger that is async and rejects for one that throws', async () => {
    const written = vi.spyOn(console, 'error').mockImplementation(() => {})
    const fail = (): unknown => Promise.reject(new Error('logger broke'))
    const asyncLogger: Logger = { debug: fail, info: fail, warn: fail, error: fail, child: () => asyncLogger }
    const onError = async () => {
      throw new Error('handler broke')
    }
    new ErrorReporter({ clock, logger: asyncLogger, onError }).report('pool.connect', new Error('original'))
    await turn()
    expect(written).toHaveBeenCalledTimes(2)
    const lines = written.mock.calls.map(([line]) => String(line))
    for (const part of ['pool.connect', 'original', 'logger broke']) {
      expect(lines[0]).toContain(part)
      expect(lines[1]).toContain(part)
    }
    expect(lines.join()).toContain('handler broke')
  })

  it('counts as lost what the console refuses', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {
      throw new Error('EPIPE')
    })
    const onError = async () => {
      throw new Error('handler broke')
    }
    const reporter = new ErrorReporter({ clock, logger: brokenLogger('logger broke'), onError })
    reporter.report('x', new Error('original'))
    expect(reporter.snapshot().lost).toBe(1)
    await turn()
    expect(reporter.snapshot()).toMatchObject({ total: 1, lost: 2 })
  })

  it('survives an onError that returns a broken thenable', () => {
    const onError = () => ({
      get then(): unknown {
        throw new Error('no then')
      },
    })
    new ErrorReporter({ clock, logger, onError }).report('x', new Error('original'))
    expect(logger.entries).toHaveLength(2)
  })

  it.each([
    { logBurst: 0 },
    { logBurst: 1.5 },
    { logIntervalMs: 0 },
    { logIntervalMs: NaN },
    { onError: 5 },
    { onErrror: () => {} },
    { clock: {} },
  ])('refuses the options %o', (options) => {
    expect(() => new ErrorReporter(options as object)).toThrow(ConfigError)
  })
})

describe('ErrorReporter throttle (CORE-16)', () => {
  it('logs 5 lines per 10 s of the same error, then how many were suppressed; counters and onError see all', async () => {
    const virtual = new VirtualClock()
    const onError = vi.fn()
    const reporter = new ErrorReporter({ clock: virtual, logger, onError })
    const error = new HsError('SAME', 'same')
    for (let i = 0; i < 100_000; i++) reporter.report('x', error)
    expect(logger.entries).toHaveLength(5)
    expect(onError).toHaveBeenCalledTimes(100_000)
    expect(reporter.snapshot()).toEqual({ total: 100_000, bySource: { x: 100_000 }, lost: 0 })

    virtual.advance(9_999)
    reporter.report('x', error)
    expect(logger.entries).toHaveLength(5)

    virtual.advance(1)
    reporter.report('x', error)
    reporter.report('x', error)
    expect(logger.entries.map(({ fields }) => fields['suppressed'])).toEqual([
      ...Array<undefined>(5),
      99_996,
      undefined,
    ])
  })

  it('counts its interval from the first line on, at any time', () => {
    const virtual = new VirtualClock({ startMs: 123 })
    const reporter = new ErrorReporter({ clock: virtual, logger, logBurst: 1, logIntervalMs: 100 })
    for (let i = 0; i < 10; i++) {
      reporter.report('x', new Error('same'))
      virtual.advance(50)
    }
    expect(logger.entries.map(({ fields }) => fields['suppressed'])).toEqual([undefined, 1, 1, 1, 1])
  })

  it('throttles by source and by code, or else by name', () => {
    const reporter = new ErrorReporter({ clock, logger, logBurst: 1 })
    for (let i = 0; i < 3; i++) {
      for (const source of ['a', 'b']) {
        reporter.report(source, new HsError('ONE', 'x'))
        reporter.report(source, new HsError('TWO', 'x'))
        reporter.report(source, new TypeError('x'))
        reporter.report(source, new RangeError('x'))
      }
    }
    expect(logger.entries).toHaveLength(8)
  })

  it('tracks at most 1,000 sources, still counts all, and throttles the others together', () => {
    const reporter = new ErrorReporter({ clock, logger, logBurst: 2 })
    for (let i = 0; i < 3_000; i++) reporter.report(`source ${i}`, new Error('x'))
    const { total, bySource } = reporter.snapshot()
    expect(total).toBe(3_000)
    expect(Object.keys(bySource)).toHaveLength(1_000)
    expect(logger.entries).toHaveLength(1_002)
    reporter.report('source 5', new Error('x'))
    expect(reporter.snapshot().bySource['source 5']).toBe(2)
  })

  it('is bounded in kinds of errors too', () => {
    const reporter = new ErrorReporter({ clock, logger, logBurst: 1 })
    for (let i = 0; i < 1_000; i++) reporter.report('x', new HsError(`CODE_${i}`, 'x'))
    expect(logger.entries).toHaveLength(101)
  })
})

describe('ErrorReporter.guard (CORE-17)', () => {
  it('passes the arguments on and returns nothing', () => {
    const reporter = new ErrorReporter({ clock, logger })
    const fn = vi.fn((a: number, b: string) => `${a}${b}`)
    expect(reporter.guard('x', fn)(1, 'b')).toBeUndefined()
    expect(fn).toHaveBeenCalledWith(1, 'b')
    expect(reporter.snapshot().total).toBe(0)
  })

  it('reports what the callback throws, with the fields', () => {
    const error = new Error('broke')
    const reporter = new ErrorReporter({ clock, logger })
    const guarded = reporter.guard(
      'x.onDrop',
      () => {
        throw error
      },
      { item: 1 },
    )
    expect(guarded).not.toThrow()
    expect(logger.entries[0]!.fields).toEqual({ source: 'x.onDrop', err: error, item: 1 })
  })

  it('reports what its promise rejects with', async () => {
    const reporter = new ErrorReporter({ clock, logger })
    reporter.guard('x', async () => {
      throw new Error('later')
    })()
    await turn()
    expect(reporter.snapshot()).toMatchObject({ total: 1, bySource: { x: 1 } })
  })

  it('reports a thenable that throws when it is read', () => {
    const reporter = new ErrorReporter({ clock, logger })
    reporter.guard('x', () => ({
      then() {
        throw new Error('no then')
      },
    }))()
    expect(reporter.snapshot().total).toBe(1)
  })
})
