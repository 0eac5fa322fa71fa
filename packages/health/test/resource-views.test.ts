import { VirtualClock } from '@hs/core/testing'
import {
  ResourceViews,
  type ManagerResourceView,
  type ResourceViewsOptions,
  type WorkerResourceReport,
} from '@hs/health'
import { describe, expect, it } from 'vitest'
import { misconfigured } from './support/matchers.js'

const make = (options: Partial<ResourceViewsOptions> = {}) => {
  const clock = new VirtualClock()
  return { clock, views: new ResourceViews({ clock, self: 'm1', datacenter: 'eu', ...options }) }
}
const worker = (change: Partial<WorkerResourceReport> = {}): WorkerResourceReport => ({
  worker: 'w1',
  owner: 'm1',
  incarnation: 1,
  seq: 1,
  coresUsed: 2,
  coresTotal: 8,
  memoryUsed: 10,
  memoryTotal: 100,
  ...change,
})
const peer = (change: Partial<ManagerResourceView> = {}): ManagerResourceView => ({
  manager: 'm2',
  datacenter: 'eu',
  incarnation: 1,
  seq: 1,
  workers: 3,
  coresUsed: 10,
  coresTotal: 24,
  memoryUsed: 30,
  memoryTotal: 300,
  ...change,
})
const malformed = (path: string) => expect.objectContaining({ code: 'DECODE_ERROR', path }) as Error

