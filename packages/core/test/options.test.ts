import * as z from 'zod'
import * as mini from 'zod/mini'
import { describe, expect, it } from 'vitest'
import {
  ConfigError,
  defaultLogger,
  parseOptions,
  resolveRuntime,
  runtimeShape,
  systemClock,
  systemRandom,
  type ConfigIssue,
} from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'

function refused(act: () => unknown): ConfigError {
  try {
    act()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return error as ConfigError
  }
  throw new Error('was accepted')
}

const schema = z.strictObject({
  sizeLimit: z.int().min(1).max(10).default(5),
  ratio: z.number().positive().optional(),
  password: z.string().min(12).optional(),
  tls: z.strictObject({ apiKey: z.string().optional(), hosts: z.array(z.string()).default([]) }).optional(),
})

describe('parseOptions (CORE-12)', () => {
  it('takes undefined for {} and fills in defaults', () => {
    expect(parseOptions(schema, undefined, 'Pool')).toEqual({ sizeLimit: 5 })
    expect(parseOptions(schema, { sizeLimit: 7 }, 'Pool')).toEqual({ sizeLimit: 7 })
  })

  it('reports all issues at once, each with owner, path, bound and the value found', () => {
    const error = refused(() => parseOptions(schema, { sizeLimit: 11, ratio: 0, tls: { hosts: ['a', 5] } }, 'Pool'))
    expect(error.issues.map(({ path, value }: ConfigIssue) => ({ path, value }))).toEqual([
      { path: 'sizeLimit', value: 11 },
      { path: 'ratio', value: 0 },
      { path: 'tls.hosts.1', value: 5 },
    ])
    expect(error.message).toMatch(
      /^Pool: sizeLimit: .*<=10, found 11; ratio: .*>0, found 0; tls\.hosts\.1: .*string.*, found 5$/,
    )
    expect(error.code).toBe('CONFIG_INVALID')
  })

  it('makes a misspelt option an error of its own path', () => {
    const error = refused(() => parseOptions(schema, { sizeLimitt: 1, tls: { host: 'x' } }, 'Pool'))
    expect(error.issues).toEqual([
      { path: 'tls.host', message: 'no such option', value: 'x' },
      { path: 'sizeLimitt', message: 'no such option', value: 1 },
    ])
  })

  it('shows no secret, in message, issues or details', () => {
    const options = { password: 'hunter2', tls: { apiKey: 4711, tokn: 'a', accessToken: 'hunter2' } }
    const error = refused(() => parseOptions(schema, options, 'Pool'))
    expect(
      error.issues
        .filter(({ value }) => value === '[redacted]')
        .map(({ path }) => path)
        .sort(),
    ).toEqual(['password', 'tls.accessToken', 'tls.apiKey'])
    const everything = JSON.stringify([error.message, error.issues, error.details, error.stack])
    expect(everything).not.toContain('hunter2')
    expect(everything).not.toContain('4711')
    expect(error.message).toContain('password: ')
    expect(error.message).toContain('[redacted]')
  })

  it('checks across fields, and shows the field that the issue names', () => {
    const ascending = z
      .strictObject({ low: z.number(), high: z.number() })
      .refine(({ low, high }) => low < high, { path: ['high'], message: 'expected more than low' })
    const error = refused(() => parseOptions(ascending, { low: 5, high: 4 }, 'Pool'))
    expect(error.issues).toEqual([{ path: 'high', message: 'expected more than low', value: 4 }])
  })

  it.each([null, 5, 'text', []])('refuses %o in place of the options', (value) => {
    const error = refused(() => parseOptions(schema, value, 'Pool'))
    expect(error.issues[0]).toMatchObject({ path: '', value })
  })

  it('works with zod/mini, and names the bound also where that has no texts', () => {
    const small = mini.strictObject({
      size: mini.number().check(mini.minimum(1), mini.maximum(10)),
      mode: mini._default(mini.enum(['a', 'b']), 'a'),
    })
    expect(parseOptions(small, { size: 3 }, 'Pool')).toEqual({ size: 3, mode: 'a' })
    const config = z.config()
    const texts = config.localeError
    try {
      z.config({ localeError: undefined }) // what a process that loads zod/mini alone has
      const everything = mini.strictObject({
        least: mini.number().check(mini.minimum(1)),
        above: mini.number().check(mini.gt(1)),
        most: mini.string().check(mini.maxLength(2)),
        below: mini.number().check(mini.lt(2)),
        step: mini.number().check(mini.multipleOf(5)),
        mail: mini.email(),
        mode: mini.enum(['a', 'b']),
        kind: mini.union([mini.string(), mini.boolean()]),
        number: mini.number(),
        record: mini.record(mini.string().check(mini.minLength(3)), mini.number()),
        custom: mini.number().check(mini.refine(() => false)),
      })
      const error = refused(() =>
        parseOptions(
          everything,
          {
            least: 0,
            above: 1,
            most: 'abc',
            below: 2,
            step: 3,
            mail: 'x',
            mode: 'c',
            kind: 5,
            number: 'x',
            record: { a: 1 },
            custom: 1,
          },
          'Pool',
        ),
      )
      expect(Object.fromEntries(error.issues.map(({ path, message }) => [path, message]))).toEqual({
        least: 'expected number >= 1',
        above: 'expected number > 1',
        most: 'expected string <= 2',
        below: 'expected number < 2',
        step: 'expected a multiple of 5',
        mail: 'expected format email',
        mode: 'expected one of a, b',
        kind: 'expected one of: expected string | expected boolean',
        number: 'expected number',
        'record.a': 'invalid record entry: expected string >= 3',
        custom: 'invalid value',
      })
    } finally {
      z.config({ localeError: texts })
    }
  })

  it('finds no value where the path leads nowhere', () => {
    const elsewhere = z.strictObject({ a: z.number() }).refine(() => false, { path: ['a', 'b', 'c'], message: 'bad' })
    expect(refused(() => parseOptions(elsewhere, { a: 1 }, 'Pool')).issues[0]!.value).toBeUndefined()
  })
})

