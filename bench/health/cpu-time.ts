/** Absolute figures, where there is no peer to take turns with: in CPU time, for the machine does other things too. */

/** Milliseconds of this process's CPU time for `work`, by the median of rounds, the first ones left out. */
export function cpuMsOf(rounds: number, work: () => unknown): number {
  const samples = Array.from({ length: rounds + 3 }, () => {
    const before = process.cpuUsage()
    work()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1_000
  }).slice(3)
  return samples.sort((a, b) => a - b)[Math.floor(samples.length / 2)] ?? NaN
}
