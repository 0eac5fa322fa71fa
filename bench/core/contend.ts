/** Does `n` operations, `concurrency` at a time: as many loops, each awaiting one operation after the other. */
export async function contend(operation: () => Promise<unknown>, concurrency: number, n: number): Promise<number> {
  let started = 0
  const loop = async () => {
    while (started < n) {
      started++
      await operation()
    }
  }
  await Promise.all(Array.from({ length: concurrency }, loop))
  return started
}
