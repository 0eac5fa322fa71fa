/** A process that burns and holds what its parent says over IPC, and tells what the kernel counted for it. */

import process from 'node:process'
import { nodeResourceSource, readCgroupLimits } from '@hs/health/node'

export interface Order {
  /** CPU time to burn, in milliseconds. */
  readonly burnMs?: number
  /** Memory to hold from now on, in bytes. */
  readonly holdBytes?: number
}

export interface Told {
  readonly cpuMs: number
  readonly rssBytes: number
  readonly limits: { readonly cpus?: number; readonly memoryBytes?: number }
  readonly cpuLimit: number
}

let held: Buffer | undefined

const cpuMs = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

const source = nodeResourceSource()

process.once('disconnect', () => process.exit(0))
process.on('message', ({ burnMs = 0, holdBytes }: Order) => {
  if (holdBytes !== undefined) held = Buffer.alloc(holdBytes, 1)
  const until = cpuMs() + burnMs
  let x = held?.length ?? 0
  while (cpuMs() < until) for (let i = 0; i < 10_000; i++) x = (x * 31 + i) % 1_000_003
  const { cpuLimit } = source.sample()
  const told: Told = { cpuMs: cpuMs(), rssBytes: process.memoryUsage.rss(), limits: readCgroupLimits(), cpuLimit }
  process.send?.(told)
})
