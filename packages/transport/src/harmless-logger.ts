/** A logger of the user's may fail, on a full disk for instance; what a peer sends must not end this process by that. */
import type { ErrorReporter, LogFields, Logger } from '@hs/core'

export type HarmlessLogger = Pick<Logger, 'debug' | 'warn'>

/** What `logger` throws is reported, under `source`. */
export function harmlessLogger(logger: Logger, reporter: ErrorReporter, source: string): HarmlessLogger {
  return {
    debug: reporter.guard(source, (message: string, fields?: LogFields) => logger.debug(message, fields)),
    warn: reporter.guard(source, (message: string, fields?: LogFields) => logger.warn(message, fields)),
  }
}
