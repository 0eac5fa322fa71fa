import { ClosedError, ConfigError, HsError } from '@hs/core'
import { MemoryDisk, MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import {
  DiskElectionStore,
  LeaderElection,
  MemoryElectionStore,
  type ElectionCluster,
  type Leadership,
  type LeaderElectionOptions,
} from '@hs/swim'
import { describe, expect, it } from 'vitest'
import { encodeElectionMessage, type ElectionMessage } from '../src/election-message.js'
import { ElectionLab, type LabNode, type LabOptions } from './election-lab.js'

const coded = (code: string): unknown => expect.objectContaining({ code })

async function started(options: LabOptions = {}): Promise<{ lab: ElectionLab; leader: LabNode; others: LabNode[] }> {
  const lab = new ElectionLab(options)
  await lab.start()
  const leader = await lab.elect()
  await lab.advance(100)
  return { lab, leader, others: [...lab.nodes.values()].filter((node) => node !== leader) }
}

/** Puts a message from `from` before `to`, past all links. */
function forge(to: LabNode, from: string, message: ElectionMessage): void {
  to.deliver(from, encodeElectionMessage(message))
}

describe('LeaderElection (SWIM-46, 49)', () => {
  it('elects one node, whom all name, and keeps it', async () => {
    const { lab, leader } = await started({ names: ['a', 'b', 'c', 'd', 'e'] })
    await lab.advance(600_000)
    expect(lab.leaders()).toEqual([leader.name])
    expect(lab.acquisitions).toEqual([{ term: 1, name: leader.name }])
    for (const node of lab.nodes.values()) {
      expect(node.election.leader).toBe(leader.name)
      expect(node.election.term).toBe(1)
      expect(node.events.filter((event) => event.startsWith('elected'))).toEqual([`elected ${leader.name} 1`])
    }
    await lab.stop()
    await lab.advance(100) // what was under way arrives
    expect(lab.clock.pendingTimers).toBe(0)
  })

  it('elects a single voter at once after its wait', async () => {
    const { lab, leader } = await started({ names: ['a'] })
    expect(leader.election.isLeader).toBe(true)
    await lab.advance(60_000)
    expect(lab.acquisitions).toHaveLength(1)
  })

  it('does not raise the term of a node that reaches nobody (pre-vote)', async () => {
    const { lab, leader, others } = await started()
    lab.part([others[0]!.name])
    await lab.advance(60_000)
    expect(others[0]!.election.term).toBe(1)
    lab.heal()
    await lab.advance(10_000)
    expect(lab.leaders()).toEqual([leader.name])
    expect(lab.acquisitions).toHaveLength(1)
  })

  it('gets a leader although messages are lost', async () => {
    const { lab } = await started({ loss: 0.3, seed: 3 })
    await lab.advance(60_000)
    expect(lab.acquisitions.length).toBeGreaterThan(0)
  })

  it('lets well nodes stand before ill ones, and still elects when all are ill', async () => {
    const firsts = { well: 0, ill: 0 }
    for (let seed = 0; seed < 40; seed++) {
      const lab = new ElectionLab({ seed })
      lab.node('a').health = 8
      lab.node('b').health = 8
      await lab.start()
      const leader = await lab.elect()
      firsts[leader.name === 'c' ? 'well' : 'ill']++
    }
    expect(firsts.well).toBeGreaterThan(firsts.ill)
    const ill = new ElectionLab({ election: { maxLeaderHealth: 8 } })
    for (const node of ill.nodes.values()) node.health = 8
    await ill.start()
    await ill.elect()
  })

  it('answers nothing when a vote cannot be saved, and says so', async () => {
    const lab = new ElectionLab()
    for (const name of ['a', 'b']) lab.node(name).store.failing = true
    await lab.start()
    await lab.advance(60_000)
    expect(lab.leaders()).toEqual([])
    expect(lab.node('a').events).toContain('error ELECTION_SAVE_FAILED')
    lab.node('a').store.failing = false
    await lab.elect()
    expect(lab.breach).toBeUndefined()
  })

  it('looks at the state again after a save: what came meanwhile decides', async () => {
    const lab = new ElectionLab({ saveMs: [500, 500], names: ['a', 'b', 'c'] })
    const a = lab.node('a')
    await a.start()
    forge(a, 'b', { k: 'vote', t: 5 })
    await lab.advance(100)
    forge(a, 'c', { k: 'vote', t: 6 }) // before the vote for b is on disk
    await lab.advance(2_000)
    expect(a.store.state).toEqual({ term: 6, votedFor: 'c' })
    expect(lab.log).not.toContain('a>b {"k":"vote-answer","t":5,"g":true}')
    expect(lab.log).toContain('a>c {"k":"vote-answer","t":6,"g":true}')
  })

  it('votes once a term', async () => {
    const lab = new ElectionLab()
    const a = lab.node('a')
    await a.start()
    forge(a, 'b', { k: 'vote', t: 5 })
    forge(a, 'c', { k: 'vote', t: 5 })
    await lab.advance(10)
    forge(a, 'b', { k: 'vote', t: 5 }) // asked again: the same answer
    await lab.advance(10)
    expect(lab.log.match(/a>b .*vote-answer.*true/g)).toHaveLength(2)
    expect(lab.log.match(/a>c .*vote-answer.*true/g)).toBeNull()
  })
})

describe('LeaderElection (SWIM-47): the lease', () => {
  it('ends within leaseMs of the last heartbeat that a quorum answered, before anyone else can win', async () => {
    const { lab, leader, others } = await started()
    await lab.advance(5_000)
    const cutAt = lab.clock.now()
    lab.part([leader.name])
    await lab.clock.runUntil(() => !leader.election.isLeader)
    expect(lab.clock.now() - cutAt).toBeLessThanOrEqual(3_000)
    expect(leader.events.at(-1)).toBe('lost 1 quorum-lost')
    await lab.clock.runUntil(() => others.some((node) => node.election.isLeader))
    expect(lab.clock.now() - cutAt).toBeGreaterThan(2_000)
    expect(leader.election.isLeader).toBe(false)
  })

  it('is compared with the clock at each call, however late timers are', async () => {
    const { lab, leader } = await started()
    leader.pause() // no timer, no message
    await lab.advance(2_800)
    expect(leader.election.isLeader).toBe(true)
    await lab.advance(200)
    expect(leader.election.isLeader).toBe(false)
    expect(() => leader.election.fencingToken).toThrow(coded('NOT_LEADER'))
    expect(leader.events.at(-1)).toBe('acquired 1')
    leader.resume()
    expect(leader.events.at(-1)).toBe('lost 1 quorum-lost')
  })

  it('is kept if the quorum comes back in time: nothing happened', async () => {
    const { lab, leader } = await started()
    for (let i = 0; i < 20; i++) {
      lab.part([leader.name])
      await lab.advance(1_500)
      lab.heal()
      await lab.advance(1_500)
    }
    expect(lab.acquisitions).toHaveLength(1)
    expect(leader.events).toEqual([`elected ${leader.name} 1`, 'acquired 1'])
  })

  it('does not come back once it was seen to end, although an answer is still under way', async () => {
    const lab = new ElectionLab({ latencyMs: [1, 1] })
    await lab.start()
    const leader = await lab.elect()
    leader.pause()
    await lab.advance(3_100)
    leader.resume() // the overdue lease timer and the answers of 3 s ago, in order
    await lab.advance(10)
    expect(leader.election.isLeader).toBe(false)
  })

  it('runs from the sending of a heartbeat, not from its answer', async () => {
    const { lab, leader } = await started({ latencyMs: [400, 400] })
    const { leaseRemainingMs } = leader.election.snapshot()
    expect(leaseRemainingMs).toBeLessThanOrEqual(3_000 - 0)
    await lab.clock.runUntil(() => leader.election.snapshot().leaseRemainingMs > 2_150)
    // Sent 800 ms ago, answered now.
    expect(leader.election.snapshot().leaseRemainingMs).toBeCloseTo(2_200, 6)
  })
})

describe('LeaderElection (SWIM-48): promises', () => {
  it('gives no vote for longer than the lease after a heartbeat, by the tolerance for clocks', async () => {
    const { lab, leader, others } = await started()
    const [voter, other] = others as [LabNode, LabNode]
    lab.part([leader.name])
    lab.part([other.name])
    await lab.clock.runUntil(() => !leader.election.isLeader)
    forge(voter, other.name, { k: 'pre', t: 1 })
    await lab.advance(0)
    expect(lab.log).toContain(`${voter.name}>${other.name} {"k":"pre-answer","t":1,"f":2,"g":false}`)
    await lab.advance(1_100)
    forge(voter, other.name, { k: 'pre', t: voter.election.term })
    await lab.advance(0)
    expect(lab.log).toContain(`${voter.name}>${other.name} {"k":"pre-answer","t":1,"f":2,"g":true}`)
  })

  it('abstains after a start as long as a promise of before could last', async () => {
    const lab = new ElectionLab({ durable: false })
    await lab.start()
    await lab.advance(3_059)
    expect(lab.log).toBe('')
    const a = lab.node('a')
    forge(a, 'b', { k: 'pre', t: 0 })
    expect(lab.log).toContain('a>b {"k":"pre-answer","t":0,"f":1,"g":false}')
    await lab.elect()
  })

  it('need not abstain if a durable store shows that it never promised', async () => {
    const lab = new ElectionLab()
    await lab.start()
    await lab.elect()
    expect(lab.clock.now()).toBeLessThan(3_000)
  })

  it('abstains with a durable store that shows a term', async () => {
    const lab = new ElectionLab()
    for (const node of lab.nodes.values()) node.store.state = { term: 4, votedFor: null }
    await lab.start()
    await lab.advance(3_059)
    expect(lab.log).toBe('')
    await lab.elect()
    expect(lab.acquisitions[0]?.term).toBe(5)
  })

  it('saves that it has heard a leader before it acknowledges, so that a restart knows of the promise', async () => {
    const { leader, others } = await started()
    for (const node of others) expect(node.store.state?.term).toBe(1)
    const [voter] = others as [LabNode]
    voter.crash()
    await voter.restart()
    forge(voter, leader.name, { k: 'pre', t: 5 })
    expect(voter.election.term).toBe(5)
  })
})

describe('LeaderElection (SWIM-48): restarts', () => {
  it.each([true, false])('goes on after a restart of every node in turn (durable: %s)', async (durable) => {
    const { lab } = await started({ durable })
    for (const node of lab.nodes.values()) {
      node.crash()
      await lab.advance(1_000)
      await node.restart()
      await lab.elect()
      await lab.advance(5_000)
    }
    expect(lab.breach).toBeUndefined()
    expect(lab.leaders()).toHaveLength(1)
  })

  it('knows its term after a restart and does not lead a second time in it', async () => {
    const { lab, leader } = await started()
    for (const node of lab.nodes.values()) node.crash()
    for (const node of lab.nodes.values()) await node.restart()
    expect(leader.election.term).toBe(1)
    expect(leader.election.isLeader).toBe(false)
    await lab.elect()
    expect(lab.acquisitions.map(({ term }) => term)).toEqual([1, 2])
  })
})

describe('LeaderElection (SWIM-50): an electorate of fixed size', () => {
  it('has a quorum of the size, never of the living', async () => {
    const { lab, leader, others } = await started({ names: ['a', 'b', 'c', 'd', 'e'] })
    expect(leader.election.quorum).toBe(3)
    for (const node of others.slice(0, 3)) {
      node.crash()
      node.status = 'dead'
    }
    await lab.advance(60_000)
    expect(lab.leaders()).toEqual([])
    expect(others[3]!.election.quorum).toBe(3)
    await others[0]!.restart()
    others[0]!.status = 'alive'
    await lab.elect()
  })

  it('gives and asks for no vote while more names exist than it has', async () => {
    const { lab, leader } = await started()
    const d = lab.add('d')
    leader.crash()
    leader.status = 'dead'
    await lab.advance(60_000)
    expect(lab.leaders()).toEqual([])
    const errors = [...lab.nodes.values()].flatMap((node) => node.events.filter((event) => event.startsWith('error')))
    expect(errors).toEqual(['error ELECTORATE_EXCEEDED', 'error ELECTORATE_EXCEEDED'])
    d.status = 'left'
    await lab.elect()
  })

  it('counts only members of its role; others follow and never stand', async () => {
    const lab = new ElectionLab({ electorate: { size: 3 }, election: { role: 'member' } })
    const watcher = lab.add('w', { role: 'watcher' })
    await lab.start()
    const leader = await lab.elect()
    await lab.advance(3_000)
    expect(watcher.election.leader).toBe(leader.name)
    expect(watcher.events).toEqual([`elected ${leader.name} 1`])
    leader.crash()
    await lab.advance(2_000)
    const next = await lab.elect()
    await lab.advance(3_000)
    expect(watcher.election.leader).toBe(next.name)
    for (const node of lab.nodes.values()) if (node !== watcher) node.crash()
    await lab.advance(60_000)
    expect(watcher.election.leader).toBeUndefined()
    expect(watcher.election.snapshot()).toMatchObject({ role: 'follower', leader: null })
  })
})

describe('LeaderElection (SWIM-51): voters that change', () => {
  const voting: LabOptions = { names: ['a', 'b', 'c', 'd'], electorate: { voters: ['a', 'b', 'c'] } }

  it('adds and removes one at a time, in all views, and in the stores of the voters', async () => {
    const { lab, leader } = await started(voting)
    expect(leader.election.voters).toEqual(['a', 'b', 'c'])
    expect(lab.node('d').election.leader).toBeUndefined()
    await lab.clock.run(leader.election.changeVoters({ add: 'd' }))
    expect(leader.election.quorum).toBe(3)
    await lab.advance(2_000)
    for (const node of lab.nodes.values()) {
      expect(node.election.voters).toEqual(['a', 'b', 'c', 'd'])
      expect(node.events).toContain('voters a,b,c,d')
      expect(node.store.state).toMatchObject({ voters: ['a', 'b', 'c', 'd'], votersVersion: 1, votersTerm: 1 })
    }
    const removed = ['a', 'b', 'c'].find((name) => name !== leader.name) as string
    await lab.clock.run(leader.election.changeVoters({ remove: removed }))
    await lab.advance(2_000)
    expect(lab.node(removed).election.voters).not.toContain(removed)
    expect(lab.acquisitions).toHaveLength(1)
  })

  it('lets whoever was removed follow and never stand', async () => {
    const { lab, leader } = await started({ ...voting, names: ['a', 'b', 'c'] })
    const removed = lab.node(['a', 'b', 'c'].find((name) => name !== leader.name) as string)
    removed.crash() // it does not hear of it
    await lab.clock.run(leader.election.changeVoters({ remove: removed.name }))
    await removed.restart()
    await lab.advance(30_000)
    expect(removed.election.voters).toHaveLength(2)
    expect(removed.election.leader).toBe(leader.name)
    expect(lab.acquisitions).toHaveLength(1)
  })

  it('tells whoever comes back with a list on which nobody votes any more', async () => {
    const { lab, leader } = await started({ names: ['a', 'b', 'c', 'd', 'e'], electorate: { voters: ['a', 'b'] } })
    const change = async (changed: { add: string } | { remove: string }) => {
      const { election } = await lab.elect()
      await lab.clock.run(election.changeVoters(changed))
    }
    const lost = lab.node(leader.name === 'a' ? 'b' : 'a')
    await change({ add: 'c' })
    await lab.advance(2_000)
    lost.crash() // with a, b, c
    await change({ remove: lost.name })
    await change({ add: 'd' })
    leader.crash()
    await change({ remove: leader.name })
    await change({ add: 'e' })
    lab.node('c').crash()
    await change({ remove: 'c' })
    await lost.restart()
    expect(lost.election.voters).toEqual(['a', 'b', 'c'])
    await lab.advance(30_000)
    expect(lost.election.voters).toEqual(['d', 'e'])
    expect(lost.election.leader).toBe((await lab.elect()).name)
  })

  it('gives no vote to who has an older list', async () => {
    const { lab, leader } = await started(voting)
    const [behind, ahead] = ['a', 'b', 'c'].filter((name) => name !== leader.name).map((name) => lab.node(name)) as [
      LabNode,
      LabNode,
    ]
    lab.part([behind.name])
    await lab.clock.run(leader.election.changeVoters({ add: 'd' }))
    leader.crash()
    await lab.advance(10_000)
    forge(ahead, behind.name, { k: 'pre', t: 1, v: ['a', 'b', 'c'], y: 1, x: 0 })
    expect(lab.log.split('\n').at(-1)).toContain('"g":false,"v":["a","b","c","d"]')
    lab.heal()
    await lab.elect()
    await lab.advance(2_000)
    expect(behind.election.voters).toEqual(['a', 'b', 'c', 'd'])
  })

  it('re-issues the list under the term of a new leader', async () => {
    const { lab, leader } = await started(voting)
    leader.election.resign()
    await lab.clock.runUntil(() => lab.leaders().length === 1)
    await lab.advance(1_500)
    const states = ['a', 'b', 'c'].map((name) => lab.node(name).store.state)
    expect(new Set(states.map((state) => state?.votersTerm))).toEqual(new Set([2]))
  })

  it('finishes a change only with a quorum of the old and of the new list', async () => {
    const { lab, leader, others } = await started({ names: ['a', 'b', 'c', 'd'], electorate: { voters: ['a', 'b'] } })
    const other = others.find((node) => ['a', 'b'].includes(node.name)) as LabNode
    lab.part([other.name]) // c would make two of three, but not two of the old two
    let done = false
    const change = leader.election.changeVoters({ add: 'c' }).then(() => (done = true))
    await lab.advance(1_000)
    expect(done).toBe(false)
    await expect(leader.election.changeVoters({ add: 'd' })).rejects.toThrow(coded('CHANGE_IN_PROGRESS'))
    lab.heal()
    await lab.clock.run(change)
  })

  it('rejects a change whose fate is unknown when leadership is lost', async () => {
    const { lab, leader } = await started(voting)
    lab.part([leader.name])
    const change = leader.election.changeVoters({ add: 'd' }).catch((error: unknown) => error)
    expect(await lab.clock.run(change)).toEqual(coded('LEADERSHIP_LOST'))
  })

  it.each([[{ add: 'a' }], [{ remove: 'x' }], [{ add: 'not a name' }], [{}], [undefined]])(
    'refuses %o',
    async (change) => {
      const { leader } = await started(voting)
      const bad = leader.election.changeVoters(change as { add: string })
      await expect(bad).rejects.toThrow(coded('INVALID_ARGUMENT'))
      const self = leader.election.changeVoters({ remove: leader.name })
      await expect(self).rejects.toThrow(coded('INVALID_ARGUMENT'))
    },
  )

  it('takes changes from the leader only, and none with a fixed size', async () => {
    const { others } = await started(voting)
    await expect(others[0]!.election.changeVoters({ add: 'd' })).rejects.toThrow(coded('NOT_LEADER'))
    const fixed = await started()
    const change = fixed.leader.election.changeVoters({ add: 'd' })
    await expect(change).rejects.toThrow(coded('INVALID_ARGUMENT'))
  })

  it('takes one change at a time, not both in one', async () => {
    const { leader, others } = await started(voting)
    const both = leader.election.changeVoters({ add: 'd', remove: others[0]!.name })
    await expect(both).rejects.toThrow(coded('INVALID_ARGUMENT'))
    expect(leader.election.voters).toEqual(['a', 'b', 'c'])
  })

  it('hands out a list that nobody can change', async () => {
    const { lab, leader } = await started(voting)
    expect(Object.isFrozen(leader.election.voters)).toBe(true)
    await lab.clock.run(leader.election.changeVoters({ add: 'd' }))
    expect(() => (leader.election.voters as string[]).push('e')).toThrow(TypeError)
    expect([leader.election.voters, leader.election.quorum]).toEqual([['a', 'b', 'c', 'd'], 3])
  })

  it('prefers the list of the store to the option', async () => {
    const { lab, leader } = await started(voting)
    await lab.clock.run(leader.election.changeVoters({ add: 'd' }))
    leader.crash()
    await leader.restart()
    expect(leader.election.voters).toEqual(['a', 'b', 'c', 'd'])
  })
})

describe('LeaderElection (SWIM-52, 53): leading', () => {
  it('runs the work with a signal that ends with the leadership, in the same step', async () => {
    const { lab, leader } = await started()
    const seen: string[] = []
    leader.election.lead((leadership) => {
      seen.push(`runs ${leadership.term}`)
      leadership.signal.addEventListener('abort', () => {
        seen.push(`aborts ${(leadership.signal.reason as HsError).code}, leads: ${leader.election.isLeader}`)
      })
    })
    leader.election.events.on('leadershipLost', ({ reason }) => seen.push(`lost ${reason}`))
    expect(seen).toEqual(['runs 1'])
    leader.election.resign()
    expect(seen).toEqual(['runs 1', 'aborts LEADERSHIP_LOST, leads: false', 'lost resigned'])
    await lab.advance(1)
  })

  it('runs the work each time leadership is won, with growing tokens', async () => {
    const lab = new ElectionLab()
    const tokens: number[] = []
    for (const node of lab.nodes.values()) {
      node.election.lead(({ fencingToken, term }) => {
        expect(fencingToken).toBe(term)
        tokens.push(fencingToken)
      })
    }
    await lab.start()
    for (let i = 0; i < 3; i++) {
      const leader = await lab.elect()
      expect(leader.election.fencingToken).toBe(tokens.at(-1))
      leader.election.resign()
    }
    expect(tokens).toEqual([1, 2, 3])
  })

  it('reports what the work throws, but not what it throws after the abort', async () => {
    const { lab, leader } = await started()
    leader.election.lead(async ({ signal }) => {
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped half way'))))
    })
    leader.election.lead(() => {
      throw new Error('broken work')
    })
    await lab.advance(1)
    leader.election.resign()
    await lab.advance(1)
    expect(leader.logger.at('error').map(({ message }) => message)).toEqual(['LeaderElection.lead: broken work'])
  })

  it('does not run the rest of the work when the first part resigns', async () => {
    const lab = new ElectionLab({ names: ['a'] })
    const { election } = lab.node('a')
    const ran: Leadership[] = []
    election.lead(() => {
      if (ran.length === 0) election.resign()
    })
    election.lead((leadership) => ran.push(leadership))
    await lab.start()
    await lab.clock.runUntil(() => election.term === 1)
    await lab.advance(100)
    expect(ran).toEqual([])
  })
})

describe('LeaderElection (SWIM-54): resigning', () => {
  it('hands over to the healthiest within moments, and waits a lease longer itself', async () => {
    const { lab, leader, others } = await started({ names: ['a', 'b', 'c', 'd', 'e'] })
    await lab.advance(2_000)
    for (const node of others) node.health = 2
    others[2]!.health = 0
    const at = lab.clock.now()
    leader.election.resign()
    expect(leader.election.isLeader).toBe(false)
    expect(leader.events.at(-1)).toBe('lost 1 resigned')
    const next = await lab.elect()
    expect(next).toBe(others[2])
    expect(lab.clock.now() - at).toBeLessThan(100)
  })

  it('waits a lease before it stands again', async () => {
    const { lab, leader } = await started()
    const at = lab.clock.now()
    lab.part([leader.name]) // so that nobody else takes its message
    leader.election.resign()
    const asked = () => new RegExp(`${leader.name}>. .*"k":"pre"`).test(lab.log.split('resigned')[1] ?? '')
    await lab.clock.runUntil(asked)
    expect(lab.clock.now() - at).toBeGreaterThanOrEqual(3_000)
  })

  it('does nothing where it does not lead', async () => {
    const { lab, leader, others } = await started()
    others[0]!.election.resign()
    await lab.advance(1_000)
    expect(lab.leaders()).toEqual([leader.name])
  })

  it('resigns when it is unwell for as many heartbeats as may be missed', async () => {
    const { lab, leader } = await started()
    leader.health = 5
    await lab.advance(1_900)
    leader.health = 4
    await lab.advance(5_000)
    expect(leader.election.isLeader).toBe(true)
    leader.health = 5
    await lab.advance(3_100)
    expect(leader.events).toContain('lost 1 resigned')
    expect((await lab.elect()).name).not.toBe(leader.name)
  })

  it('resigns when it is stopped', async () => {
    const { lab, leader } = await started()
    const at = lab.clock.now()
    await leader.election.stop()
    expect(leader.events.at(-1)).toBe('lost 1 stopped')
    leader.up = false
    await lab.elect()
    expect(lab.clock.now() - at).toBeLessThan(100)
  })

  it('does not let a heartbeat that was under way renew the promise', async () => {
    const { lab, leader, others } = await started()
    await lab.advance(5_000)
    const [voter, other] = others as [LabNode, LabNode]
    leader.election.resign()
    lab.part([other.name])
    await lab.advance(10)
    forge(voter, leader.name, { k: 'beat', t: 1, s: 9, r: 2_000 })
    expect(voter.election.leader).toBeUndefined()
    forge(voter, other.name, { k: 'pre', t: voter.election.term })
    expect(lab.log.split('\n').at(-1)).toContain('"g":true')
  })
})

describe('LeaderElection (SWIM-55): flapping', () => {
  it('holds elections back after five changes in a minute, ever longer, until a quiet minute', async () => {
    const lab = new ElectionLab()
    await lab.start()
    const told: string[] = []
    for (let i = 0; i < 8; i++) {
      const leader = await lab.elect(200_000)
      await lab.advance(50)
      told.push(...leader.events.filter((event) => event.startsWith('flapping')).slice(-1))
      leader.election.resign()
    }
    expect(told.slice(0, 2)).toEqual(['flapping 5 3000', 'flapping 6 4500'])
    const leader = await lab.elect(200_000)
    expect(leader.election.snapshot().cooldownMs).toBeGreaterThan(4_500)
    await lab.advance(60_100)
    expect(leader.election.snapshot().cooldownMs).toBe(0)
  })
})

describe('LeaderElection (SWIM-56): terms', () => {
  it('is superseded by an answer with a higher term', async () => {
    const { lab, leader, others } = await started()
    forge(leader, others[0]!.name, { k: 'refuse', t: 7 })
    expect(leader.election.isLeader).toBe(false)
    expect(leader.events.at(-1)).toBe('lost 1 superseded')
    expect(leader.election.term).toBe(7)
    await lab.elect()
    expect(lab.acquisitions.at(-1)!.term).toBeGreaterThan(7)
  })

  it('ends its leadership before it considers a vote of a higher term, and refuses pre-votes', async () => {
    const { lab, leader, others } = await started()
    forge(leader, others[0]!.name, { k: 'pre', t: 1 })
    expect(lab.log.split('\n').at(-1)).toContain('"k":"pre-answer","t":1,"f":2,"g":false')
    expect(leader.election.isLeader).toBe(true)
    forge(leader, others[0]!.name, { k: 'vote', t: 2 })
    expect(leader.events.at(-1)).toBe('lost 1 superseded')
    await lab.advance(1)
    expect(leader.store.state).toEqual({ term: 2, votedFor: others[0]!.name })
  })

  it('refuses a heartbeat below its term', async () => {
    const { lab, leader, others } = await started()
    forge(others[0]!, leader.name, { k: 'refuse', t: 9 })
    await lab.clock.runUntil(() => !leader.election.isLeader)
    expect(leader.events.at(-1)).toBe('lost 1 superseded')
  })

  it('stops when it sees two leaders in one term', async () => {
    const { lab, leader, others } = await started()
    const [voter, other] = others as [LabNode, LabNode]
    forge(voter, other.name, { k: 'beat', t: 1, s: 1, r: 100 })
    expect(voter.events.at(-1)).toBe('error ELECTION_CONFLICT')
    forge(leader, other.name, { k: 'beat', t: 1, s: 1, r: 100 })
    expect(leader.election.isLeader).toBe(false)
    expect(leader.events.slice(-2).sort()).toEqual(['error ELECTION_CONFLICT', 'lost 1 stopped'])
    await lab.advance(10) // it has told the others that its lease is void
    const { sent } = lab
    lab.cut.clear()
    const at = lab.clock.now()
    await lab.advance(30_000)
    const lines = lab.log.split('\n').filter((line) => Number.parseFloat(line) > at)
    expect(lab.sent).toBeGreaterThan(sent)
    expect(new Set(lines.map((line) => line.split(/[ >]/)[1]))).toEqual(new Set([other.name]))
  })

  it('believes no acknowledgement of a heartbeat that it never sent', async () => {
    const { lab, leader, others } = await started()
    lab.part([leader.name])
    for (let i = 0; i < 10; i++) {
      forge(leader, others[0]!.name, { k: 'ack', t: 1, s: 1_000 + i })
      await lab.advance(400)
    }
    expect(leader.events).toContain('lost 1 quorum-lost')
  })

  it('is not moved by bytes that are no message', async () => {
    const { lab, leader, others } = await started()
    const good = encodeElectionMessage({ k: 'vote', t: 40 })
    for (let cut = 0; cut < good.length; cut++) others[0]!.deliver(leader.name, good.subarray(0, cut))
    for (let i = 0; i < 2_000; i++) {
      const bytes = Uint8Array.from({ length: lab.random.int(60) }, () => lab.random.int(256))
      for (const node of lab.nodes.values()) node.deliver('b', bytes)
    }
    await lab.advance(5_000)
    expect(lab.leaders()).toEqual([leader.name])
    expect(lab.acquisitions).toHaveLength(1)
  })
})

describe('LeaderElection: life cycle and misuse', () => {
  const cluster = (): ElectionCluster => {
    const lab = new ElectionLab()
    const local = lab.node('a').member()
    return { local, localHealth: 0, members: () => [local], send: () => true, onMessage: () => () => {} }
  }
  const make = (options: Partial<LeaderElectionOptions> = {}) =>
    new LeaderElection({
      cluster: cluster(),
      group: 'g',
      electorate: { size: 1 },
      clock: new VirtualClock(),
      random: new SeededRandom(1),
      logger: new MemoryLogger(),
      ...options,
    })

  it.each([
    { group: '' },
    { group: 'x'.repeat(91) },
    { group: 'a\nb' },
    { electorate: { size: 0 } },
    { electorate: { voters: [] } },
    { electorate: { voters: ['a', 'a'] } },
    { electorate: { voters: ['a'], size: 1 } },
    { electorate: { voters: Array.from({ length: 20 }, (_, i) => `${'x'.repeat(60)}${i}`) } },
    { heartbeatMs: 0 },
    { missedHeartbeats: 1 },
    { clockDriftTolerance: -0.1 },
    { cluster: {} },
    { store: {} },
    { heartbeat: 5 },
  ])('refuses options %#', (options) => {
    expect(() => make(options as unknown as Partial<LeaderElectionOptions>)).toThrow(ConfigError)
  })

  it('starts once and is closed after stop, with getters that still answer', async () => {
    const clock = new VirtualClock()
    const election = make({ clock })
    await election.start()
    await election.start()
    await clock.runUntil(() => election.isLeader)
    expect(election.snapshot()).toEqual({
      group: 'g',
      role: 'leader',
      term: 1,
      leader: 'a',
      quorum: 1,
      voters: null,
      leaseRemainingMs: expect.closeTo(3_000, 6) as number,
      cooldownMs: 0,
    })
    await election.stop()
    await election.stop()
    await election[Symbol.asyncDispose]()
    expect(clock.pendingTimers).toBe(0)
    expect(election.isLeader).toBe(false)
    expect(election.leader).toBeUndefined()
    expect(election.snapshot()).toMatchObject({ role: 'follower', term: 1, leaseRemainingMs: 0 })
    await expect(election.start()).rejects.toThrow(ClosedError)
    expect(() => election.resign()).toThrow(ClosedError)
    expect(() => election.lead(() => {})).toThrow(ClosedError)
    await expect(election.changeVoters({ add: 'b' })).rejects.toThrow(ClosedError)
  })

  it.each([
    [new ClosedError('Cluster'), []],
    [new HsError('MESSAGE_TOO_LARGE', 'too long'), ['LeaderElection.send: too long']],
  ])('goes on when the cluster does not send: %s', async (error, logged) => {
    const clock = new VirtualClock()
    const logger = new MemoryLogger()
    const fake = cluster()
    const failing: ElectionCluster = {
      local: fake.local,
      localHealth: 0,
      members: () => [fake.local, { ...fake.local, name: 'b' }],
      onMessage: () => () => {},
      send: () => {
        throw error
      },
    }
    const election = make({ clock, logger, cluster: failing, electorate: { size: 2 } })
    await election.start()
    await clock.advanceAsync(7_000)
    expect(election.snapshot().role).toBe('candidate')
    expect([...new Set(logger.at('error').map(({ message }) => message))]).toEqual(logged)
    await election.stop()
  })

  it('can be stopped before it was started', async () => {
    await make().stop()
  })

  it('waits in stop for the save that runs', async () => {
    const lab = new ElectionLab({ saveMs: [300, 300] })
    const a = lab.node('a')
    await a.start()
    forge(a, 'b', { k: 'vote', t: 3 })
    const stopped = a.election.stop()
    await lab.clock.run(stopped)
    expect(lab.clock.now()).toBe(300)
    expect(a.store.state?.term).toBe(3)
  })

  it('rejects start with what is wrong with the store, and can be started once that is mended', async () => {
    const store = new MemoryElectionStore()
    await store.save({ term: -1, votedFor: null })
    const election = make({ store })
    await expect(election.start()).rejects.toThrow(coded('ELECTION_STATE_CORRUPT'))
    await store.save({ term: 4, votedFor: null })
    await election.start()
    expect(election.term).toBe(4)
    await election.stop()
  })

  it('keeps its word on a disk', async () => {
    const disk = new MemoryDisk()
    const clock = new VirtualClock()
    const first = make({ clock, store: new DiskElectionStore(disk) })
    await first.start()
    await clock.runUntil(() => first.isLeader)
    await first.stop()
    const second = make({ clock, store: new DiskElectionStore(disk) })
    await second.start()
    expect(second.term).toBe(1)
    await clock.runUntil(() => second.isLeader)
    expect(second.fencingToken).toBe(2)
    await second.stop()
  })
})
