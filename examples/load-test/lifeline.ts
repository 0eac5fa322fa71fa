/**
 * No process outlives who started it. Children notice a closed IPC channel; the demo itself notices that one of
 * the package-manager processes above it is gone, as after a SIGKILL that could not be passed on.
 */

import { readFileSync } from 'node:fs'
import type { Clock } from '@hs/core'

const CHECK_MS = 500

/** For a child: ends this process as soon as its parent is gone. */
export function dieWithParent(): void {
  const end = () => process.exit(1)
  if (!process.connected) end()
  process.once('disconnect', end)
}

/** For the demo: calls `lost` once when a launcher above this process (npx, pnpm, their shells) has gone. */
export function watchLaunchers(clock: Clock, lost: () => void): () => void {
  const chain = launchersAbove(process.ppid)
  const check = () => {
    const intact = process.ppid === chain[0]?.pid && chain.every(({ pid, parent }) => parentOf(pid) === parent)
    if (!intact) return lost()
    timer = clock.setTimer(CHECK_MS, check)
  }
  if (chain.length === 0) return () => undefined
  let timer = clock.setTimer(CHECK_MS, check)
  return () => timer.cancel()
}

interface Launcher {
  readonly pid: number
  readonly parent: number | null
}

/** From the nearest ancestor up to the topmost one that belongs to a package manager; empty where /proc cannot tell. */
function launchersAbove(first: number): Launcher[] {
  const chain: (Launcher & { packageManager: boolean })[] = []
  for (let pid = first; pid > 1;) {
    const parent = parentOf(pid)
    if (parent === null) break
    chain.push({ pid, parent, packageManager: /\b(pnpm|npm|npx)\b/.test(commandOf(pid)) })
    pid = parent
  }
  return chain.slice(0, chain.findLastIndex((link) => link.packageManager) + 1)
}

function parentOf(pid: number): number | null {
  const stat = readProc(pid, 'stat')
  // The name in parentheses may itself hold spaces and parentheses: the fields start after the last one.
  const parent = stat === null ? Number.NaN : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  return Number.isInteger(parent) ? parent : null
}

function commandOf(pid: number): string {
  return readProc(pid, 'cmdline')?.replaceAll('\0', ' ') ?? ''
}

/** Null where there is no such process, or no /proc. */
function readProc(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null
    throw error
  }
}
