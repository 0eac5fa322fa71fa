/** A logger that keeps what it is told, for tests to look at: the newest entries, up to a limit. */

import * as z from 'zod'
import type { LogFields, Logger, LogLevel } from '../logger.js'
import { parseOptions } from '../options.js'

export interface MemoryLoggerOptions {
  /** Entries kept; beyond them the oldest go. @default 10_000 */
  maxEntries?: number
}

export interface MemoryLogEntry {
  readonly level: LogLevel
  readonly message: string
  /** Those of the call over those of the `child` loggers it came through. */
  readonly fields: Readonly<LogFields>
}

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () => z.strictObject({ maxEntries: z.int().min(1).default(10_000) })

/** Keeps the newest messages for tests to look at. */
export class MemoryLogger implements Logger {
  readonly #maxEntries: number
  readonly #entries: MemoryLogEntry[] = []

  /** @throws ConfigError */
  constructor(options: MemoryLoggerOptions = {}) {
    this.#maxEntries = parseOptions(optionsSchema(), options, 'MemoryLogger').maxEntries
  }

  /** Oldest first, those of child loggers too. */
  get entries(): readonly MemoryLogEntry[] {
    return this.#entries
  }

  /** The entries of one level. */
  at(level: LogLevel): readonly MemoryLogEntry[] {
    return this.#entries.filter((entry) => entry.level === level)
  }

  clear(): void {
    this.#entries.length = 0
  }

  debug(message: string, fields?: LogFields): void {
    this.#add('debug', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.#add('info', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.#add('warn', message, fields)
  }

  error(message: string, fields?: LogFields): void {
    this.#add('error', message, fields)
  }

  /** Its entries are kept here, with `fields` in each. */
  child(fields: LogFields): Logger {
    return childOf((level, message, own) => this.#add(level, message, { ...fields, ...own }))
  }

  #add(level: LogLevel, message: string, fields: LogFields = {}): void {
    this.#entries.push(Object.freeze({ level, message, fields: Object.freeze({ ...fields }) }))
    if (this.#entries.length > this.#maxEntries) this.#entries.shift()
  }
}

type Add = (level: LogLevel, message: string, fields: LogFields | undefined) => void

function childOf(add: Add): Logger {
  return {
    debug: (message, fields) => add('debug', message, fields),
    info: (message, fields) => add('info', message, fields),
    warn: (message, fields) => add('warn', message, fields),
    error: (message, fields) => add('error', message, fields),
    child: (fields) => childOf((level, message, own) => add(level, message, { ...fields, ...own })),
  }
}
