/**
 * `@hs/crdt` against its peers and a bare `Map`. Only ratios within one run mean anything.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 */
import { runBench } from './harness.js'
import { printBytes } from './crdt/bytes.js'
import { workloads as counters } from './crdt/counters.js'
import { workloads as jobStats } from './crdt/job-stats.js'
import { workloads as sets } from './crdt/sets.js'

await runBench('@hs/crdt', [...counters, ...sets, ...jobStats])
printBytes()
