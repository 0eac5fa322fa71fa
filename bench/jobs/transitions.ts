/** Legal transitions of a shard, from queued to completed, beside the pure `transition` of xstate. */
import { SHARD_TRANSITIONS, assertTransition, type ShardStatus } from '@hs/jobs'
import { createMachine, initialTransition, transition } from 'xstate'
import type { Workload } from '../harness.js'

const path: readonly ShardStatus[] = [
  'queued',
  'dispatching',
  'running',
  'queued',
  'dispatching',
  'running',
  'completed',
]

/** The same table as a machine: each status a state, each transition an event named after its target. */
const states = Object.fromEntries(
  Object.entries(SHARD_TRANSITIONS).map(([from, targets]) => [
    from,
    targets.length === 0 ? { type: 'final' as const } : { on: Object.fromEntries(targets.map((to) => [to, to])) },
  ]),
)
const machine = createMachine({ id: 'shard', initial: 'queued', states })

function ours(n: number): string {
  let at = 0
  let status: ShardStatus = 'queued'
  for (let done = 0; done < n; done++) {
    at = (at + 1) % path.length
    const next = path[at]!
    // A finished shard is followed by a new one.
    if (at === 0) status = 'queued'
    else {
      assertTransition(SHARD_TRANSITIONS, status, next)
      status = next
    }
  }
  return status
}

function theirs(n: number): unknown {
  const [initial] = initialTransition(machine)
  let state = initial
  let at = 0
  for (let done = 0; done < n; done++) {
    at = (at + 1) % path.length
    if (at === 0) state = initial
    else [state] = transition(machine, state, { type: path[at]! })
  }
  return state.value
}

export const workloads: Workload[] = [
  {
    name: 'transitions: legal ones of a shard',
    contenders: [
      { name: 'assertTransition', ours: true, run: ours },
      { name: 'xstate transition', run: theirs },
    ],
    goals: [{ peer: 'xstate transition', ratio: 50 }],
  },
]
