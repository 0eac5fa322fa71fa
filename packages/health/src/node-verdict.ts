/**
 * What is thought of a node, by its three signals. There are few enough verdicts for each to be made once: judging
 * thousands of nodes allocates nothing.
 */
import { overloadStates, type OverloadState } from '@hs/core'
import { progresses, type Progress } from './progress.js'

/** From best to worst. */
export const nodeStatuses = ['healthy', 'busy', 'slow', 'degraded', 'stuck', 'suspect'] as const
export type NodeStatus = (typeof nodeStatuses)[number]

/**
 * `'route'`: give it work. `'investigate'`: only when no other has room. `'drain'`: no new work, what it has may end.
 * `'evict'`: its work is lost.
 */
export type RoutingAdvice = 'route' | 'investigate' | 'drain' | 'evict'

export interface NodeVerdict {
  readonly status: NodeStatus
  readonly advice: RoutingAdvice
  /** Heard of lately, and not missed too often. */
  readonly live: boolean
  /** Says that it takes work, has room, and is not overloaded. */
  readonly ready: boolean
  readonly progress: Progress
  /** As it said last; healthy before that. */
  readonly overload: OverloadState
}

export interface NodeSignals {
  readonly live: boolean
  readonly ready: boolean
  readonly progress: Progress
  readonly overload: OverloadState
  /** It has been stuck for so long that its work is given up. */
  readonly isGivenUp: boolean
}

/** The first row that holds. */
export function judgeNode({ live, ready, progress, overload, isGivenUp }: NodeSignals): [NodeStatus, RoutingAdvice] {
  if (!live) return ['suspect', 'evict']
  if (progress === 'stuck') return ['stuck', isGivenUp ? 'evict' : 'drain']
  if (progress === 'slow' || progress === 'degraded' || overload === 'stressed')
    return ready ? ['slow', 'investigate'] : ['degraded', 'drain']
  return ready ? ['healthy', 'route'] : ['busy', 'drain']
}

const verdicts: (NodeVerdict | undefined)[] = []

/** Frozen, and the same object for the same signals. */
export function verdictOn(signals: NodeSignals): NodeVerdict {
  const { live, ready, progress, overload, isGivenUp } = signals
  const flags = (live ? 1 : 0) + (ready ? 2 : 0) + (isGivenUp ? 4 : 0)
  const place = (progresses.indexOf(progress) * overloadStates.length + overloadStates.indexOf(overload)) * 8 + flags
  return (verdicts[place] ??= makeVerdict(signals))
}

function makeVerdict(signals: NodeSignals): NodeVerdict {
  const [status, advice] = judgeNode(signals)
  const { live, ready, progress, overload } = signals
  return Object.freeze({ status, advice, live, ready, progress, overload })
}
