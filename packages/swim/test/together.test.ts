import { describe, expect, it } from 'vitest'
import { HierarchicalDetector, LeaderElection, type Cluster } from '../src/index.js'
import { Lab } from './lab.js'

describe('A Cluster under the other parts of the package (SWIM-42, SWIM-46)', () => {
  it('carries an election: one leader, and another when it crashes', async () => {
    const lab = new Lab()
    const all = await lab.together(3)
    const elections = all.map(
      (cluster, i) =>
        new LeaderElection({
          cluster,
          group: 'main',
          electorate: { size: 3 },
          clock: lab.clock,
          random: lab.dice.fork(`election-${i}`),
          logger: lab.logger,
        }),
    )
    for (const election of elections) await election.start()
    await lab.until(() => elections.filter(({ isLeader }) => isLeader).length === 1)
    const first = elections.findIndex(({ isLeader }) => isLeader)
    const { term } = elections[first] as LeaderElection
    await elections[first]?.stop()
    await lab.crash(all[first] as Cluster)
    const rest = elections.filter((_, i) => i !== first)
    await lab.until(() => rest.some(({ isLeader }) => isLeader))
    expect(Math.max(...rest.map((election) => election.term))).toBeGreaterThan(term)
    expect(rest.map(({ leader }) => leader)).not.toContain(all[first]?.local.name)
    for (const election of rest) await election.stop()
    await lab.stop()
  })

  it('is what a HierarchicalDetector asks about nodes', async () => {
    const lab = new Lab()
    const [a, b] = (await lab.together(3)) as [Cluster, Cluster, Cluster]
    const detector = new HierarchicalDetector({ nodes: a, clock: lab.clock, random: lab.dice, logger: lab.logger })
    expect(detector.suspect('job-1', 'n1')).toBe('started')
    await lab.run(15_000)
    expect([detector.status('job-1', 'n1'), detector.status('job-2', 'n1')]).toEqual(['dead', 'alive'])
    await lab.crash(b)
    await lab.until(() => a.member('n1')?.status === 'dead')
    expect([detector.status('job-2', 'n1'), detector.snapshot().suspicions]).toEqual(['dead', 0])
    detector.stop()
    await lab.stop()
  })
})
