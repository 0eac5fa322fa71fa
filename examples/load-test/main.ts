/**
 * A distributed HTTP load test in real processes on loopback: a target, a gate, three managers and three workers.
 * A worker and the leading manager are killed; at the end every request in the result must be one that the target saw.
 *
 *   npx pnpm@10 demo [--seconds n] [--seed n] [--no-chaos] [--json file]
 */

import { SystemClock } from '@hs/core'
import { Client, type JobHandle } from '@hs/nodes'
import { bundleChild } from './bundle.js'
import { wreakHavoc, type Kill } from './chaos.js'
import { Cluster } from './cluster.js'
import { Display } from './display.js'
import { watchLaunchers } from './lifeline.js'
import { DATACENTER, MANAGERS } from './messages.js'
import { parseDemoOptions, type DemoOptions } from './options.js'
import { printReport, resumption, writeJson } from './report.js'
import { readCounts } from './target.js'
import { Timeline } from './timeline.js'
import { verify } from './verify.js'
import { describeJob } from './workflows.js'

const WORKERS = 3
const REDRAW_MS = 200
/** Far beyond what the job takes, so that a hang ends as an error. */
const GRACE_MS = 120_000

const clock = new SystemClock()
const options = parseDemoOptions(process.argv.slice(2))
const cluster = new Cluster({ entry: await bundleChild(), seed: options.seed })
const display = new Display()

process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
const stopWatching = watchLaunchers(clock, () => process.exit(1))

try {
  process.exitCode = (await demo(options)) ? 0 : 1
} catch (error) {
  console.error(`the demo failed: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
} finally {
  stopWatching()
  cluster.killAll()
}

async function demo({ seconds, chaos, json }: DemoOptions): Promise<boolean> {
  cluster.events.on('said', ({ id }, line) => display.say(`${id}: ${line}`))
  cluster.events.on('died', (node, why) => display.say(`${node.role} ${node.id} died by itself: ${why}`))
  display.say(`starting a target, a gate, ${MANAGERS} managers and ${WORKERS} workers`)
  const [target, first] = await Promise.all([cluster.start('target', 'target'), cluster.start('manager', 'm1')])
  const others = await Promise.all(
    names('m', MANAGERS)
      .slice(1)
      .map((id) => cluster.start('manager', id, [first.address])),
  )
  const managers = [first, ...others].map(({ address }) => address)
  const workers = names('w', WORKERS).map((id) => cluster.start('worker', id, managers))
  const [gate] = await Promise.all([cluster.start('gate', 'g1', managers), ...workers])

  const { job, expected } = describeJob(target.address, seconds)
  const client = new Client({ gates: [gate.address], timing: 'local' })
  try {
    const startedAt = clock.now()
    const handle = await client.submit(job, { datacenters: [DATACENTER] })
    display.say(`job ${handle.jobId}: ${job.workflows.length} workflows, ${seconds} s of load`)

    const timeline = new Timeline()
    const kills: Kill[] = []
    const watching = watch(handle, timeline, startedAt)
    const over = new AbortController()
    const havoc = wreakHavoc({
      cluster,
      clock,
      sinceMs: startedAt,
      loadMs: seconds * 1_000,
      signal: chaos ? over.signal : AbortSignal.abort(),
      onKill: (kill) => {
        kills.push(kill)
        display.say(`SIGKILL to ${describe(kill)}`)
      },
      onResumed: (kill) => display.say(resumption(kill)),
    }).catch((error: unknown) => {
      if (chaos && !over.signal.aborted) throw error
    })
    const result = await Promise.race([handle.result({ timeoutMs: seconds * 3_000 + GRACE_MS }), havoc.then(never)])
    over.abort()
    await watching
    display.done()

    const killed = new Set(kills.map(({ id }) => id))
    const verdict = verify(result, expected, await readCounts(target.address), killed)
    printReport(result, verdict, kills)
    const ok = verdict.differences.length === 0
    if (json !== undefined) {
      writeJson(json, {
        ok,
        durationMs: clock.now() - startedAt,
        kills: kills.map(({ shards: _, ...kill }) => kill),
        accounting: result.accounting,
        requests: verdict.requests,
        windows: timeline.rows(),
      })
    }
    for (const difference of verdict.differences) console.error(`DIFFERS: ${difference}`)
    console.log(
      ok ? 'exact: every counted request is one that the target served' : `${verdict.differences.length} differences`,
    )
    return ok
  } finally {
    await client.stop()
  }
}

/** `m1`, `m2` … */
function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`)
}

function describe({ role, id, shards }: Kill): string {
  return role === 'worker' ? `worker ${id}, which runs ${shards} shards` : `manager ${id}, which leads`
}

/** For a race that only a failure may win. */
function never(): Promise<never> {
  return new Promise(() => undefined)
}

/** Shows the job until its windows end. */
async function watch(handle: JobHandle, timeline: Timeline, startedAt: number): Promise<void> {
  const nodes = () =>
    (['gate', 'manager', 'worker'] as const)
      .map((role) => `${cluster.alive(role)} ${role}${cluster.alive(role) === 1 ? '' : 's'}`)
      .join(' ')
  const redraw = () => {
    display.show({
      elapsedMs: clock.now() - startedAt,
      fraction: handle.snapshot().fraction,
      row: timeline.latest(),
      nodes: nodes(),
    })
    timer = clock.setTimer(REDRAW_MS, redraw)
  }
  let timer = clock.setTimer(REDRAW_MS, redraw)
  try {
    for await (const window of handle.stats) timeline.add(window)
  } finally {
    timer.cancel()
  }
}
