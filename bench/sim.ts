/**
 * `@hs/sim` against its peers. Only ratios within one run mean anything.
 * Flags: `--smoke` (does it run at all), `--only text` (workloads whose name contains it), `--json file`.
 */
import { runBench } from './harness.js'
import { workloads as campaign } from './sim/campaign.js'
import { workloads as pingPong } from './sim/ping-pong.js'
import { workloads as requestAnswer } from './sim/request-answer.js'
import { workloads as swim } from './sim/swim.js'

await runBench('@hs/sim', [...pingPong, ...requestAnswer, ...swim, ...campaign])
