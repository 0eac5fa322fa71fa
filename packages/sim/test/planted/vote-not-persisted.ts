/** A voter that restarts in a term votes in it again, for another. Mend: the vote is durable before it is given. */

import type { Disk } from '@hs/core'
import type { NodeEnv } from '@hs/sim'
import { decode, encode, planted } from './planted.js'

const voters = ['v1', 'v2', 'v3']
const TERM_MS = 2_000
const ASK_AGAIN_MS = 100

interface Ask {
  readonly term: number
  readonly candidate: string
}

/** Votes are names of files: `term.candidate`. */
async function votesOn(disk: Disk): Promise<Map<number, string>> {
  const names = await disk.list()
  return new Map(names.map((name) => name.split('.')).map(([term, candidate]) => [Number(term), candidate ?? '']))
}

async function vote({ disk, rpc }: NodeEnv, persists: boolean): Promise<void> {
  const votes = await votesOn(disk)
  rpc.handle('vote', async (body) => {
    const { term, candidate } = decode<Ask>(body)
    const given = votes.get(term)
    if (given !== undefined) return encode(given === candidate)
    votes.set(term, candidate)
    if (persists) {
      await disk.open(`${term}.${candidate}`, { create: true })
      await disk.syncDirectory()
    }
    return encode(true)
  })
}

async function campaign({ name, clock, rpc }: NodeEnv, term: number, won: () => void): Promise<void> {
  const supporters = new Set<string>()
  const ask = async (voter: string): Promise<void> => {
    const answer = rpc.request(`${voter}:1`, 'vote', encode({ term, candidate: name }), { timeoutMs: 500 })
    // A voter that is down will be asked again.
    const granted = await answer.then(decode<boolean>, () => false)
    if (!granted) return
    supporters.add(voter)
    if (supporters.size > voters.length / 2) won()
  }
  for (let waited = 0; waited < TERM_MS - 500; waited += ASK_AGAIN_MS) {
    for (const voter of voters) if (!supporters.has(voter)) void ask(voter)
    await clock.sleep(ASK_AGAIN_MS)
  }
}

export const voteNotPersisted = planted('election without persisted vote', ['crash'], (mended) => ({
  durationMs: 30_000,
  settleMs: 1_000,
  nemesis: { kinds: ['crash'], maxForMs: 1_000 },
  mustReach: ['an election'],
  setup(sim) {
    let term = 0
    let winners = new Set<string>()
    for (const name of voters) sim.node(name, (env) => vote(env, mended))
    const candidates = ['x', 'y'].map((name) => sim.node(name, (env) => env))
    sim.every(TERM_MS, () => {
      const current = ++term
      winners = new Set()
      for (const candidate of candidates) {
        if (candidate.state !== 'up') continue
        const won = () => {
          if (current === term) winners.add(candidate.name)
          sim.sometimes('an election')
        }
        candidate.call((env) => void campaign(env, current, won))
      }
    })
    sim.always('a term has one winner', () => winners.size <= 1)
  },
}))
