/** A logger whose every line fails, as on a full disk. */
import type { Logger } from '@hs/core'

export function brokenLogger(): Logger {
  const fail = () => {
    throw new Error('no space left on device')
  }
  const logger: Logger = { debug: fail, info: fail, warn: fail, error: fail, child: () => logger }
  return logger
}
