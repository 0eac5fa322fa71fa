import { describe, expect, it } from 'vitest'
import { ConfigError, LimitError } from '@hs/core'
import { JobSpecSchema, WorkflowSpecSchema, parseJobSpec } from '@hs/jobs'

const input = new Uint8Array([1])

describe('parseJobSpec', () => {
  it('fills in the defaults', () => {
    expect(parseJobSpec({ jobId: 'j1', workflows: [{ id: 'a', workflow: 'w', input }], timeoutMs: 1_000 })).toEqual({
      jobId: 'j1',
      tenant: 'j1',
      timeoutMs: 1_000,
      timeoutMode: 'local',
      workflows: [
        {
          id: 'a',
          workflow: 'w',
          input,
          dependsOn: [],
          onDependencyFailure: 'skip',
          priority: 'auto',
          vus: 1,
          cores: 'auto',
          attempts: 1,
          timeoutMs: 1_000,
          expectedMs: 1_000,
        },
      ],
    })
  })

  it('gives a job five minutes, and a workflow what it is expected to take', () => {
    const spec = parseJobSpec({ jobId: 'j1', workflows: [{ id: 'a', workflow: 'w', input, timeoutMs: 50 }] })
    expect(spec.timeoutMs).toBe(300_000)
    expect(spec.workflows[0]?.expectedMs).toBe(50)
    expect('stuckMs' in spec).toBe(false)
  })

  it('keeps what was given', () => {
    const workflow = {
      id: 'b',
      workflow: 'w',
      input,
      dependsOn: ['a'],
      onDependencyFailure: 'run',
      priority: 'exclusive',
      vus: 7,
      cores: 3,
      attempts: 2,
      timeoutMs: 5,
      stuckMs: 4,
      expectedMs: 3,
    }
    const spec = {
      jobId: 'j',
      workflows: [workflow, { id: 'a', workflow: 'w', input }],
      tenant: 't',
      timeoutMs: 9,
      stuckMs: 8,
      timeoutMode: 'coordinated',
    }
    expect(parseJobSpec(spec)).toMatchObject({ ...spec, workflows: [workflow, { id: 'a' }] })
  })

  it('is idempotent: what it returned is taken as it is', () => {
    const spec = parseJobSpec({ jobId: 'j1', workflows: [{ id: 'a', workflow: 'w', input }] })
    expect(parseJobSpec(spec)).toBe(spec)
    expect(Object.isFrozen(spec)).toBe(true)
    expect(parseJobSpec(structuredClone(spec))).toEqual(spec)
  })

  const valid = { id: 'a', workflow: 'w', input }
  it.each<[string, unknown, string]>([
    ['no object', 7, ''],
    ['no job id', { workflows: [valid] }, 'jobId'],
    ['a job id with a slash', { jobId: 'a/b', workflows: [valid] }, 'jobId'],
    ['a job id of 129 characters', { jobId: 'a'.repeat(129), workflows: [valid] }, 'jobId'],
    ['an id that no codec lets through', { jobId: '__proto__', workflows: [valid] }, 'jobId'],
    ['no workflows', { jobId: 'j', workflows: [] }, 'workflows'],
    ['an input that is no bytes', { jobId: 'j', workflows: [{ ...valid, input: [1] }] }, 'workflows.0.input'],
    ['no virtual users', { jobId: 'j', workflows: [{ ...valid, vus: 0 }] }, 'workflows.0.vus'],
    ['half a core', { jobId: 'j', workflows: [{ ...valid, cores: 0.5 }] }, 'workflows.0.cores'],
    ['no attempts', { jobId: 'j', workflows: [{ ...valid, attempts: 0 }] }, 'workflows.0.attempts'],
    ['a priority that is none', { jobId: 'j', workflows: [{ ...valid, priority: 'urgent' }] }, 'workflows.0.priority'],
    ['a timeout of 0', { jobId: 'j', workflows: [valid], timeoutMs: 0 }, 'timeoutMs'],
    ['an endless timeout', { jobId: 'j', workflows: [valid], timeoutMs: Infinity }, 'timeoutMs'],
    ['a misspelt option', { jobId: 'j', workflows: [{ ...valid, depends: [] }] }, 'workflows.0.depends'],
    [
      'a retry budget, which is not there yet',
      { jobId: 'j', workflows: [valid], retryBudget: { total: 1 } },
      'retryBudget',
    ],
  ])('refuses %s and names the path', (_what, spec, path) => {
    expect(() => parseJobSpec(spec)).toThrow(ConfigError)
    expect(() => parseJobSpec(spec)).toThrow(
      expect.objectContaining({ issues: expect.arrayContaining([expect.objectContaining({ path })]) as unknown }),
    )
  })

  it('refuses a graph that is none, and more workflows than a job may have', () => {
    const cyclic = { jobId: 'j', workflows: [{ ...valid, dependsOn: ['a'] }] }
    expect(() => parseJobSpec(cyclic)).toThrow(expect.objectContaining({ code: 'DEPENDENCY_CYCLE' }))
    const many = Array.from({ length: 10_001 }, (_, index) => ({ ...valid, id: `n${index}` }))
    expect(() => parseJobSpec({ jobId: 'j', workflows: many })).toThrow(LimitError)
  })
})

describe('JobSpecSchema and WorkflowSpecSchema', () => {
  it('are zod schemas that others build on', () => {
    expect(WorkflowSpecSchema.safeParse({ id: 'a', workflow: 'w', input }).success).toBe(true)
    expect(JobSpecSchema.safeParse({ jobId: 'j', workflows: [{ id: 'a', workflow: 'w', input }] }).success).toBe(true)
    expect(JobSpecSchema.safeParse({ jobId: 'j', workflows: [] }).success).toBe(false)
  })
})