describe('ResourceViews (HL-22)', () => {
  it('sums the workers it owns, and those of the other managers of its datacenter', () => {
    const { views } = make({ incarnation: 7 })
    expect(views.cluster()).toEqual({
      datacenter: 'eu',
      managers: 1,
      workers: 0,
      coresUsed: 0,
      coresTotal: 0,
      memoryUsed: 0,
      memoryTotal: 0,
      cpuPressure: 0,
      memoryPressure: 0,
    })
    views.applyWorker(worker())
    views.applyWorker(worker({ worker: 'w2', coresUsed: 4 }))
    views.applyWorker(worker({ worker: 'w3', owner: 'm2', coresUsed: 100 }))
    expect(views.local()).toEqual({
      manager: 'm1',
      datacenter: 'eu',
      incarnation: 7,
      seq: 1,
      workers: 2,
      coresUsed: 6,
      coresTotal: 16,
      memoryUsed: 20,
      memoryTotal: 200,
    })
    views.applyPeer(peer())
    views.applyPeer(peer({ manager: 'm9', datacenter: 'us' }))
    expect(views.cluster()).toEqual({
      datacenter: 'eu',
      managers: 2,
      workers: 5,
      coresUsed: 16,
      coresTotal: 40,
      memoryUsed: 50,
      memoryTotal: 500,
      cpuPressure: 0.4,
      memoryPressure: 0.1,
    })
    expect([Object.isFrozen(views.local()), Object.isFrozen(views.cluster())]).toEqual([true, true])
  })

  it('counts a worker once among three managers that all hear of it', () => {
    const all = ['m1', 'm2', 'm3'].map((self) => make({ self }).views)
    for (const views of all) {
      for (let i = 0; i < 9; i++) views.applyWorker(worker({ worker: `w${i}`, owner: `m${(i % 3) + 1}` }))
    }
    for (const views of all) for (const other of all) views.applyPeer(other.local())
    for (const views of all) expect(views.cluster()).toMatchObject({ managers: 3, workers: 9, coresTotal: 72 })
  })

  it('moves a worker with its newest report, however late an older one comes', () => {
    const { views } = make()
    expect(views.applyWorker(worker({ seq: 2, owner: 'm2' }))).toBe(true)
    expect(views.applyWorker(worker({ seq: 1, owner: 'm1' }))).toBe(false)
    expect(views.local().workers).toBe(0)
    expect(views.applyWorker(worker({ seq: 3 }))).toBe(true)
    expect(views.local().workers).toBe(1)
  })

  it('takes the newest by incarnation and then seq, of workers and of peers', () => {
    const { views } = make()
    const said = (incarnation: number, seq: number) => [
      views.applyWorker(worker({ incarnation, seq, coresUsed: seq })),
      views.applyPeer(peer({ incarnation, seq, coresUsed: seq })),
    ]
    expect(said(1, 5)).toEqual([true, true])
    expect(said(1, 5)).toEqual([false, false])
    expect(said(1, 4)).toEqual([false, false])
    expect(said(2, 1)).toEqual([true, true])
    expect(said(1, 9)).toEqual([false, false])
    expect(views.cluster().coresUsed).toBe(2)
  })

  it('refuses a view of itself', () => {
    const { views } = make()
    expect(views.applyPeer(peer({ manager: 'm1', seq: 1e9 }))).toBe(false)
    expect(views.cluster().managers).toBe(1)
  })

  it('counts what is older than staleMs since receipt as absent, whatever the sender’s clock', () => {
    const { views, clock } = make()
    views.applyWorker(worker())
    views.applyPeer(peer())
    clock.advance(30_000)
    expect(views.cluster()).toMatchObject({ managers: 2, workers: 4 })
    clock.advance(1)
    expect(views.cluster()).toMatchObject({ managers: 1, workers: 0, coresTotal: 0 })
    expect(views.local().workers).toBe(0)
    // What came before stays known: an old report does not come back as a new one.
    expect([views.applyWorker(worker()), views.applyPeer(peer())]).toEqual([false, false])
    expect([views.applyWorker(worker({ seq: 2 })), views.applyPeer(peer({ seq: 2 }))]).toEqual([true, true])
    expect(views.cluster()).toMatchObject({ managers: 2, workers: 4 })
  })

  it('gives each local view a number of its own, so that others take it as news', () => {
    const { views } = make()
    const other = make({ self: 'm2' })
    expect([other.views.applyPeer(views.local()), other.views.applyPeer(views.local())]).toEqual([true, true])
    views.cluster()
    expect(views.local().seq).toBe(3)
  })

  it('forgets workers and peers', () => {
    const { views } = make()
    views.applyWorker(worker())
    views.applyPeer(peer())
    expect([views.forgetWorker('w1'), views.forgetWorker('w1')]).toEqual([true, false])
    expect([views.forgetPeer('m2'), views.forgetPeer('m2')]).toEqual([true, false])
    expect(views.cluster()).toMatchObject({ managers: 1, workers: 0 })
    expect(views.applyWorker(worker())).toBe(true)
  })

  it('remembers at most so many, and lets go of the one longest silent', () => {
    const { views } = make({ maxWorkers: 2, maxPeers: 1 })
    for (const [seq, name] of ['w1', 'w2', 'w1', 'w3'].entries()) views.applyWorker(worker({ worker: name, seq }))
    expect(views.local().workers).toBe(2)
    expect([views.forgetWorker('w1'), views.forgetWorker('w2')]).toEqual([true, false])
    views.applyPeer(peer({ manager: 'a' }))
    views.applyPeer(peer({ manager: 'b' }))
    expect([views.forgetPeer('a'), views.forgetPeer('b')]).toEqual([false, true])
  })

  it.each<[string, unknown]>([
    ['worker', worker({ worker: '' })],
    ['owner', { ...worker(), owner: undefined }],
    ['seq', worker({ seq: -1 })],
    ['incarnation', worker({ incarnation: 0.5 })],
    ['coresUsed', worker({ coresUsed: NaN })],
    ['memoryTotal', worker({ memoryTotal: Infinity })],
    ['', null],
  ])('refuses a worker’s report that is malformed at %j, and changes nothing', (path, report) => {
    const { views } = make()
    views.applyWorker(worker())
    expect(() => views.applyWorker(report as WorkerResourceReport)).toThrow(malformed(path))
    expect(views.local()).toMatchObject({ workers: 1, coresUsed: 2 })
  })

  it('refuses a peer’s view that is malformed, and options out of range', () => {
    const { views } = make()
    expect(() => views.applyPeer(peer({ workers: 1.5 }))).toThrow(malformed('workers'))
    expect(() => views.applyPeer(peer({ datacenter: '' }))).toThrow(malformed('datacenter'))
    expect(() => make({ self: '', staleMs: 0, incarnation: -1, maxPeers: 0 })).toThrow(
      misconfigured('self', 'incarnation', 'staleMs', 'maxPeers'),
    )
    expect(() => new ResourceViews({} as never)).toThrow(misconfigured('self', 'datacenter'))
  })
})
