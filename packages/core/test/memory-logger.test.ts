import { describe, expect, it } from 'vitest'
import { ErrorReporter, resolveRuntime } from '@hs/core'
import { MemoryLogger } from '@hs/core/testing'

describe('MemoryLogger', () => {
  it('keeps level, message and fields of what it is told, oldest first', () => {
    const logger = new MemoryLogger()
    logger.debug('a')
    logger.info('b', { x: 1 })
    logger.warn('c')
    logger.error('d', { err: 'boom' })
    expect(logger.entries).toEqual([
      { level: 'debug', message: 'a', fields: {} },
      { level: 'info', message: 'b', fields: { x: 1 } },
      { level: 'warn', message: 'c', fields: {} },
      { level: 'error', message: 'd', fields: { err: 'boom' } },
    ])
    expect(logger.at('warn').map((entry) => entry.message)).toEqual(['c'])
    expect(logger.at('info')).toEqual([{ level: 'info', message: 'b', fields: { x: 1 } }])
  })

  it('keeps the entries of its children, with their fields under those of the call', () => {
    const logger = new MemoryLogger()
    const child = logger.child({ node: 'a', term: 1 })
    child.child({ term: 2 }).warn('hello', { extra: true })
    child.info('bye', { node: 'b' })
    for (const level of ['debug', 'error'] as const) child[level](level)
    expect(logger.entries.map((entry) => entry.fields)).toEqual([
      { node: 'a', term: 2, extra: true },
      { node: 'b', term: 1 },
      { node: 'a', term: 1 },
      { node: 'a', term: 1 },
    ])
  })

  it('drops the oldest beyond maxEntries', () => {
    const logger = new MemoryLogger({ maxEntries: 3 })
    for (let i = 0; i < 5; i++) logger.info(String(i))
    expect(logger.entries.map((entry) => entry.message)).toEqual(['2', '3', '4'])
    logger.clear()
    expect(logger.entries).toEqual([])
    const usual = new MemoryLogger()
    for (let i = 0; i < 10_001; i++) usual.info(String(i))
    expect(usual.entries.length).toBe(10_000)
    expect(usual.entries[0]?.message).toBe('1')
  })

  it('keeps fields as they were when it was told', () => {
    const logger = new MemoryLogger()
    const fields = { count: 1 }
    logger.info('now', fields)
    fields.count = 2
    expect(logger.entries[0]?.fields).toEqual({ count: 1 })
  })

  it('is a logger to everyone', () => {
    const logger = new MemoryLogger()
    expect(resolveRuntime({ logger }).logger).toBe(logger)
    new ErrorReporter({ logger }).report('source', new Error('boom'))
    expect(logger.at('error').length).toBe(1)
  })

  it('refuses a limit that is none', () => {
    for (const options of [{ maxEntries: 0 }, { maxEntries: 1.5 }, { max: 1 }])
      expect(() => new MemoryLogger(options as object)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})
