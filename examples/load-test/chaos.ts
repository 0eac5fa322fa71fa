/** Kills a worker in the middle of the load and measures until everything that it ran runs again. */

import type { Clock } from '@hs/core'
import { parseShardKey } from '@hs/jobs'
import type { Cluster, Node } from './cluster.js'
import { LOAD_STEPS } from './workflows.js'

export interface Kill {
  readonly role: string
  readonly id: string
  /** Since the job was submitted. */
  readonly atMs: number
  /** Keys of the shards that it was running. */
  readonly lostShards: readonly string[]
  /** From the kill until all of them ran elsewhere; null while they do not. */
  resumedAfterMs: number | null
}

/** Kills the busiest worker. Null when no worker runs anything. */
export function killBusiestWorker(
  cluster: Cluster,
  clock: Clock,
  sinceMs: number,
  resumed: (kill: Kill) => void,
): Kill | null {
  const victim = busiest(cluster.nodes)
  if (victim === null) return null
  const killedAt = clock.now()
  const missing = new Set(victim.running)
  const kill: Kill = {
    role: victim.role,
    id: victim.id,
    atMs: killedAt - sinceMs,
    lostShards: [...missing],
    resumedAfterMs: null,
  }
  cluster.kill(victim)

  const settled = (key: string) => {
    if (!missing.delete(key) || missing.size > 0) return
    for (const stopListening of listening) stopListening()
    kill.resumedAfterMs = clock.now() - killedAt
    resumed(kill)
  }
  const listening = [
    cluster.events.on('shardStarted', (_node, key) => settled(key)),
    // What it had said before it died, and was not heard yet.
    cluster.events.on('shardFinished', (node, key) => {
      if (node === victim) settled(key)
    }),
  ]
  return kill
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
