/** Heap of what a function makes, typed arrays included: the mean of many, between full collections. */

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
  for (let i = 0; i < 10; i++) make(i)
  const held: unknown[] = new Array(count).fill(0)
  const before = used()
  for (let i = 0; i < count; i++) held[i] = make(i)
  const bytes = (used() - before) / count
  held.length = 0
  return bytes
}
