/**
 * `msgpackCodec` beside msgpackr, JSON, @msgpack/msgpack, cbor-x and structuredClone, on packets of gossip and pushes
 * of stats. msgpackr behind our check stands beside our own encoder and decoder: that is how one of them was chosen.
 */
import { msgpackCodec } from '@hs/core'
import { Decoder, Encoder } from '@msgpack/msgpack'
import { Decoder as CborDecoder, Encoder as CborEncoder } from 'cbor-x'
import { Packr, Unpackr } from 'msgpackr'
import * as z from 'zod'
import { MsgpackChecker } from '../../packages/core/src/msgpack-check.js'
import type { Contender, Workload } from '../harness.js'
import { gossipPackets, gossipSchema, statsPushes, statsSchema } from './codec-messages.js'

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false })
const peerEncoder = new Encoder()
const peerDecoder = new Decoder()
const cborEncoder = new CborEncoder({ useRecords: false })
const cborDecoder = new CborDecoder({ useRecords: false })

/** Does the operation on one message after the other. */
function over<T>(name: string, messages: readonly T[], operation: (message: T) => unknown): Contender {
  let turn = 0
  return {
    name,
    run(n) {
      let last: unknown
      for (let i = 0; i < n; i++) last = operation(messages[turn++ % messages.length]!)
      return last
    },
  }
}

const ours = (contender: Contender): Contender => ({ ...contender, ours: true })

function workloadsOf<S extends z.core.$ZodType>(kind: string, schema: S, messages: readonly z.output<S>[]): Workload[] {
  const codec = msgpackCodec(schema)
  const withoutSchema = msgpackCodec(z.unknown())
  const checker = new MsgpackChecker({ maxDepth: 32, maxItems: 65_536 })
  const packed = messages.map((message) => codec.encode(message))
  const texts = messages.map((message) => JSON.stringify(message))
  const cbor = messages.map((message) => new Uint8Array(cborEncoder.encode(message)))
  const parse = (value: unknown) => z.core.safeParse(schema, value)
  return [
    {
      name: `codec: encode ${kind}`,
      contenders: [
        ours(over('msgpackCodec', messages, codec.encode)),
        over('msgpackr + copy', messages, (message) => new Uint8Array(packr.pack(message))),
        over('JSON.stringify', messages, (message) => JSON.stringify(message)),
        over('@msgpack/msgpack', messages, (message) => peerEncoder.encode(message)),
        over('cbor-x + copy', messages, (message) => new Uint8Array(cborEncoder.encode(message))),
      ],
      goals: [{ peer: 'msgpackr + copy', ratio: 1 }],
    },
    {
      name: `codec: check and decode ${kind}`,
      contenders: [
        over('check alone', packed, (bytes) => checker.check(bytes)),
        ours(over('msgpackCodec without schema', packed, withoutSchema.decode)),
        over('check + msgpackr', packed, (bytes) => {
          checker.check(bytes)
          return unpackr.unpack(bytes) as unknown
        }),
        over('msgpackr', packed, (bytes) => unpackr.unpack(bytes) as unknown),
        over('@msgpack/msgpack', packed, (bytes) => peerDecoder.decode(bytes)),
        over('cbor-x', cbor, (bytes) => cborDecoder.decode(bytes) as unknown),
        over('JSON.parse', texts, (text) => JSON.parse(text) as unknown),
        over('structuredClone', messages, (message) => structuredClone(message)),
      ],
      goals: [
        { ours: 'check alone', peer: 'msgpackr', ratio: 5 },
        { peer: 'msgpackr', ratio: 0.8 },
      ],
    },
    {
      name: `codec: decode ${kind} with schema`,
      contenders: [
        ours(over('msgpackCodec', packed, codec.decode)),
        over('JSON.parse + zod', texts, (text) => parse(JSON.parse(text))),
        over('@msgpack/msgpack + zod', packed, (bytes) => parse(peerDecoder.decode(bytes))),
        over('zod alone', messages, parse),
      ],
      goals: [
        { peer: 'JSON.parse + zod', ratio: 1 },
        { peer: '@msgpack/msgpack + zod', ratio: 1.3 },
      ],
    },
  ]
}

export const workloads: Workload[] = [
  ...workloadsOf('a gossip packet', gossipSchema, gossipPackets()),
  ...workloadsOf('a stats push', statsSchema, statsPushes()),
]
