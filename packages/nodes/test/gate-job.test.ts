import { VirtualClock } from '@hs/core/testing'
import { GlobalJob } from '@hs/jobs'
import { beforeEach, describe, expect, it } from 'vitest'
import { datacenterName } from '../src/node-options.js'
import { GateJob } from '../src/gate-job.js'
import { NO_WORKFLOWS } from '../src/no-workflows.js'

describe('what a gate adds up of a job (NODES-19)', () => {
  let job: GateJob
  let sequence: number

  beforeEach(() => {
    sequence = 0
    job = new GateJob({
      jobId: 'job-1',
      fingerprint: '',
      submission: { workflows: [], datacenters: 'all', timeoutMs: 60_000 },
      owner: { gateId: 'gate-1@1', address: '127.0.0.1:1', fence: 1 },
      createdAtMs: 0,
      rateWindowMs: 1_000,
      global: new GlobalJob({
        clock: new VirtualClock(),
        jobId: 'job-1',
        targets: ['eu', 'us'],
        workflows: ['w'],
        timeoutMs: 60_000,
      }),
    })
  })

  function report(datacenter: string, nowMs: number, done: number, epoch = 1): void {
    job.observe(
      {
        jobId: 'job-1',
        datacenter,
        epoch,
        sequence: ++sequence,
        status: 'running',
        done,
        contextVersion: 0,
        workflows: { ...NO_WORKFLOWS, completed: 2, failed: 1 },
        plans: {},
      },
      nowMs,
    )
  }

  it('is the rate of each datacenter, and what it has completed and failed', () => {
    for (let ms = 0; ms <= 1_000; ms += 100) {
      report('us', ms, ms / 20)
      report('eu', ms, ms / 10)
    }
    expect(job.progress(1_000).rate).toBeCloseTo(150, 6)
    expect(job.progress(1_000).rate).toBe(job.stats.totalRate)
    expect(job.stats.snapshot()).toMatchObject({
      completed: 4,
      failed: 2,
      datacenters: [{ name: 'eu' }, { name: 'us' }],
    })
  })

  it('counts nothing of a datacenter that has told nothing new for two windows', () => {
    for (let ms = 0; ms <= 1_000; ms += 100) {
      report('us', ms, ms / 20)
      report('eu', ms, ms / 10)
    }
    for (let ms = 1_100; ms <= 3_500; ms += 100) report('us', ms, ms / 20)
    expect(job.progress(3_500).rate).toBeCloseTo(50, 6)
    expect(job.progress(60_000).rate).toBe(0)
  })

  it('goes by the term first: a new leader that counts from one is later than all of the old one', () => {
    report('eu', 0, 0)
    report('eu', 1_000, 500)
    sequence = 0
    report('eu', 1_500, 500, 2)
    expect(job.stats.datacenter('eu')).toMatchObject({ time: 2 ** 33 + 1 })
  })

  it('is of datacenters whose names it can hold', () => {
    const holds = (name: string) => datacenterName().safeParse(name).success
    for (const name of ['eu', 'a~', 'x'.repeat(128), 'zwei Wörter']) {
      expect(holds(name)).toBe(true)
      expect(() =>
        job.stats.observe(name, { completed: 0, failed: 0, rate: 0, status: 'running', time: 1 }),
      ).not.toThrow()
    }
    expect(['', '~eu', 'x'.repeat(129)].filter(holds)).toEqual([])
  })
})
