/**
 * The bridge from `snapshot()` to metrics: primitives count in plain fields and call no metrics API, so there is no
 * dependency, no global, and no cost where nobody measures. Works with an OpenTelemetry `Meter` by its structure.
 */
import * as z from 'zod'
import { ErrorReporter } from './error-reporter.js'
import { parseOptions } from './options.js'
import { runtimeShape, type RuntimeOptions } from './runtime.js'

export interface ObservableResultLike {
  observe(value: number): void
}

export interface ObservableGaugeLike {
  addCallback(callback: (result: ObservableResultLike) => void): void
  removeCallback(callback: (result: ObservableResultLike) => void): void
}

/** What is used of an OpenTelemetry `Meter`. */
export interface MeterLike {
  createObservableGauge(name: string): ObservableGaugeLike
}

/** A snapshot with more leaves than this would be a metric per entity, which no metrics store takes for long. */
const MAX_GAUGES = 1_000
const MAX_DEPTH = 16

const schema = /* @__PURE__ */ (() => z.strictObject(runtimeShape))()

/**
 * Registers one observable gauge, named `prefix.path`, for each number or boolean (as 1 or 0) that `read` gives now.
 * @param read for instance `() => cache.snapshot()`; called once here (what it throws is thrown), and for each gauge
 *   that is observed (what it throws is reported as `prefix.observeSnapshot`).
 * @returns what removes the callbacks again.
 * @throws ConfigError
 */
export function observeSnapshot(
  meter: MeterLike,
  prefix: string,
  read: () => object,
  options: RuntimeOptions = {},
): () => void {
  const runtime = parseOptions(schema, options, 'observeSnapshot')
  const reporter = new ErrorReporter(runtime)
  const paths = leafPaths(read())
  if (paths.length > MAX_GAUGES) {
    runtime.logger.warn(`observeSnapshot: ${prefix} has ${paths.length} values, only ${MAX_GAUGES} are observed`)
  }
  const removals = paths.slice(0, MAX_GAUGES).map((path) => {
    const gauge = meter.createObservableGauge([prefix, ...path].join('.'))
    const observe = reporter.guard(`${prefix}.observeSnapshot`, (result: ObservableResultLike) => {
      const value = leafAt(read(), path)
      if (value !== undefined) result.observe(value)
    })
    gauge.addCallback(observe)
    return () => gauge.removeCallback(observe)
  })
  return () => {
    for (const remove of removals.splice(0)) remove()
  }
}

type Path = readonly string[]

function leafPaths(from: object, path: Path = []): Path[] {
  if (path.length >= MAX_DEPTH) return []
  return Object.entries(from).flatMap(([key, value]: [string, unknown]) => {
    const below = [...path, key]
    if (typeof value === 'number' || typeof value === 'boolean') return [below]
    return typeof value === 'object' && value !== null ? leafPaths(value, below) : []
  })
}

/** Undefined where there is no number any more. */
function leafAt(from: object, path: Path): number | undefined {
  let value: unknown = from
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  if (typeof value === 'boolean') return value ? 1 : 0
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}
