/**
 * What this process uses, its children too if they are named, and what it may use: by its control group, or else by the
 * machine.
 */
import { availableParallelism, totalmem } from 'node:os'
import process from 'node:process'
import { ClosedError, parseOptions, runtimeShape, type RuntimeOptions } from '@hs/core'
import * as z from 'zod'
import type { ResourceSample, ResourceSource } from '../resource-monitor.js'
import { readCgroupLimits } from './cgroup-limits.js'
import { ChildUsage } from './child-usage.js'
import { EventLoopDelay } from './event-loop-delay.js'

/** Clock, dice and log are taken as everywhere, though the source needs none of them. */
export interface NodeResourceSourceOptions extends RuntimeOptions {
  /** Where the control groups are mounted. @default '/sys/fs/cgroup' */
  cgroupRoot?: string
  /** Asked with each sample for the processes that count as well; on Linux only. @default none */
  childPids?: () => readonly number[]
}

export interface NodeResourceSource extends ResourceSource {
  /** @throws ClosedError after `close`, and what `childPids` throws. */
  sample(): ResourceSample
  /** Stops watching the event loop. Idempotent. */
  close(): void
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    cgroupRoot: z.string().min(1).optional(),
    childPids: z.custom<() => readonly number[]>((x) => typeof x === 'function', 'expected a function').optional(),
  }))()

/**
 * A source for `ResourceMonitor`. The limits are read once. It watches the event loop until it is closed, which keeps no
 * process alive.
 * @throws ConfigError
 */
export function nodeResourceSource(options?: NodeResourceSourceOptions): NodeResourceSource {
  const { cgroupRoot, childPids } = parseOptions(schema, options, 'nodeResourceSource')
  const { cpus, memoryBytes } = readCgroupLimits(cgroupRoot)
  const machine = { cores: availableParallelism(), memoryBytes: totalmem() }
  const limits = {
    cpuLimit: Math.min(cpus ?? Infinity, machine.cores),
    memoryLimitBytes: Math.min(memoryBytes ?? Infinity, machine.memoryBytes),
  }
  const children = new ChildUsage()
  const loop = new EventLoopDelay()
  let isClosed = false
  return {
    sample() {
      if (isClosed) throw new ClosedError('nodeResourceSource')
      const { user, system } = process.cpuUsage()
      const others = children.read(childPids?.() ?? [])
      return {
        ...limits,
        cpuMs: (user + system) / 1_000 + others.cpuMs,
        memoryBytes: process.memoryUsage.rss() + others.memoryBytes,
        eventLoopDelayMs: loop.read(),
      }
    },
    close() {
      isClosed = true
      loop.close()
    },
  }
}
