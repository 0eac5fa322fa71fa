/** Kills a worker and the leading manager while the load runs, and measures until the work goes on. */

import { deferred, type Clock } from '@hs/core'
import { parseShardKey } from '@hs/jobs'
import type { Cluster, Node } from './cluster.js'
import { LOAD_STEPS } from './workflows.js'

export interface Kill {
  readonly role: 'worker' | 'manager'
  readonly id: string
  /** Since the job was submitted. */
  readonly atMs: number
  /** How many shards it was running. */
  readonly shards: number
  /** Until all its shards ran elsewhere, or all workers followed another manager; null while that is not so. */
  resumedAfterMs: number | null
}

export interface ChaosOptions {
  readonly cluster: Cluster
  readonly clock: Clock
  /** When the job was submitted, by `clock`. */
  readonly sinceMs: number
  /** Length of the load phase. */
  readonly loadMs: number
  readonly signal: AbortSignal
  onKill(kill: Kill): void
  onResumed(kill: Kill): void
}

/** A worker after a third of the load, the leading manager after two thirds, but not before all runs again. */
export async function wreakHavoc(options: ChaosOptions): Promise<void> {
  const { clock, loadMs, signal } = options
  await clock.sleep(loadMs / 3, signal)
  const resumed = killBusiestWorker(options)
  await clock.sleep(loadMs / 3, signal)
  await resumed
  if (!signal.aborted) await killLeadingManager(options)
}

/** Resolves when everything that it ran runs elsewhere; at once when no worker runs anything. */
function killBusiestWorker({ cluster, ...options }: ChaosOptions): Promise<void> {
  const victim = busiest(cluster.nodes)
  if (victim === null) return Promise.resolve()
  const missing = new Set(victim.running)
  const done = killed(cluster, victim, missing.size, options)
  const settled = (key: string) => {
    if (missing.delete(key) && missing.size === 0) done.resolve()
  }
  const listening = [
    cluster.events.on('shardStarted', (_node, key) => settled(key)),
    // What it had said before it died, and was not heard yet.
    cluster.events.on('shardFinished', (node, key) => {
      if (node === victim) settled(key)
    }),
  ]
  return done.promise.finally(() => {
    for (const stopListening of listening) stopListening()
  })
}

/** Resolves when another one leads and every worker has registered with it: from then on work is given out again. */
function killLeadingManager({ cluster, ...options }: ChaosOptions): Promise<void> {
  const victim = cluster.nodes.find((node) => node.leads && node.alive)
  if (victim === undefined) return Promise.resolve()
  const done = killed(cluster, victim, 0, options)
  const look = () => {
    const leader = cluster.nodes.find((node) => node.leads && node !== victim)
    const workers = cluster.nodes.filter((node) => node.role === 'worker' && node.alive)
    if (leader !== undefined && workers.every((worker) => worker.leader === leader.id)) done.resolve()
  }
  const listening = [cluster.events.on('leads', look), cluster.events.on('registered', look)]
  return done.promise.finally(() => {
    for (const stopListening of listening) stopListening()
  })
}

function killed(
  cluster: Cluster,
  victim: Node,
  shards: number,
  { clock, sinceMs, onKill, onResumed }: Omit<ChaosOptions, 'cluster'>,
): { resolve(): void; promise: Promise<void> } {
  const killedAt = clock.now()
  const role = victim.role === 'manager' ? 'manager' : 'worker'
  const kill: Kill = { role, id: victim.id, atMs: killedAt - sinceMs, shards, resumedAfterMs: null }
  cluster.kill(victim)
  onKill(kill)
  const { promise, resolve } = deferred<undefined>()
  return {
    resolve: () => resolve(undefined),
    promise: promise.then(() => {
      kill.resumedAfterMs = clock.now() - killedAt
      onResumed(kill)
    }),
  }
}

/** The worker with the most shards, among those that carry a part of the load if there are any. */
function busiest(nodes: readonly Node[]): Node | null {
  const working = nodes.filter((n) => n.role === 'worker' && n.alive && n.running.size > 0)
  const loaded = working.filter((n) => [...n.running].some(isLoad))
  const busy = loaded.length > 0 ? loaded : working
  return busy.reduce<Node | null>(
    (most, node) => (most === null || node.running.size > most.running.size ? node : most),
    null,
  )
}

function isLoad(key: string): boolean {
  return (LOAD_STEPS as readonly string[]).includes(parseShardKey(key).workflowId)
}
