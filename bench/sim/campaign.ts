/**
 * Campaigns: what the checks cost that tell how a failure can be trusted and seen again, and what a second thread is
 * worth. An operation is a whole campaign of the lease scenario.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { simulate } from '@hs/sim'
import type { Contender, Workload } from '../harness.js'
import leaseScenario from './lease-scenario.js'

const isSmoke = process.argv.includes('--smoke')
/** A long campaign, where the start of a process and of its threads, each of which compiles anew, does not count. */
const COMMAND_SEEDS = isSmoke ? 20 : 2_500
/** So many that a second run of the first one weighs as little as it does in a campaign. */
const SEEDS = isSmoke ? 20 : 200

async function runCampaigns(n: number): Promise<number> {
  let events = 0
  for (let i = 0; i < n; i++) events += (await simulate(leaseScenario, { seeds: SEEDS })).events
  return events
}

/** The hash of the trace is always made; without a tail that is all that is left of it. */
async function runUnchecked(n: number): Promise<number> {
  const scenario = { ...leaseScenario, options: { traceTail: 1 } }
  let events = 0
  for (let i = 0; i < n; i++)
    events += (await simulate(scenario, { seeds: SEEDS, checkDeterminism: false, shrink: false })).events
  return events
}

/** The command and the scenario as plain JavaScript, so that no time goes into compiling them. */
async function bundleInto(folder: string): Promise<void> {
  const path = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url))
  await build({
    entryPoints: { 'hs-sim': path('packages/sim/src/cli/hs-sim.ts'), scenario: path('bench/sim/lease-scenario.ts') },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    tsconfig: path('tsconfig.json'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    // commander is CommonJS, and requires what is built into Node.
    banner: { js: "import { createRequire as cr } from 'node:module'\nconst require = cr(import.meta.url)" },
    logLevel: 'warning',
  })
}

async function runCommand(folder: string, workers: number): Promise<void> {
  const file = (name: string) => join(folder, name)
  const args = [
    file('hs-sim.mjs'),
    file('scenario.mjs'),
    '--json',
    '--seeds',
    `${COMMAND_SEEDS}`,
    '--workers',
    `${workers}`,
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`hs-sim ended with exit code ${code}`)
}

function command(name: string, workers: number, ours: boolean): Contender {
  let folder = ''
  return {
    name,
    ours,
    async setup() {
      folder = await mkdtemp(join(tmpdir(), 'hs-sim-bench-'))
      await bundleInto(folder)
    },
    async run(n) {
      for (let i = 0; i < n; i++) await runCommand(folder, workers)
      return n
    },
    teardown: () => rm(folder, { recursive: true, force: true }),
  }
}

export const workloads: readonly Workload[] = [
  {
    name: `campaigns of ${SEEDS} seeds of the lease scenario`,
    contenders: [
      { name: 'checked: first seed twice, trace kept, shrinking', ours: true, run: runCampaigns },
      { name: 'unchecked', run: runUnchecked },
    ],
    goals: [{ peer: 'unchecked', ratio: 0.87 }],
  },
  {
    name: `hs-sim, campaigns of ${COMMAND_SEEDS} seeds`,
    contenders: [command('--workers 2', 2, true), command('--workers 1', 1, false)],
    goals: [{ peer: '--workers 1', ratio: 1.7 }],
  },
]
