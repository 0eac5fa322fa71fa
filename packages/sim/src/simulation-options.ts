/** What a simulated world is made of, and within which bounds it runs. */

import * as z from 'zod'
import { parseOptions } from '@hs/core'
import { diskFaultsShape, type DiskFaults } from './disk-faults.js'
import { linkChangeSchema, type LinkOptions } from './link-options.js'

const YEAR_2024 = 1_704_067_200_000

export interface SimulationOptions {
  /** An integer or a bigint (modulo 2⁶⁴), or a text (hashed): the same seed gives the same run. @default 0 */
  seed?: number | bigint | string
  /** What every link is like unless `network.link` says otherwise; what is not named is as `LinkOptions` says. */
  link?: Partial<LinkOptions>
  /** What every disk is like unless its node says otherwise. @default no faults, 0.1 ms an operation */
  disk?: DiskFaults
  /** What the wall clocks show when the run begins, in milliseconds since the Unix epoch. @default 2024-01-01T00:00Z */
  wallStartMs?: number
  /** Order of what happens at one instant on different nodes: drawn from the seed, or that of creation. @default 'seeded' */
  tieBreak?: 'seeded' | 'fifo'
  /** Datagrams that wait at a paused node, at least 0; what is beyond is dropped as `overflow`. @default 1_000 */
  receiveQueue?: number
  /** What an error of a node's code does: fails the run, or crashes that node as it would a process. @default 'fail' */
  onNodeError?: 'fail' | 'crash'
  /** Whether nodes that use the time or the dice of the machine fail the run. @default true */
  forbidGlobals?: boolean
  /** Events after which a run fails with `'EVENT_LIMIT'`, at least 1. @default 5_000_000 */
  maxEvents?: number
  /** Events without time moving after which a run fails with `'STUCK'`, at least 1. @default 100_000 */
  maxEventsPerInstant?: number
  /** Entries of the trace that are kept for `trace.tail`, 1 to 10,000,000; the hash is of all. @default 1_000 */
  traceTail?: number
}

export type WorldOptions = Readonly<
  Required<Omit<SimulationOptions, 'link' | 'disk'>> & { link: LinkOptions; disk: DiskFaults }
>

const defaultLink: LinkOptions = Object.freeze({
  latency: Object.freeze({ kind: 'exponential', minMs: 0.5, meanMs: 2 }),
  loss: 0,
  duplicate: 0,
  corrupt: 0,
  bytesPerSecond: Infinity,
  queueBytes: 1_048_576,
})

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const schema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z.strictObject({
    seed: z.union([z.int(), z.bigint(), z.string()]).default(0),
    link: linkChangeSchema().optional(),
    disk: z.strictObject(diskFaultsShape()).optional(),
    wallStartMs: z.number().default(YEAR_2024),
    tieBreak: z.enum(['seeded', 'fifo']).default('seeded'),
    receiveQueue: z.int().min(0).default(1_000),
    onNodeError: z.enum(['fail', 'crash']).default('fail'),
    forbidGlobals: z.boolean().default(true),
    maxEvents: z.int().min(1).default(5_000_000),
    maxEventsPerInstant: z.int().min(1).default(100_000),
    traceTail: z.int().min(1).max(10_000_000).default(1_000),
  })

/** @throws ConfigError */
export function parseSimulationOptions(options: SimulationOptions | undefined): WorldOptions {
  const { link, disk, ...rest } = parseOptions(schema(), options, 'Simulation')
  return { ...rest, link: changed(defaultLink, link ?? {}), disk: withoutUndefined(disk ?? {}) }
}

/** `base` with what `change` names; an undefined field names nothing. */
export function changed<T extends object>(base: T, change: { readonly [K in keyof T]?: T[K] | undefined }): T {
  return Object.freeze({ ...base, ...withoutUndefined(change) })
}

function withoutUndefined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
