/**
 * The three things every constructor takes: time, dice and a log. Nothing in this library reads them from elsewhere.
 */
import * as z from 'zod'
import { systemClock, type Clock } from './clock.js'
import { ConfigError } from './errors.js'
import { defaultLogger, type Logger } from './logger.js'
import { systemRandom, type Random } from './random.js'

export interface RuntimeOptions {
  /** @default systemClock */
  clock?: Clock
  /** @default systemRandom */
  random?: Random
  /** @default defaultLogger: warnings and errors to the console */
  logger?: Logger
}

const methods = {
  clock: ['now', 'wallNow', 'setTimer', 'sleep'],
  random: ['next', 'int', 'pick', 'shuffle'],
  logger: ['debug', 'info', 'warn', 'error', 'child'],
} as const

/**
 * Fills in what is missing.
 * @throws ConfigError if one of them lacks a method.
 */
export function resolveRuntime(options: RuntimeOptions = {}): Required<RuntimeOptions> {
  const { clock = systemClock, random = systemRandom, logger = defaultLogger } = options
  const runtime = { clock, random, logger }
  if (isA('clock', clock) && isA('random', random) && isA('logger', logger)) return runtime
  const bad = (['clock', 'random', 'logger'] as const).filter((name) => !isA(name, runtime[name]))
  throw new ConfigError(
    'RuntimeOptions',
    bad.map((name) => ({ path: name, message: expectation(name), value: runtime[name] })),
  )
}

/** Fields with defaults, to spread into the schema of a constructor's options. */
export const runtimeShape = /* @__PURE__ */ (() => ({
  clock: z.custom<Clock>((x) => isA('clock', x), expectation('clock')).default(() => systemClock),
  random: z.custom<Random>((x) => isA('random', x), expectation('random')).default(() => systemRandom),
  logger: z.custom<Logger>((x) => isA('logger', x), expectation('logger')).default(() => defaultLogger),
}))()

function isA(name: keyof typeof methods, value: unknown): boolean {
  if (typeof value !== 'object' && typeof value !== 'function') return false
  if (value === null) return false
  for (const method of methods[name]) {
    if (typeof (value as Record<string, unknown>)[method] !== 'function') return false
  }
  return true
}

function expectation(name: keyof typeof methods): string {
  return `expected a ${name} with ${methods[name].join(', ')}`
}
