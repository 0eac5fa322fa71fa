/**
 * What other processes use, as Linux tells it in `/proc`. The CPU time never goes back: that of a process that has ended
 * stays in the total.
 */
import { readFileSync } from 'node:fs'

export interface ProcessUsage {
  readonly cpuMs: number
  readonly memoryBytes: number
}

/** `USER_HZ`, in which the kernel counts for programs, is 100 on every architecture that Node runs on. */
const TICK_MS = 10

function readProcessUsage(pid: number): ProcessUsage | undefined {
  try {
    const cpuMs = parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    return cpuMs === undefined
      ? undefined
      : { cpuMs, memoryBytes: parseRss(readFileSync(`/proc/${pid}/status`, 'utf8')) }
  } catch {
    // It has ended, or this is not Linux.
    return undefined
  }
}

/** User and system time of a line of `/proc/<pid>/stat`. The name of the program may hold anything, parentheses too. */
export function parseStat(stat: string): number | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  return Number.isFinite(ticks) ? ticks * TICK_MS : undefined
}

/** 0 for one that has ended and was not waited for. */
export function parseRss(status: string): number {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]
  return kilobytes === undefined ? 0 : Number(kilobytes) * 1_024
}

/** The processes of a list that changes. */
export class ChildUsage {
  /** What each had used when it was last seen. */
  #cpuMs = new Map<number, number>()
  /** What those used that are gone. */
  #goneMs = 0
  readonly #usageOf: (pid: number) => ProcessUsage | undefined

  /** @param usageOf what one process uses now; undefined if it is gone. @default as `/proc` says */
  constructor(usageOf: (pid: number) => ProcessUsage | undefined = readProcessUsage) {
    this.#usageOf = usageOf
  }

  /** All of them together; those that cannot be read count as gone. */
  read(pids: readonly number[]): ProcessUsage {
    const seen = new Map<number, number>()
    let memoryBytes = 0
    for (const pid of new Set(pids)) {
      const usage = Number.isInteger(pid) && pid > 0 ? this.#usageOf(pid) : undefined
      if (usage === undefined) continue
      seen.set(pid, usage.cpuMs)
      memoryBytes += usage.memoryBytes
    }
    // A process that has used less than before is another one with the same number.
    for (const [pid, cpuMs] of this.#cpuMs) if ((seen.get(pid) ?? -1) < cpuMs) this.#goneMs += cpuMs
    this.#cpuMs = seen
    let cpuMs = this.#goneMs
    for (const used of seen.values()) cpuMs += used
    return { cpuMs, memoryBytes }
  }
}
