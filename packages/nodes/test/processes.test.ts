/** Workers in real processes: killed, stopped, blocked. Manager, gate and client live in this one. */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { SystemClock } from '@hs/core'
import { MemoryLogger } from '@hs/core/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { Client, Gate, Manager, type JobResult, type JobStep } from '../src/index.js'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const ENTRY = fileURLToPath(new URL('./process-worker.ts', import.meta.url))
const LIFECYCLE = fileURLToPath(new URL('./process-lifecycle.ts', import.meta.url))
const clock = new SystemClock()

interface Child {
  readonly process: ChildProcess
  readonly running: Set<string>
  started(count: number): Promise<void>
}

const children: ChildProcess[] = []

function startWorker(id: string, manager: string, cores: number): Promise<Child> {
  const child = spawn(process.execPath, ['--import', 'tsx', ENTRY, id, manager, String(cores)], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  children.push(child)
  const running = new Set<string>()
  let wake = () => undefined as void
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`worker ${id} ended with ${code} before it was ready`)))
    child.on('message', (message: { ready?: true; started?: string }) => {
      if (message.started !== undefined) {
        running.add(message.started)
        wake()
      }
      if (message.ready !== true) return
      resolve({
        process: child,
        running,
        started: async (count) => {
          while (running.size < count) await new Promise<void>((news) => (wake = news))
        },
      })
    })
  })
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

async function withCluster(
  workers: readonly [id: string, cores: number][],
  use: (client: Client, children: Child[], logger: MemoryLogger) => Promise<void>,
): Promise<void> {
  const logger = new MemoryLogger()
  await using manager = new Manager({ id: 'm1', datacenter: 'eu', timing: 'local', logger })
  await manager.start()
  await using gate = new Gate({ id: 'g1', datacenters: { eu: [manager.address] }, timing: 'local', logger })
  await gate.start()
  await using client = new Client({ gates: [gate.address], timing: 'local', logger })
  const started = await Promise.all(workers.map(([id, cores]) => startWorker(id, manager.address, cores)))
  await use(client, started, logger)
  expect(logger.at('error')).toEqual([])
}

const steps = (workflow: string, count: number): JobStep[] =>
  Array.from({ length: count }, (_, i) => ({ workflow, id: `s${i}` }))

function expectOnce(result: JobResult, count: number): void {
  expect(result.status).toBe('completed')
  expect(result.accounting).toMatchObject({ workflows: count, completed: count, missing: 0 })
  expect(result.accounting.executions).toBe(count + result.accounting.requeued)
  const executions = Object.values(result.workflows).flatMap((datacenters) => datacenters['eu']?.executions ?? [])
  expect(new Set(executions.map((id) => id.split('#')[0])).size).toBe(count)
}

describe('real processes', () => {
  it('runs the shards of a worker that SIGKILL ended elsewhere, and counts each once', async () => {
    await withCluster(
      [
        ['w1', 2],
        ['w2', 2],
        ['w3', 2],
      ],
      async (client, workers) => {
        const job = await client.submit({ workflows: steps('paced', 18) })
        const [victim] = workers
        await victim?.started(2)
        victim?.process.kill('SIGKILL')
        const result = await job.result({ timeoutMs: 60_000 })
        expectOnce(result, 18)
        expect(result.accounting.requeued).toBeGreaterThanOrEqual(1)
        expect(result.counters['steps']).toBe(18 * 15)
        let shown = 0
        for await (const window of job.stats) shown += window.counts['steps'] ?? 0
        expect(shown).toBeGreaterThanOrEqual(18 * 15) // with what the killed one had done
      },
    )
  }, 90_000)

  it('lets a process end by itself once its nodes are stopped: no timer, socket or thread is left', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', LIFECYCLE], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    const code = await new Promise((resolve) => child.once('close', resolve))
    expect([output.trim(), code]).toEqual(['stopped', 0])
  }, 60_000)

  it('waits for a worker whose event loop is blocked for 3 s: one execution', async () => {
    await withCluster(
      [
        ['w1', 1],
        ['w2', 1],
      ],
      async (client) => {
        const job = await client.submit({ workflows: steps('blocking', 2) })
        const result = await job.result({ timeoutMs: 60_000 })
        expectOnce(result, 2)
        expect(result.accounting).toMatchObject({ executions: 2, requeued: 0 })
        expect(
          Object.values(result.workflows)
            .map((datacenters) => datacenters['eu']?.values[0])
            .sort(),
        ).toEqual(['w1', 'w2'])
      },
    )
  }, 90_000)

  it('waits for a worker that SIGSTOP holds for 3 s: one execution', async () => {
    await withCluster([['w1', 2]], async (client, [worker]) => {
      const job = await client.submit({ workflows: steps('paced', 2) })
      await worker?.started(2)
      worker?.process.kill('SIGSTOP')
      await clock.sleep(3_000)
      worker?.process.kill('SIGCONT')
      const result = await job.result({ timeoutMs: 60_000 })
      expectOnce(result, 2)
      expect(result.accounting).toMatchObject({ executions: 2, requeued: 0 })
    })
  }, 90_000)
})
