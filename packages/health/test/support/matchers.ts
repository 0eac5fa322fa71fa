import { expect } from 'vitest'

/** A `ConfigError` that names these paths, in this order, and no others. */
export const misconfigured = (...paths: string[]): Error =>
  expect.objectContaining({
    code: 'CONFIG_INVALID',
    issues: paths.map((path) => expect.objectContaining({ path }) as unknown),
  }) as Error

/** An `HsError` of this code. */
export const coded = (code: string): Error => expect.objectContaining({ code }) as Error
