/**
 * `@hs/core` against its peers. Only ratios within one run mean anything.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 */
import { workloads as boundedMap } from './core/bounded-map.js'
import { workloads as codec } from './core/codec.js'
import { workloads as mutex } from './core/mutex.js'
import { workloads as randomAndIds } from './core/random-and-ids.js'
import { workloads as semaphore } from './core/semaphore.js'
import { workloads as timingWheel } from './core/timing-wheel.js'
import { workloads as virtualClock } from './core/virtual-clock.js'
import { runBench } from './harness.js'

await runBench('@hs/core', [
  ...virtualClock,
  ...timingWheel,
  ...codec,
  ...boundedMap,
  ...mutex,
  ...semaphore,
  ...randomAndIds,
])
