/** Heap of what a function makes, typed arrays included: the mean of many, between full collections. */
import { filled, type Kind } from './sketches.js'
import { stream } from './streams.js'

/** Of sketches of as many log-normal samples, other ones each. */
export function heapOfSketch<T>(kind: Kind<T>, samples: number): number {
  const copies = Math.min(200, Math.ceil(400_000 / samples))
  const all = stream('log-normal', samples * copies)
  return heapOf(copies, (i) => filled(kind, all.subarray(i * samples, (i + 1) * samples)))
}

export function heapOf(count: number, make: (i: number) => unknown): number {
  const collect = globalThis.gc
  if (collect === undefined) throw new Error('run with --expose-gc')
  const used = () => {
    collect()
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  // The first ones make what all share: tables, hidden classes, compiled code.
  for (let i = 0; i < Math.min(10, count); i++) make(i)
  const held: unknown[] = new Array(count).fill(0)
  const before = used()
  for (let i = 0; i < count; i++) held[i] = make(i)
  const bytes = (used() - before) / count
  held.length = 0
  return bytes
}
