/**
 * `TimingWheel` beside the timers of Node, 100,000 of them live, with delays of 30 to 90 seconds as timeouts of
 * requests and peers have. What ends is replaced, so that there are always as many; in the order of their making, and
 * in no order, where both wait for memory more than for anything else.
 */
import { TimingWheel, type WheelTimer } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import type { Contender, Workload } from '../harness.js'

const LIVE = 100_000

const random = new SeededRandom('timing-wheel')
const delays = Int32Array.from({ length: 131_071 }, () => 30_000 + random.int(60_000))
const inOrder = Int32Array.from({ length: LIVE }, (_, i) => i)
const inNoOrder = Int32Array.from(random.shuffle(Array.from(inOrder)))
const noop = () => {}

type Operation<T> = (timers: T[], at: number, delayMs: number) => void

/** Calls `operation` n times, each on the next one of the live timers. */
function contender<T>(
  options: { name: string; ours?: boolean; order: Int32Array; arm(delayMs: number): T; disarm(timer: T): void },
  operation: Operation<T>,
): Contender {
  const { name, ours = false, order, arm, disarm } = options
  let timers: T[] = []
  let turn = 0
  return {
    name,
    ours,
    setup() {
      timers = Array.from({ length: LIVE }, (_, i) => arm(delays[i % delays.length]!))
    },
    run(n) {
      for (let i = 0; i < n; i++, turn++) operation(timers, order[turn % LIVE]!, delays[turn % delays.length]!)
      return timers.length
    },
    teardown() {
      timers.forEach(disarm)
      timers = []
    },
  }
}

function onWheel(
  name: string,
  order: Int32Array,
  makeOperation: (wheel: TimingWheel) => Operation<WheelTimer>,
): Contender {
  const wheel = new TimingWheel()
  return contender(
    {
      name,
      ours: true,
      order,
      arm: (delayMs) => wheel.schedule(delayMs, noop),
      disarm: (timer) => timer.cancel(),
    },
    makeOperation(wheel),
  )
}

function onNode(name: string, order: Int32Array, operation: Operation<NodeJS.Timeout>): Contender {
  return contender(
    { name, order, arm: (delayMs) => setTimeout(noop, delayMs), disarm: (timer) => clearTimeout(timer) },
    operation,
  )
}

const replaceOnWheel = (order: Int32Array) =>
  onWheel('schedule, cancel', order, (wheel) => (timers, at, delayMs) => {
    timers[at]!.cancel()
    timers[at] = wheel.schedule(delayMs, noop)
  })
const rescheduleOnWheel = (order: Int32Array) =>
  onWheel('reschedule', order, () => (timers, at, delayMs) => timers[at]!.reschedule(delayMs))
const replaceOnNode = (order: Int32Array) =>
  onNode('setTimeout, clearTimeout', order, (timers, at, delayMs) => {
    clearTimeout(timers[at])
    timers[at] = setTimeout(noop, delayMs)
  })
const refreshOnNode = (order: Int32Array) => onNode('Timeout.refresh', order, (timers, at) => timers[at]!.refresh())

export const workloads: Workload[] = [
  {
    name: 'timing-wheel: one ends, one begins',
    contenders: [replaceOnWheel(inOrder), replaceOnNode(inOrder)],
    goals: [{ peer: 'setTimeout, clearTimeout', ratio: 5 }],
  },
  {
    name: 'timing-wheel: begins and ends at once',
    contenders: [
      onWheel('schedule, cancel', inOrder, (wheel) => (_, __, delayMs) => wheel.schedule(delayMs, noop).cancel()),
      onNode('setTimeout, clearTimeout', inOrder, (_, __, delayMs) => clearTimeout(setTimeout(noop, delayMs))),
    ],
  },
  {
    name: 'timing-wheel: reschedule in order',
    contenders: [rescheduleOnWheel(inOrder), replaceOnNode(inOrder), refreshOnNode(inOrder)],
    goals: [
      { peer: 'setTimeout, clearTimeout', ratio: 5 },
      { peer: 'Timeout.refresh', ratio: 2 },
    ],
  },
  {
    name: 'timing-wheel: reschedule in no order',
    contenders: [rescheduleOnWheel(inNoOrder), replaceOnNode(inNoOrder), refreshOnNode(inNoOrder)],
  },
]
