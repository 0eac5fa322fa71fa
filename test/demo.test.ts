/** The demo as a user runs it: real processes, one of them killed, and nothing left behind however it ends. */

import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '@hs/core'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
/** What the demo needs at least: itself, the target, a gate, three managers and three workers. */
const PROCESSES = 9

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly output: string
}

function startDemo(...args: string[]): {
  process: ChildProcess
  ended: Promise<Ended>
  said(text: string): Promise<void>
} {
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/load-test/main.ts', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  const waiting: { text: string; done: () => void }[] = []
  const heard = (chunk: Buffer) => {
    output += chunk.toString()
    for (const { text, done } of waiting) if (output.includes(text)) done()
  }
  child.stdout.on('data', heard)
  child.stderr.on('data', heard)
  const ended = new Promise<Ended>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal, output })),
  )
  const said = (text: string) =>
    Promise.race([
      new Promise<void>((done) => waiting.push({ text, done })),
      ended.then(() => {
        throw new Error(`the demo ended without saying "${text}":\n${output}`)
      }),
    ])
  return { process: child, ended, said }
}

/** The process and all below it. */
function familyOf(pid: number): number[] {
  const tasks = `/proc/${pid}/task`
  if (!existsSync(tasks)) return []
  const children = readdirSync(tasks).flatMap((task) => readFileSync(`${tasks}/${task}/children`, 'utf8').split(' '))
  return [pid, ...children.filter((text) => text.trim() !== '').flatMap((text) => familyOf(Number(text)))]
}

function isAlive(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
}

/** Resolves when none of them lives; the test's own timeout is the bound. */
async function allGone(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await systemClock.sleep(50)
}

describe('the demo', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hs-demo-'))
  })
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  it(
    'kills a worker and the leading manager, and every counted request is one that the target served',
    { timeout: 120_000 },
    async () => {
      const json = join(folder, 'report.json')
      const { code, output } = await startDemo('--seconds', '3', '--json', json).ended
      expect(output).toContain('exact: every counted request is one that the target served')
      expect(code).toBe(0)
      const report = JSON.parse(readFileSync(json, 'utf8')) as {
        ok: boolean
        kills: { role: string; id: string; atMs: number; resumedAfterMs: number }[]
        accounting: { workflows: number; completed: number; executions: number; requeued: number }
        requests: { counted: number; served: number; uncounted: number }
        windows: { requests: number; p99: number | null }[]
      }
      expect(report.ok).toBe(true)
      expect(report.kills.map(({ role }) => role)).toEqual(['worker', 'manager'])
      expect(report.kills[0]?.id).toMatch(/^w[123]$/)
      expect(report.kills[1]?.id).toMatch(/^m[123]$/)
      for (const { resumedAfterMs } of report.kills) expect(resumedAfterMs).toBeGreaterThan(0)
      expect(report.accounting).toMatchObject({ workflows: 45, completed: 45 })
      expect(report.accounting.requeued).toBeGreaterThan(0)
      // login 5, catalog 10, browse 10 users x 40/s, checkout 3 users x 20/s, 40 batches of 20, for 3 s
      expect(report.requests.counted).toBe(5 + 10 + 10 * 120 + 3 * 60 + 40 * 20)
      expect(report.requests.served).toBe(report.requests.counted + report.requests.uncounted)
      expect(report.windows.length).toBeGreaterThan(2)
    },
  )

  it('runs without a kill', { timeout: 120_000 }, async () => {
    const json = join(folder, 'report.json')
    const { code } = await startDemo('--seconds', '1', '--no-chaos', '--json', json).ended
    expect(code).toBe(0)
    expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({
      ok: true,
      kills: [],
      requests: { uncounted: 0 },
      accounting: { requeued: 0 },
    })
  })

  it.each([
    [['--seconds', 'soon'], "argument 'soon' is invalid. It must be a whole number from 1 to 600."],
    [['--second', '3'], "unknown option '--second'"],
    [['please'], 'too many arguments'],
  ])('refuses %j and says what is wrong', async (args, message) => {
    const { code, output } = await startDemo(...args).ended
    expect(output).toContain(message)
    expect(code).toBe(1)
  })

  it('says so when the report cannot be written', { timeout: 120_000 }, async () => {
    const { code, output } = await startDemo(
      '--seconds',
      '1',
      '--no-chaos',
      '--json',
      join(folder, 'no/such/folder.json'),
    ).ended
    expect(output).toMatch(/the demo failed: ENOENT.*folder\.json/)
    expect(code).toBe(1)
  })

  it.runIf(existsSync('/proc/self/task')).each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
    'leaves no process behind after %s',
    { timeout: 60_000 },
    async (signal) => {
      const demo = startDemo('--seconds', '60')
      await demo.said('workflows, 60 s of load')
      const family = familyOf(demo.process.pid ?? 0)
      expect(family.length).toBeGreaterThanOrEqual(PROCESSES)
      demo.process.kill(signal)
      const ended = await demo.ended
      if (signal !== 'SIGKILL') expect(ended.code).toBe(signal === 'SIGINT' ? 130 : 143)
      await allGone(family)
    },
  )

  it.runIf(existsSync('/proc/self/task'))(
    'leaves no process behind when it is killed while it starts',
    { timeout: 60_000 },
    async () => {
      const demo = startDemo('--seconds', '60')
      await demo.said('starting')
      const family = familyOf(demo.process.pid ?? 0)
      demo.process.kill('SIGKILL')
      await demo.ended
      await allGone(family)
    },
  )
})
