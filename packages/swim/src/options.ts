/** The options of a `Cluster`: what they mean, their bounds and defaults. */
import {
  ConfigError,
  parseOptions,
  runtimeShape,
  type ConfigIssue,
  type DatagramTransport,
  type RpcTransport,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import type { Meta } from './member.js'
import { encodedMetaBytes } from './packet-writer.js'
import { presets } from './presets.js'
import { byteLength } from './text.js'
import { MAX_META_BYTES, MAX_ROLE_BYTES } from './wire.js'

/** How members of a role are judged. */
export interface RolePolicy {
  /** Times α, above 0 to 100: above 1, members of this role get longer to refute. @default 1 */
  suspicionMultiplier?: number
  /** How long hearsay of one is kept without a word from itself, in milliseconds, up to one day. @default 90_000 */
  unconfirmedTimeoutMs?: number
  /** How often one known by hearsay is probed; 0: wait for it to speak. @default 3 */
  confirmationAttempts?: number
}

export interface ClusterOptions extends RuntimeOptions {
  /** `[A-Za-z0-9][A-Za-z0-9._-]{0,99}`, unique in the cluster, the same after a restart. */
  name: string
  /** This protocol's alone, started, closed by its owner; its `address` is read at construction. */
  datagram: DatagramTransport
  /** Started, closed by its owner; its `address` is read at construction. */
  rpc: RpcTransport
  /** RPC addresses through which to join; its own may be among them. @default [] */
  seeds?: readonly string[]
  /** Packets of other clusters are dropped. @default 'default' */
  cluster?: string
  /** At most 32 bytes, fixed for the life of the process. @default 'member' */
  role?: string
  /** At most 512 bytes encoded. @default {} */
  meta?: Meta
  /** How members of a role are judged. @default {} */
  roles?: Readonly<Record<string, RolePolicy>>

  /** A member is probed each time this has passed, 10 ms to 1 h. @default 1_000 */
  probeIntervalMs?: number
  /** When others are asked to probe it too, in milliseconds, at least 1 and below the interval. @default 500 */
  probeTimeoutMs?: number
  /** How many others are asked, 0 to 16. @default 3 */
  indirectProbes?: number
  /** Whether it is asked over RPC at the same time. @default true */
  rpcProbe?: boolean
  /** α: periods times log₁₀ n that a member has to refute at the least, up to 100. @default 4 */
  suspicionMultiplier?: number
  /** β: how many times longer it has while nobody confirms, 1 to 100. @default 6 */
  suspicionMaxMultiplier?: number
  /** K: confirmations that bring it to the least, 0 to 32. @default 3 */
  suspicionConfirmations?: number
  /** S, 0 to 255; 0 turns LHA-Probe off. @default 8 */
  maxLocalHealth?: number
  /** Whether who is suspected is told so first of all. @default true */
  buddy?: boolean
  /** A deadline that fires later than this after its time shows that this process did not run; milliseconds, up to 1 h. @default 100 */
  stallToleranceMs?: number

  /** How often news are sent beside the probes, 10 ms to 1 min. @default 200 */
  gossipIntervalMs?: number
  /** To how many members each time, 1 to 32. @default 3 */
  gossipFanout?: number
  /** λ: each news is sent λ · ⌈ln(n + 1)⌉ times by each member, up to 100. @default 3 */
  retransmitMultiplier?: number
  /** How long the dead are gossiped to, in milliseconds, up to one day. @default 30_000 */
  gossipToDeadMs?: number
  /** How often views are compared with another member's, 100 ms to one day; grows with the cluster. @default 30_000 */
  syncIntervalMs?: number
  /** How often a lost seed or a dead member is contacted, 100 ms to one day. @default 30_000 */
  reconnectIntervalMs?: number
  /** How long the dead and the left are remembered, in milliseconds, up to 30 days. @default 3_600_000 */
  forgetDeadAfterMs?: number

  /** Bytes of a packet, 512 to `datagram.maxMessageBytes`. @default the smaller of 1_400 and `datagram.maxMessageBytes` */
  maxPacketBytes?: number
  /** Members that are known, itself and the remembered dead included, 2 to 1,000,000. @default 10_000 */
  maxMembers?: number
  /** Packets a second taken from each member, and from all strangers together, above 0. @default 100 */
  inboundPerSecond?: number
  /** How many of them may come at once, at least 1. @default 200 */
  inboundBurst?: number
  /** Entries of `history()`, 0 to 1,000,000. @default 1_000 */
  historySize?: number
  /** How long one request to a seed or member may take, in milliseconds, up to one day. @default 10_000 */
  joinTimeoutMs?: number
  /** How long `leave` goes on telling the others, in milliseconds, up to one day. @default 5_000 */
  leaveTimeoutMs?: number
}

/** The smallest packet in which every message of the protocol has its place. */
const MIN_PACKET_BYTES = 512
const DEFAULT_PACKET_BYTES = 1_400
const MAX_PACKET_BYTES = 65_507
const DAY_MS = 86_400_000
const MAX_SEEDS = 1_024

export type ClusterSettings = ReturnType<typeof resolveOptions>

/** @throws ConfigError */
export function resolveOptions(options: ClusterOptions) {
  const parsed = parseOptions(optionsSchema(), options, 'Cluster')
  const { maxMessageBytes } = parsed.datagram
  const maxPacketBytes = parsed.maxPacketBytes ?? Math.min(DEFAULT_PACKET_BYTES, maxMessageBytes)
  const issues: ConfigIssue[] = []
  const check = (holds: boolean, path: string, message: string, value: unknown) => {
    if (!holds) issues.push({ path, message, value })
  }
  check(
    maxPacketBytes <= maxMessageBytes,
    'maxPacketBytes',
    `expected at most datagram.maxMessageBytes, ${maxMessageBytes}`,
    maxPacketBytes,
  )
  check(maxPacketBytes >= MIN_PACKET_BYTES, 'maxPacketBytes', `expected at least ${MIN_PACKET_BYTES}`, maxPacketBytes)
  check(
    parsed.probeTimeoutMs < parsed.probeIntervalMs,
    'probeTimeoutMs',
    `expected less than probeIntervalMs, ${parsed.probeIntervalMs}`,
    parsed.probeTimeoutMs,
  )
  if (issues.length > 0) throw new ConfigError('Cluster', issues)
  // Not a copy: each copy of so many properties gets a shape of its own from V8, and whoever reads them pays for that.
  return Object.assign(parsed, { meta: Object.freeze({ ...parsed.meta }), maxPacketBytes })
}

export type ResolvedRolePolicy = Required<RolePolicy>

const defaultPolicy: ResolvedRolePolicy = {
  suspicionMultiplier: 1,
  unconfirmedTimeoutMs: 90_000,
  confirmationAttempts: 3,
}

export function policyOf(roles: ReadonlyMap<string, ResolvedRolePolicy>, role: string): ResolvedRolePolicy {
  return roles.get(role) ?? defaultPolicy
}

const addressText = () => z.string().regex(/^\S{1,255}$/, 'expected an address like host:port')

const has = (x: unknown, methods: readonly string[]) =>
  typeof x === 'object' &&
  x !== null &&
  methods.every((name) => typeof (x as Record<string, unknown>)[name] === 'function') &&
  /^\S{1,255}$/.test(String((x as { address?: unknown }).address))

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const optionsSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () => {
  const { lan } = presets
  const ms = (min: number, max: number) => z.number().min(min).max(max)
  return z.strictObject({
    ...runtimeShape,
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/),
    datagram: z.custom<DatagramTransport>(
      (x) => has(x, ['send', 'onMessage']) && Number.isInteger((x as DatagramTransport).maxMessageBytes),
      'expected a datagram transport that has an address',
    ),
    rpc: z.custom<RpcTransport>(
      (x) => has(x, ['request', 'notify', 'handle']),
      'expected an rpc transport that has an address',
    ),
    seeds: z
      .array(addressText())
      .max(MAX_SEEDS)
      .default(() => []),
    cluster: z
      .string()
      .min(1)
      .refine(
        (text) => byteLength(text) <= MAX_NAME_OF_CLUSTER_BYTES,
        `expected at most ${MAX_NAME_OF_CLUSTER_BYTES} bytes`,
      )
      .default('default'),
    role: z
      .string()
      .min(1)
      .refine((text) => byteLength(text) <= MAX_ROLE_BYTES, `expected at most ${MAX_ROLE_BYTES} bytes`)
      .default('member'),
    meta: z
      .record(z.string(), z.string())
      .refine((meta) => encodedMetaBytes(meta) <= MAX_META_BYTES, `expected at most ${MAX_META_BYTES} bytes encoded`)
      .default(() => ({})),
    roles: z
      .record(
        z.string(),
        z.strictObject({
          suspicionMultiplier: z.number().positive().max(100).default(1),
          unconfirmedTimeoutMs: ms(1, DAY_MS).default(90_000),
          confirmationAttempts: z.int().min(0).max(1_000).default(3),
        }),
      )
      .transform((roles) => new Map(Object.entries(roles)))
      .default(() => new Map()),
    probeIntervalMs: ms(10, 3_600_000).default(lan.probeIntervalMs),
    probeTimeoutMs: ms(1, 3_600_000).default(lan.probeTimeoutMs),
    indirectProbes: z.int().min(0).max(16).default(lan.indirectProbes),
    rpcProbe: z.boolean().default(true),
    suspicionMultiplier: z.number().positive().max(100).default(lan.suspicionMultiplier),
    suspicionMaxMultiplier: z.number().min(1).max(100).default(6),
    suspicionConfirmations: z.int().min(0).max(32).default(3),
    maxLocalHealth: z.int().min(0).max(255).default(8),
    buddy: z.boolean().default(true),
    stallToleranceMs: ms(0, 3_600_000).default(100),
    gossipIntervalMs: ms(10, 60_000).default(lan.gossipIntervalMs),
    gossipFanout: z.int().min(1).max(32).default(lan.gossipFanout),
    retransmitMultiplier: z.number().min(1).max(100).default(lan.retransmitMultiplier),
    gossipToDeadMs: ms(0, DAY_MS).default(lan.gossipToDeadMs),
    syncIntervalMs: ms(100, DAY_MS).default(lan.syncIntervalMs),
    reconnectIntervalMs: ms(100, DAY_MS).default(30_000),
    forgetDeadAfterMs: ms(1, 30 * DAY_MS).default(3_600_000),
    maxPacketBytes: z.int().max(MAX_PACKET_BYTES).optional(),
    maxMembers: z.int().min(2).max(1_000_000).default(10_000),
    inboundPerSecond: z.number().positive().max(1_000_000).default(100),
    inboundBurst: z.int().min(1).max(1_000_000).default(200),
    historySize: z.int().min(0).max(1_000_000).default(1_000),
    joinTimeoutMs: ms(1, DAY_MS).default(10_000),
    leaveTimeoutMs: ms(0, DAY_MS).default(5_000),
  })
}

/** It stands in the names of RPC methods, which have at most 255 bytes. */
const MAX_NAME_OF_CLUSTER_BYTES = 200
