/** The pure parts, as tables. */
import { overloadStates } from '@hs/core'
import { describe, expect, it } from 'vitest'
import { extensionGrantMs } from '../src/deadline-extensions.js'
import { ChildUsage, parseRss, parseStat } from '../src/node/child-usage.js'
import { judgeNode, verdictOn, type NodeSignals } from '../src/node-verdict.js'
import { progresses } from '../src/progress.js'

describe('judgeNode (HL-10)', () => {
  const well: NodeSignals = { live: true, ready: true, progress: 'normal', overload: 'healthy', isGivenUp: false }

  it.each<[Partial<NodeSignals>, string]>([
    [{}, 'healthy/route'],
    [{ progress: 'idle', overload: 'busy' }, 'healthy/route'],
    [{ ready: false }, 'busy/drain'],
    [{ ready: false, overload: 'overloaded' }, 'busy/drain'],
    [{ overload: 'stressed' }, 'slow/investigate'],
    [{ progress: 'slow' }, 'slow/investigate'],
    [{ progress: 'degraded' }, 'slow/investigate'],
    [{ progress: 'degraded', ready: false }, 'degraded/drain'],
    [{ overload: 'stressed', ready: false }, 'degraded/drain'],
    [{ progress: 'stuck', overload: 'stressed' }, 'stuck/drain'],
    [{ progress: 'stuck', ready: false, isGivenUp: true }, 'stuck/evict'],
    [{ live: false, progress: 'stuck' }, 'suspect/evict'],
    [{ live: false }, 'suspect/evict'],
  ])('%j: %s', (change, row) => {
    expect(judgeNode({ ...well, ...change }).join('/')).toBe(row)
  })

  it('has one verdict for each set of signals, and no other for it later', () => {
    const flags = [true, false]
    const seen = new Map<object, string>()
    for (const live of flags)
      for (const ready of flags)
        for (const isGivenUp of flags)
          for (const progress of progresses)
            for (const overload of overloadStates) {
              const signals = { live, ready, progress, overload, isGivenUp }
              const verdict = verdictOn(signals)
              const [status, advice] = judgeNode(signals)
              expect(verdict).toEqual({ status, advice, live, ready, progress, overload })
              expect(verdictOn({ ...signals })).toBe(verdict)
              expect(seen.get(verdict)).toBeUndefined()
              seen.set(verdict, JSON.stringify(signals))
            }
    expect(seen.size).toBe(160)
  })
})

describe('extensionGrantMs (HL-13)', () => {
  it.each([
    [0, 30_000, 1_000, 30_000],
    [1, 30_000, 1_000, 15_000],
    [4, 30_000, 1_000, 1_875],
    [5, 30_000, 1_000, 1_000],
    [2_000, 30_000, 1_000, 1_000],
    [0, 500, 1_000, 1_000],
  ])('grant %d of %d ms, at least %d: %d', (n, baseMs, minGrantMs, grantMs) => {
    expect(extensionGrantMs(n, baseMs, minGrantMs)).toBe(grantMs)
  })
})

describe('/proc (HL-20)', () => {
  const stat = (name: string, user: number, system: number) =>
    `4711 (${name}) S 1 2 3 4 5 6 7 8 9 10 ${user} ${system} 999 999 20 0 1 0 5036932 3133440 411 0`

  it.each([
    ['node', 12, 30, 420],
    ['a) b (c', 1, 2, 30],
    ['', 0, 0, 0],
  ])('reads the time of %j', (name, user, system, cpuMs) => {
    expect(parseStat(stat(name, user, system))).toBe(cpuMs)
  })

  it('finds no time in what is no such line, and no memory in that of a process that has ended', () => {
    expect([parseStat(''), parseStat('4711 (node) S 1')]).toEqual([undefined, undefined])
    expect(parseRss('Name:\tnode\nVmRSS:\t    2024 kB\nThreads:\t1\n')).toBe(2_024 * 1_024)
    expect(parseRss('Name:\tnode\nState:\tZ (zombie)\n')).toBe(0)
  })

  it('keeps the time of a process that has ended, and of one whose number another has now', () => {
    const table = new Map<number, number>()
    const children = new ChildUsage((pid) => {
      const cpuMs = table.get(pid)
      return cpuMs === undefined ? undefined : { cpuMs, memoryBytes: 10 }
    })
    table.set(1, 100).set(2, 200)
    expect(children.read([1, 2, 2])).toEqual({ cpuMs: 300, memoryBytes: 20 })
    table.delete(1)
    expect(children.read([1, 2])).toEqual({ cpuMs: 300, memoryBytes: 10 })
    table.set(2, 50)
    expect(children.read([2])).toEqual({ cpuMs: 350, memoryBytes: 10 })
    expect(children.read([])).toEqual({ cpuMs: 350, memoryBytes: 0 })
    expect(children.read([0, -1, 1.5, NaN])).toEqual({ cpuMs: 350, memoryBytes: 0 })
  })
})
