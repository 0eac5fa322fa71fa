/**
 * The two datagrams between `FederatedHealth` and `FederatedResponder`, as core's MessagePack: unknown fields are
 * ignored, so that either side may be newer. No address is in a probe: answers go to where it came from, and nobody can
 * have them sent to a third.
 */
import { msgpackCodec, type Codec } from '@hs/core'
import * as z from 'zod'
import { factsSchema, type DatacenterFacts } from './datacenter-facts.js'

export interface ProbeMessage {
  /** Random, in 53 bits, so that nobody can answer a probe that was not sent to them. */
  readonly nonce: number
  /** Which datacenter is meant, lest another one that took over the address answers for it. */
  readonly datacenter: string
  /** Who asks, for people. */
  readonly from: string
}

/** What a manager says of itself and its datacenter. */
export interface ResponderReport {
  /** The generation of its `NodeId`: numbers the lives of the process. */
  readonly incarnation: number
  /** Whether it leads its datacenter. */
  readonly leader: boolean
  /** The term that it knows. */
  readonly term: number
  /** Of the leader, if another one leads and is known. */
  readonly leaderAddress?: string
  readonly facts: DatacenterFacts
}

export interface AckMessage extends ResponderReport {
  /** That of the probe. */
  readonly nonce: number
  readonly datacenter: string
  readonly node: string
}

/** Longer ones would be cut to pieces by the network, or are none of ours. */
const MAX_BYTES = 1_400
const limits = { maxBytes: MAX_BYTES, maxDepth: 8, maxItems: 256 }

const natural = () => z.int().min(0)
const text = () => z.string().min(1)

const reportShape = /* @__PURE__ */ (() => ({
  incarnation: natural(),
  leader: z.boolean(),
  term: natural(),
  leaderAddress: text().optional(),
  facts: factsSchema,
}))()

/** Checks what `report()` gave, before it is sent: others would drop it in silence. */
export const reportSchema = /* @__PURE__ */ (() => z.object(reportShape) as z.ZodType<ResponderReport>)()

export const probeCodec: Codec<ProbeMessage> = /* @__PURE__ */ (() =>
  msgpackCodec(z.object({ nonce: natural(), datacenter: text(), from: z.string() }), limits))()

export const ackCodec: Codec<AckMessage> = /* @__PURE__ */ (() =>
  msgpackCodec(
    z.object({ nonce: natural(), datacenter: text(), node: text(), ...reportShape }) as z.ZodType<AckMessage>,
    limits,
  ))()
