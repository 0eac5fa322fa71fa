/**
 * Does what is urgent pass what is large? 256 KiB messages of low priority are queued to a peer that reads 10 MB/s, and
 * meanwhile one small critical call after another is made. `grpc-js` does the same on one channel.
 */
import { dialGrpc } from './grpc.js'
import { median } from './load.js'
import type { OtherProcess } from './other-process.js'
import { dialOurs } from './ours.js'

export interface PriorityPlan {
  readonly messages: number
  readonly messageBytes: number
  readonly unloadedMs: number
}

export interface PriorityFigure {
  readonly name: string
  readonly unloadedP99Ms: number
  readonly loadedP99Ms: number
  readonly loadedP50Ms: number
  /** Critical calls answered while the load lasted. */
  readonly calls: number
  readonly loadMs: number
}

type Call = (body: Uint8Array) => Promise<Uint8Array>

export async function measurePriority(other: OtherProcess, plan: PriorityPlan): Promise<PriorityFigure[]> {
  const ours = await dialOurs(await other.ask('throttle', await other.ask('ours')))
  const grpc = await dialGrpc(await other.ask('throttle', await other.ask('grpc')))
  try {
    return [
      await measure(
        '@hs/transport',
        plan,
        (body) => ours.call('critical', body),
        (body) => ours.call('take', body),
      ),
      await measure(
        '@grpc/grpc-js',
        plan,
        (body) => grpc.call('echo', body),
        (body) => grpc.call('take', body),
      ),
    ]
  } finally {
    await ours.close()
    await grpc.close()
  }
}

async function measure(name: string, plan: PriorityPlan, critical: Call, low: Call): Promise<PriorityFigure> {
  const small = Buffer.alloc(64)
  await oneByOne(small, critical, within(plan.unloadedMs)) // warms up
  const unloaded = await oneByOne(small, critical, within(plan.unloadedMs))

  const large = Buffer.alloc(plan.messageBytes)
  const start = performance.now()
  let remaining = plan.messages
  const load = Promise.all(Array.from({ length: plan.messages }, () => low(large).then(() => void remaining--)))
  const loaded = await oneByOne(small, critical, () => remaining > 0)
  await load
  return {
    name,
    unloadedP99Ms: quantile(unloaded, 0.99),
    loadedP99Ms: quantile(loaded, 0.99),
    loadedP50Ms: median(loaded),
    calls: loaded.length,
    loadMs: performance.now() - start,
  }
}

async function oneByOne(body: Uint8Array, call: Call, goesOn: () => boolean): Promise<number[]> {
  const latencies: number[] = []
  while (goesOn()) {
    const start = performance.now()
    await call(body)
    latencies.push(performance.now() - start)
  }
  return latencies
}

function within(ms: number): () => boolean {
  const end = performance.now() + ms
  return () => performance.now() < end
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}
