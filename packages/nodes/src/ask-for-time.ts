/** A worker's question to its leader for more time of a shard. */
import type { AskForTime } from './execution.js'
import type { LeaderLink } from './leader-link.js'
import { isLinkFailure } from './link-failure.js'
import type { NodeLife } from './node-life.js'
import { workerExtend } from './wire/manager-worker.js'

/** Of what people read. */
const MAX_REASON = 256

/** Whatever stands in the way is a denial: the shard ends when its time is over, as if nobody had asked. */
export async function askLeaderForTime(
  life: NodeLife,
  { leader }: LeaderLink,
  { reason, ...asked }: Parameters<AskForTime>[0],
): Promise<number> {
  if (leader === null) return 0
  const { id, generation, peer, scope, reporter, label } = life
  const request = { ...asked, workerId: id, incarnation: generation, reason: String(reason).slice(0, MAX_REASON) }
  try {
    const answer = await peer.ask(leader.address, workerExtend, request, { signal: scope.signal })
    return answer.ok && answer.granted ? answer.extraMs : 0
  } catch (error) {
    if (!isLinkFailure(error) && !scope.signal.aborted) reporter.report(`${label}.extend`, error, { key: asked.key })
    return 0
  }
}
