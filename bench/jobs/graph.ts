/**
 * A graph of 10,000 workflows and 30,000 dependencies, given in an order that is none, built and put in order.
 * toposort orders edges only; dependency-graph answers as much as `WorkflowGraph` does.
 */
import { SeededRandom } from '@hs/core/testing'
import { WorkflowGraph } from '@hs/jobs'
import { DepGraph } from 'dependency-graph'
import toposort from 'toposort'
import type { Workload } from '../harness.js'

const NODES = 10_000
const EDGES = 30_000

const random = new SeededRandom(1)
const ids = random.shuffle(Array.from({ length: NODES }, (_, index) => `workflow-${index}`))
const edges: [string, string][] = Array.from({ length: EDGES }, () => {
  const a = random.int(NODES)
  const b = (a + 1 + random.int(NODES - 1)) % NODES
  return [ids[Math.min(a, b)]!, ids[Math.max(a, b)]!]
})
const dependencies = new Map(ids.map((id): [string, string[]] => [id, []]))
for (const [before, after] of edges) dependencies.get(after)!.push(before)
const nodes = random.shuffle(ids.map((id) => ({ id, dependsOn: dependencies.get(id)! })))
const given = nodes.map(({ id }) => id)

function repeat(n: number, order: () => readonly string[]): number {
  let length = 0
  for (let index = 0; index < n; index++) length += order().length
  return length
}

function depGraphOrder(): string[] {
  const graph = new DepGraph<undefined>()
  for (const id of given) graph.addNode(id)
  for (const [before, after] of edges) graph.addDependency(after, before)
  return graph.overallOrder()
}

export const workloads: Workload[] = [
  {
    name: 'graph: 10,000 workflows, 30,000 dependencies',
    contenders: [
      { name: 'WorkflowGraph', ours: true, run: (n) => repeat(n, () => new WorkflowGraph(nodes).order) },
      { name: 'toposort', run: (n) => repeat(n, () => toposort.array(given, edges)) },
      { name: 'dependency-graph', run: (n) => repeat(n, depGraphOrder) },
    ],
    goals: [
      { peer: 'toposort', ratio: 2 },
      { peer: 'dependency-graph', ratio: 2 },
    ],
  },
]
