/** What is told about nodes by calls, checked as the configuration that it is. */

import * as z from 'zod'
import { ConfigError, parseOptions } from '@hs/core'
import { diskFaultsShape } from './disk-faults.js'
import type { ClockChange, NodeOptions, RestartOptions } from './sim-node.js'

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/

let cachedSchemas: ReturnType<typeof makeSchemas> | undefined
const schemas = () => (cachedSchemas ??= makeSchemas())
const makeSchemas = () => {
  const clock = { skewMs: z.number().optional(), driftPpm: z.number().gt(-1_000_000).optional() }
  return {
    node: z.strictObject({
      start: z.boolean().default(true),
      disk: z.strictObject(diskFaultsShape()).optional(),
      ...clock,
    }),
    clock: z.strictObject(clock),
    restart: z.strictObject({ disk: z.enum(['keep', 'lose']).optional() }),
    pause: z.strictObject({ ms: z.number().min(0).optional() }),
  }
}

/** @throws ConfigError for a malformed name */
export function checkNodeName(name: unknown): void {
  if (typeof name === 'string' && NAME.test(name)) return
  const message = 'expected a letter or digit, then up to 62 letters, digits, underscores and hyphens'
  throw new ConfigError('Simulation.node', [{ path: 'name', message, value: name }])
}

export function parseNodeOptions(options: NodeOptions | undefined) {
  return parseOptions(schemas().node, options, 'Simulation.node')
}

export function checkClockChange(change: ClockChange): { skewMs?: number | undefined; driftPpm?: number | undefined } {
  return parseOptions(schemas().clock, change, 'SimNode.setClock')
}

export function checkRestart(options: RestartOptions): { disk?: 'keep' | 'lose' | undefined } {
  return parseOptions(schemas().restart, options, 'SimNode.restart')
}

export function checkPauseMs(ms: number | undefined): void {
  parseOptions(schemas().pause, { ms }, 'SimNode.pause')
}
