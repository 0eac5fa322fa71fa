import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LimitError } from '@hs/core'
import { JobError, WorkflowGraph, type WorkflowNode } from '@hs/jobs'

/** Acyclic by construction (edges go down in rank), given in a random order. */
const dag = fc.integer({ min: 0, max: 30 }).chain((size) =>
  fc
    .record({
      edges: fc.array(fc.tuple(fc.nat(Math.max(0, size - 1)), fc.nat(Math.max(0, size - 1))), { maxLength: size * 2 }),
      order: fc.shuffledSubarray(
        Array.from({ length: size }, (_, index) => index),
        { minLength: size },
      ),
    })
    .map(({ edges, order }): WorkflowNode[] => {
      const dependsOn = Array.from({ length: size }, (): string[] => [])
      for (const [a, b] of size === 0 ? [] : edges) if (a !== b) dependsOn[Math.max(a, b)]!.push(`n${Math.min(a, b)}`)
      return order.map((index) => ({ id: `n${index}`, dependsOn: dependsOn[index]! }))
    }),
)

/** The definition itself: again and again the first given that is ready. */
function naiveOrder(nodes: readonly WorkflowNode[]): string[] {
  const done: string[] = []
  while (done.length < nodes.length) {
    const next = nodes.find(
      ({ id, dependsOn = [] }) => !done.includes(id) && dependsOn.every((on) => done.includes(on)),
    )
    if (next === undefined) throw new Error('cycle')
    done.push(next.id)
  }
  return done
}

describe('WorkflowGraph (JOBS-4)', () => {
  it('orders topologically, the first given of the ready ones first', () => {
    fc.assert(
      fc.property(dag, (nodes) => {
        expect(new WorkflowGraph(nodes).order).toEqual(naiveOrder(nodes))
      }),
    )
  })

  it('takes a dependency that is given after its dependent', () => {
    const graph = new WorkflowGraph([{ id: 'b', dependsOn: ['a'] }, { id: 'a' }, { id: 'c' }])
    expect(graph.order).toEqual(['a', 'b', 'c'])
    expect(graph.roots).toEqual(['a', 'c'])
    expect(graph.size).toBe(3)
  })

  it('knows the neighbours in both directions', () => {
    fc.assert(
      fc.property(dag, (nodes) => {
        const graph = new WorkflowGraph(nodes)
        for (const { id, dependsOn = [] } of nodes) {
          expect(graph.dependenciesOf(id)).toEqual([...new Set(dependsOn)])
          const dependents = nodes.filter((node) => node.dependsOn?.includes(id)).map((node) => node.id)
          expect(graph.dependentsOf(id)).toEqual(dependents)
        }
      }),
    )
  })

  it('lists everything downstream, in order', () => {
    fc.assert(
      fc.property(dag, (nodes) => {
        const graph = new WorkflowGraph(nodes)
        for (const { id } of nodes) {
          const reached = new Set<string>()
          for (const other of graph.order) {
            if (graph.dependenciesOf(other).some((on) => on === id || reached.has(on))) reached.add(other)
          }
          expect(graph.downstreamOf(id)).toEqual(graph.order.filter((other) => reached.has(other)))
        }
      }),
    )
  })

  it('puts each workflow in the layer after its last dependency', () => {
    fc.assert(
      fc.property(dag, (nodes) => {
        const graph = new WorkflowGraph(nodes)
        const layers = graph.layers()
        const layerOf = new Map(layers.flatMap((ids, layer) => ids.map((id) => [id, layer] as const)))
        expect(layerOf.size).toBe(nodes.length)
        for (const { id } of nodes) {
          const before = graph.dependenciesOf(id).map((on) => layerOf.get(on)!)
          expect(layerOf.get(id)).toBe(Math.max(-1, ...before) + 1)
        }
      }),
    )
  })

  it('refuses two workflows of one name', () => {
    expect(() => new WorkflowGraph([{ id: 'a' }, { id: 'b' }, { id: 'a' }])).toThrow(
      expect.objectContaining({ code: 'DUPLICATE_WORKFLOW', details: { id: 'a' } }),
    )
  })

  it('refuses a dependency that does not exist, and names it', () => {
    expect(() => new WorkflowGraph([{ id: 'a', dependsOn: ['x'] }])).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_DEPENDENCY', details: { id: 'a', dependency: 'x' } }),
    )
  })

  it('refuses a cycle and lists the ids of one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.nat(5), (length, tail) => {
        const ring = Array.from({ length }, (_, at) => ({ id: `r${at}`, dependsOn: [`r${(at + 1) % length}`] }))
        const line = Array.from({ length: tail }, (_, at) => ({
          id: `t${at}`,
          dependsOn: at === 0 ? ['r0'] : [`t${at - 1}`],
        }))
        const error = thrownBy(() => new WorkflowGraph([...line.reverse(), ...ring]))
        expect(error).toBeInstanceOf(JobError)
        expect(error).toMatchObject({ code: 'DEPENDENCY_CYCLE' })
        const cycle = (error as JobError).details['cycle'] as string[]
        expect([...cycle].sort()).toEqual(ring.map(({ id }) => id).sort())
      }),
    )
  })

  it('refuses more workflows than allowed', () => {
    const nodes = Array.from({ length: 4 }, (_, index) => ({ id: `n${index}` }))
    expect(() => new WorkflowGraph(nodes, { maxWorkflows: 3 })).toThrow(LimitError)
    expect(new WorkflowGraph(nodes, { maxWorkflows: 4 }).size).toBe(4)
  })

  it('takes a chain of ten thousand, and no more by default', () => {
    const chain = Array.from({ length: 10_000 }, (_, at) => ({
      id: `n${at}`,
      dependsOn: at === 9_999 ? [] : [`n${at + 1}`],
    }))
    const graph = new WorkflowGraph(chain)
    expect(graph.order[0]).toBe('n9999')
    expect(graph.layers()).toHaveLength(10_000)
    expect(() => new WorkflowGraph([...chain, { id: 'one-more' }])).toThrow(LimitError)
  })

  it('does not know a workflow of another name', () => {
    const graph = new WorkflowGraph([{ id: 'a' }])
    for (const ask of [() => graph.dependenciesOf('x'), () => graph.dependentsOf('x'), () => graph.downstreamOf('x')]) {
      expect(ask).toThrow(expect.objectContaining({ code: 'UNKNOWN_WORKFLOW' }))
    }
  })
})

function thrownBy(fn: () => unknown): unknown {
  try {
    fn()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}
