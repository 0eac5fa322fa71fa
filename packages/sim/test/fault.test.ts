import { describe, expect, it } from 'vitest'
import { faultKinds, Simulation, type Fault } from '@hs/sim'
import { parseFaults } from '../src/fault.js'

const plan: Fault[] = [
  { atMs: 1, forMs: 2, kind: 'crash', node: 'a', disk: 'lose' },
  { atMs: 1.5, forMs: 0, kind: 'pause', node: 'a' },
  { atMs: 1, forMs: 2, kind: 'partition', from: ['a'], to: ['b', 'c'], oneWay: true },
  { atMs: 1, forMs: 2, kind: 'clog', from: ['a'], to: ['b'] },
  { atMs: 1, forMs: 2, kind: 'link', from: ['a'], to: ['b'], change: { loss: 0.5, latency: 3 } },
  { atMs: 1, forMs: 2, kind: 'clock', node: 'a', skewMs: -3, driftPpm: 200 },
  { atMs: 1, forMs: 2, kind: 'disk', node: 'a', change: { syncErrorRate: 1, capacityBytes: 10 } },
]

describe('Fault', () => {
  it('has seven kinds', () => {
    expect(faultKinds).toEqual(plan.map((fault) => fault.kind))
    expect(Object.isFrozen(faultKinds)).toBe(true)
  })

  it('is taken as it is, as a copy', () => {
    const parsed = parseFaults(plan, 'test')
    expect(parsed).toEqual(plan)
    expect(parsed[2]).not.toBe(plan[2])
    expect((parsed[2] as { to: string[] }).to).not.toBe((plan[2] as { to: string[] }).to)
  })

  it('says nothing by a field that is undefined', () => {
    const parsed = parseFaults(
      [
        { ...plan[0], disk: undefined },
        { ...plan[4], change: { loss: undefined } },
      ],
      'test',
    )
    expect(parsed.map((fault) => JSON.stringify(fault))).toEqual([
      '{"atMs":1,"forMs":2,"kind":"crash","node":"a"}',
      '{"atMs":1,"forMs":2,"kind":"link","from":["a"],"to":["b"],"change":{}}',
    ])
    expect(Object.keys((parsed[1] as { change: object }).change)).toEqual([])
  })

  const bad: [string, unknown, RegExp][] = [
    ['an unknown kind', { atMs: 1, forMs: 1, kind: 'meteor', node: 'a' }, /faults\.0\.kind/],
    ['a time before the start', { ...plan[1], atMs: -1 }, /faults\.0\.atMs/],
    ['a duration that is none', { ...plan[1], forMs: NaN }, /faults\.0\.forMs/],
    ['a node that is none', { ...plan[1], node: 3 }, /faults\.0\.node/],
    ['an empty side', { ...plan[2], from: [] }, /faults\.0\.from/],
    ['a misspelt field', { ...plan[2], oneway: true }, /oneway.*no such option/],
    ['a probability of 2', { ...plan[4], change: { loss: 2 } }, /faults\.0\.change\.loss/],
    ['an unknown latency', { ...plan[6], change: { latency: { kind: 'pareto' } } }, /faults\.0\.change\.latency/],
    ['a clock that runs backwards', { ...plan[5], driftPpm: -1_000_000 }, /faults\.0\.driftPpm/],
    ['a disk to do something else with', { ...plan[0], disk: 'burn' }, /faults\.0\.disk/],
  ]
  for (const [what, fault, message] of bad)
    it(`is a ConfigError with ${what}, and then no other fault happens`, async () => {
      const sim = new Simulation()
      for (const name of ['a', 'b', 'c']) sim.node(name, () => ({}))
      expect(() => sim.schedule([{ atMs: 1, forMs: 9, kind: 'pause', node: 'b' }, fault as Fault])).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
      )
      expect(() => parseFaults([fault], 'test')).toThrow(message)
      await sim.runFor(5)
      expect(sim.nodes.get('b')?.state).toBe('up')
    })
})
