/**
 * `@hs/jobs` against its peers. Only ratios within one run mean anything.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 */
import { runBench } from './harness.js'
import { workloads as allocator } from './jobs/allocator.js'
import { workloads as graph } from './jobs/graph.js'
import { workloads as scheduler } from './jobs/scheduler.js'
import { workloads as transitions } from './jobs/transitions.js'

await runBench('@hs/jobs', [...graph, ...transitions, ...scheduler, ...allocator])