describe('RuntimeOptions', () => {
  const given = { clock: new VirtualClock(), random: new SeededRandom(1), logger: new MemoryLogger() }
  const defaults = { clock: systemClock, random: systemRandom, logger: defaultLogger }

  it('resolveRuntime fills in what is missing', () => {
    expect(resolveRuntime()).toEqual(defaults)
    expect(resolveRuntime().clock).toBe(systemClock)
    const resolved = resolveRuntime(given)
    for (const name of ['clock', 'random', 'logger'] as const) expect(resolved[name]).toBe(given[name])
    expect(Object.keys(resolveRuntime({ ...given, more: 1 } as object))).toEqual(['clock', 'random', 'logger'])
  })

  it('runtimeShape spreads into a schema, and passes what it is given as it is', () => {
    const options = z.strictObject({ ...runtimeShape, size: z.number().default(1) })
    const parsed = parseOptions(options, { ...given }, 'Pool')
    for (const name of ['clock', 'random', 'logger'] as const) expect(parsed[name]).toBe(given[name])
    const empty = parseOptions(options, undefined, 'Pool')
    for (const name of ['clock', 'random', 'logger'] as const) expect(empty[name]).toBe(defaults[name])
  })

  it('runtimeShape spreads into a schema of zod/mini', () => {
    const options = mini.strictObject({ ...runtimeShape, size: mini.number() })
    expect(parseOptions(options, { clock: given.clock, size: 2 }, 'Pool').clock).toBe(given.clock)
  })

  it.each(['clock', 'random', 'logger'] as const)('a %s without its methods is a ConfigError either way', (name) => {
    for (const bad of [null, 5, {}, { now: () => 1 }]) {
      const options = { [name]: bad } as object
      expect(refused(() => resolveRuntime(options)).issues).toMatchObject([{ path: name }])
      expect(refused(() => parseOptions(z.strictObject({ ...runtimeShape }), options, 'Pool')).issues).toMatchObject([
        { path: name, message: expect.stringContaining(`expected a ${name} with `) as string },
      ])
    }
  })
})
