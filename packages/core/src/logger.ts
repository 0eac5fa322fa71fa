/**
 * Where messages go. A library is quiet, never silent: the default logger writes warnings and errors to the console,
 * and there is no logger here that drops everything.
 */
import * as z from 'zod'
import { parseOptions } from './options.js'
import { toJsonLine, toPlain } from './plain.js'

/** An error goes under the key `err`. */
export type LogFields = Record<string, unknown>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A logger that adds `fields` to every message. */
  child(fields: LogFields): Logger
}

const levels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof levels)[number]

export interface ConsoleLoggerOptions {
  /** The lowest level that is written. @default 'warn' */
  level?: LogLevel
  /** Added to every message. */
  fields?: LogFields
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({ level: z.enum(levels).default('warn'), fields: z.record(z.string(), z.unknown()).optional() }))()

/**
 * One line of JSON a message, by the console's method of the same level. Never throws, whatever the fields hold.
 * @throws ConfigError
 */
export function consoleLogger(options: ConsoleLoggerOptions = {}): Logger {
  const { level, fields = {} } = parseOptions(schema, options, 'consoleLogger')
  return new ConsoleLogger(levels.indexOf(level), fields)
}

class ConsoleLogger implements Logger {
  readonly #lowest: number
  readonly #fields: LogFields

  constructor(lowest: number, fields: LogFields) {
    this.#lowest = lowest
    this.#fields = fields
  }

  debug(message: string, fields?: LogFields): void {
    this.#write('debug', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.#write('info', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.#write('warn', message, fields)
  }

  error(message: string, fields?: LogFields): void {
    this.#write('error', message, fields)
  }

  child(fields: LogFields): Logger {
    return new ConsoleLogger(this.#lowest, mergeFields(this.#fields, fields))
  }

  #write(level: LogLevel, message: string, fields?: LogFields): void {
    if (levels.indexOf(level) < this.#lowest) return
    const line = logLine(level, message, mergeFields(this.#fields, fields))
    try {
      console[level](line)
    } catch {
      // The console is the last reader there is: a closed stdout must not take the caller down.
      return
    }
  }
}

/** One line of JSON: level and message first. A field of one of these two names is kept under `field.<name>`. */
export function logLine(level: LogLevel, message: string, fields: LogFields): string {
  const { level: fieldLevel, message: fieldMessage } = fields
  if (fieldLevel === undefined && fieldMessage === undefined) return toJsonLine({ level, message, ...fields })
  return toJsonLine({ ...fields, level, message, 'field.level': fieldLevel, 'field.message': fieldMessage })
}

/** Own enumerable fields of both. Where a getter throws, the added ones become plain data, and that getter text. */
export function mergeFields(base: LogFields, added: LogFields | undefined): LogFields {
  try {
    return { ...base, ...added }
  } catch {
    const plain = toPlain(added)
    return typeof plain === 'object' && plain !== null ? { ...base, ...plain } : { ...base, fields: plain }
  }
}

/** What is used of pino: its methods take the fields first. */
export interface PinoLike {
  debug(fields: object, message?: string): void
  info(fields: object, message?: string): void
  warn(fields: object, message?: string): void
  error(fields: object, message?: string): void
  child(fields: LogFields): PinoLike
}

/** pino takes (fields, message): passed as it is, it would drop the fields. */
export function fromPino(pino: PinoLike): Logger {
  return {
    debug: (message, fields = {}) => pino.debug(fields, message),
    info: (message, fields = {}) => pino.info(fields, message),
    warn: (message, fields = {}) => pino.warn(fields, message),
    error: (message, fields = {}) => pino.error(fields, message),
    child: (fields) => fromPino(pino.child(fields)),
  }
}

/** Warnings and errors to the console. */
export const defaultLogger: Logger = /* @__PURE__ */ consoleLogger()
