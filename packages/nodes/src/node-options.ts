/** The options that every node has. */
import { parseAddress, runtimeShape, type DatagramTransport, type RpcTransport, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import { timingOption, type NodeTiming, type TimingProfile } from './timing.js'

export interface NodeOptions extends RuntimeOptions {
  /** Its name (the form of core's NodeId), unique in the cluster, stable over restarts. */
  id: string
  /** Messages of other clusters are refused. @default 'default' */
  cluster?: string
  /** `host:port` for TCP and UDP alike; port 0 takes a free pair. @default '127.0.0.1:0' */
  listen?: string
  /** Instead of `listen`: another network. The node closes both when it stops. */
  transport?: { datagram: DatagramTransport; rpc: RpcTransport }
  /** A profile, or some of its fields, the rest as in `lan`. @default 'lan' */
  timing?: TimingProfile | Partial<NodeTiming>
}

/** What begins with ~ is none to `JobStats`, which adds up over datacenters. */
export const datacenterName = () => z.string().regex(/^[^~].{0,127}$/s, 'expected 1 to 128 characters, the first not ~')
export const NODE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

function isAddress(text: string, allowZeroPort: boolean): boolean {
  try {
    parseAddress(text, { allowZeroPort })
    return true
  } catch {
    return false
  }
}

/** Where a node dials: whatever the transport takes, so only an empty one is surely wrong. */
export const peerAddress = () => z.string().regex(/^\S{1,255}$/, 'expected an address without white space')

export const clusterOption = () => z.string().min(1).max(200).default('default')

const isRpc = (x: unknown): boolean => typeof (x as RpcTransport | null)?.request === 'function'
const isDatagram = (x: unknown): boolean => typeof (x as DatagramTransport | null)?.send === 'function'

export const rpcOption = () => z.custom<RpcTransport>(isRpc, 'expected an RpcTransport')

export const nodeShape = () => ({
  ...runtimeShape,
  id: z.string().regex(NODE_NAME, `expected a name like ${NODE_NAME.source}`),
  cluster: clusterOption(),
  listen: z
    .string()
    .refine((text) => isAddress(text, true), 'expected host:port')
    .optional(),
  transport: z
    .strictObject({
      datagram: z.custom<DatagramTransport>(isDatagram, 'expected a DatagramTransport'),
      rpc: rpcOption(),
    })
    .optional(),
  timing: timingOption,
})

/** For `refine`: a node has one network. */
export const oneNetwork = {
  test: (o: { listen?: string | undefined; transport?: unknown }): boolean =>
    o.listen === undefined || o.transport === undefined,
  params: { path: ['listen'], message: 'expected no listen beside transport, which has its own address' },
}

export interface RetainOptions {
  /** How long a completed job is remembered, in milliseconds. @default 300_000 */
  completedMs?: number
  /** The same for any other outcome. @default 3_600_000 */
  failedMs?: number
}

export const retainOption = () =>
  z
    .strictObject({
      completedMs: z.number().min(0).max(2_147_483_647).default(300_000),
      failedMs: z.number().min(0).max(2_147_483_647).default(3_600_000),
    })
    .prefault({})
