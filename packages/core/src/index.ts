export { SystemClock, sleepOn, systemClock, type Clock, type Timer } from './clock.js'
export { systemRandom, type Random } from './random.js'
export {
  consoleLogger,
  defaultLogger,
  fromPino,
  type ConsoleLoggerOptions,
  type LogFields,
  type Logger,
  type LogLevel,
  type PinoLike,
} from './logger.js'
export { resolveRuntime, runtimeShape, type RuntimeOptions } from './runtime.js'
export * from './errors.js'
export { parseOptions } from './options.js'
export { assertNever } from './assert.js'
export { deepFreeze } from './deep-freeze.js'
export * from './error-reporter.js'
export * from './typed-emitter.js'
export * from './words.js'
export * from './brand.js'
export * from './transport.js'
export * from './disk.js'
