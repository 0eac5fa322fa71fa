/** The same nodes on TCP and UDP over loopback. */
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { parseAddress } from '@hs/core'
import { MemoryLogger } from '@hs/core/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Client, defineWorkflow, Gate, Manager, Worker } from '../src/index.js'

const echo = defineWorkflow({ name: 'echo', input: z.unknown(), run: (ctx) => ctx.input })
const paced = defineWorkflow({
  name: 'paced',
  run: async (ctx) => {
    for (let i = 1; i <= 10; i++) {
      await ctx.clock.sleep(30, ctx.signal)
      ctx.stats.count('steps')
      ctx.progress(i, 10)
    }
    return ctx.workerId
  },
})
const workflows = [echo, paced]

async function withCluster(
  workers: number,
  use: (nodes: {
    manager: Manager
    workers: Worker[]
    gate: Gate
    client: Client
    logger: MemoryLogger
  }) => Promise<void>,
): Promise<void> {
  const logger = new MemoryLogger()
  const common = { logger, timing: 'local' } as const
  const manager = new Manager({ id: 'm1', datacenter: 'eu', ...common })
  await manager.start()
  const managers = [manager.address]
  const list = Array.from(
    { length: workers },
    (_, i) => new Worker({ id: `w${i + 1}`, datacenter: 'eu', managers, workflows, cores: 4, ...common }),
  )
  await Promise.all(list.map((worker) => worker.start()))
  const gate = new Gate({ id: 'g1', datacenters: { eu: managers }, ...common })
  await gate.start()
  await Promise.all([...list.map((worker) => worker.ready()), gate.ready(), manager.ready()])
  const client = new Client({ gates: [gate.address], ...common })
  try {
    await use({ manager, workers: list, gate, client, logger })
  } finally {
    await Promise.all([client.stop(), gate.stop(), manager.stop(), ...list.map((worker) => worker.stop())])
  }
  expect(logger.at('error')).toEqual([])
}

/** Whether anybody listens there. */
function listens(address: string): Promise<boolean> {
  const { host, port } = parseAddress(address)
  return new Promise((resolve) => {
    const socket = connect(port, host)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function udpTaken(address: string): Promise<boolean> {
  const { host, port } = parseAddress(address)
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('error', () => resolve(true))
    socket.bind(port, host, () => socket.close(() => resolve(false)))
  })
}

describe('on sockets', () => {
  it('runs jobs, many at a time', async () => {
    await withCluster(2, async ({ client }) => {
      const jobs = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          client.submit({
            workflows: [
              { workflow: echo, input: i },
              { workflow: echo, id: 'b', input: [i], dependsOn: ['echo'] },
            ],
          }),
        ),
      )
      const results = await Promise.all(jobs.map((job) => job.result({ timeoutMs: 30_000 })))
      expect(results.map((result) => result.workflows['b']?.['eu']?.values)).toEqual(jobs.map((_, i) => [[i]]))
    })
  })

  it('carries inputs and values of megabytes', async () => {
    await withCluster(1, async ({ client }) => {
      const input = new Uint8Array(2_500_000).fill(7)
      const job = await client.submit({ workflows: [{ workflow: echo, input }] })
      const result = await job.result({ timeoutMs: 30_000 })
      expect(Buffer.compare(result.workflows['echo']?.['eu']?.values[0] as Uint8Array, input)).toBe(0)
    })
  })

  it('shows progress and windows, which add up to the result', async () => {
    await withCluster(2, async ({ client }) => {
      const job = await client.submit({
        workflows: [
          { workflow: paced, vus: 3 },
          { workflow: paced, id: 'more', dependsOn: ['paced'] },
        ],
      })
      let steps = 0
      for await (const window of job.stats) steps += window.counts['steps'] ?? 0
      const result = await job.result()
      expect(result.status).toBe('completed')
      expect(result.counters['steps']).toBe(steps)
      expect(job.snapshot()).toMatchObject({ status: 'completed', fraction: 1 })
    })
  })

  it('runs the shards of a worker that died elsewhere, and counts each once', async () => {
    await withCluster(3, async ({ client, workers, manager }) => {
      const job = await client.submit({
        workflows: Array.from({ length: 24 }, (_, i) => ({ workflow: paced, id: `s${i}` })),
      })
      const victim = workers[1]
      const started = new Promise((resolve) => victim?.events.once('shardStarted', resolve))
      await started
      await victim?.kill()
      const result = await job.result({ timeoutMs: 30_000 })
      expect(result).toMatchObject({ status: 'completed', accounting: { completed: 24, missing: 0 } })
      expect(result.accounting.executions).toBe(24 + result.accounting.requeued)
      expect(result.counters['steps']).toBe(240)
      expect(manager.snapshot()).toMatchObject({ workers: 2 })
    })
  })

  it('binds TCP and UDP to one port number, and leaves neither behind (NODES-2, NODES-7)', async () => {
    const addresses: string[] = []
    await withCluster(1, async ({ manager, gate, workers }) => {
      for (const node of [manager, gate, ...workers]) {
        addresses.push(node.address)
        expect(await listens(node.address)).toBe(true)
        expect(await udpTaken(node.address)).toBe(true)
      }
    })
    for (const address of addresses) {
      expect(await listens(address)).toBe(false)
      expect(await udpTaken(address)).toBe(false)
    }
  })

  it('rejects start when it cannot listen', async () => {
    await withCluster(0, async ({ manager }) => {
      const second = new Manager({ id: 'm2', datacenter: 'eu', listen: manager.address })
      await expect(second.start()).rejects.toMatchObject({ code: 'EADDRINUSE' })
      await second.stop()
    })
  })

  it('keeps clusters apart', async () => {
    await withCluster(0, async ({ gate }) => {
      const logger = new MemoryLogger()
      const stranger = new Client({ gates: [gate.address], cluster: 'other', submitTimeoutMs: 300, logger })
      await expect(stranger.submit({ workflows: [{ workflow: echo, input: 1 }] })).rejects.toMatchObject({
        code: 'NO_GATE',
      })
      await stranger.stop()
      expect(logger.at('error').length).toBeGreaterThan(0) // not a matter of time: somebody should know
    })
  })
})
