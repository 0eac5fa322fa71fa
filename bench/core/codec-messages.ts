/**
 * What the codec is measured with: packets as a gossip protocol sends them, and stats as a worker pushes them.
 * Many different ones, so that nobody's cache sees the same message twice in a row.
 */
import * as z from 'zod'
import { SeededRandom } from '@hs/core/testing'

const update = z.object({
  name: z.string(),
  address: z.string(),
  status: z.enum(['alive', 'suspect', 'dead', 'left']),
  incarnation: z.int().min(0),
})

export const gossipSchema = z.object({ kind: z.literal('ping'), seq: z.int(), updates: z.array(update).max(64) })

export const statsSchema = z.object({
  worker: z.string(),
  job: z.string(),
  seq: z.int().min(0),
  at: z.number(),
  workflows: z.array(
    z.object({
      workflow: z.string(),
      region: z.string(),
      version: z.string(),
      done: z.int().min(0),
      failed: z.int().min(0),
      retried: z.int().min(0),
      active: z.int().min(0),
      meanMs: z.number(),
      p50Ms: z.number(),
      p99Ms: z.number(),
      maxMs: z.number(),
      firstBucket: z.int(),
      buckets: z.array(z.number()),
    }),
  ),
})

export type Gossip = z.output<typeof gossipSchema>
export type Stats = z.output<typeof statsSchema>

const statuses = ['alive', 'alive', 'alive', 'suspect', 'dead', 'left'] as const

/** 64 packets of six updates each, 483 bytes or little more or less, about 200 members. */
export function gossipPackets(): Gossip[] {
  const random = new SeededRandom('gossip')
  return Array.from({ length: 64 }, (_, seq) => ({
    kind: 'ping' as const,
    seq: 1_000 + seq,
    updates: Array.from({ length: 6 }, () => {
      const member = random.int(200)
      return {
        name: `worker-${member}@0001fk3`,
        address: `10.20.${member % 16}.${100 + (member % 100)}:7946`,
        status: random.pick(statuses),
        incarnation: random.int(300),
      }
    }),
  }))
}

/** 8 pushes of 100 workflows each, about 20 kB. */
export function statsPushes(): Stats[] {
  const random = new SeededRandom('stats')
  return Array.from({ length: 8 }, (_, seq) => ({
    worker: `worker-${seq}@0001fk3`,
    job: '018cc251-f400-7c3e-9b1a-2f6d5e4c3b2a',
    seq,
    at: 1_704_067_200_000 + seq * 1_000,
    workflows: Array.from({ length: 100 }, (_, i) => ({
      workflow: `checkout-step-${i}`,
      region: 'eu-west',
      version: '2.14.0',
      done: random.int(100_000),
      failed: random.int(50),
      retried: random.int(500),
      active: random.int(64),
      meanMs: random.next() * 100,
      p50Ms: random.next() * 100,
      p99Ms: random.next() * 1_000,
      maxMs: random.next() * 5_000,
      firstBucket: 40 + random.int(20),
      buckets: Array.from({ length: 10 }, () => random.int(2_000)),
    })),
  }))
}
