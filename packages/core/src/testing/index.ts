export * from './memory-logger.js'
export * from './seeded-random.js'
export type { SkewedClock, SkewedClockOptions } from './skewed-clock.js'
export * from './virtual-clock.js'
