/** Counting, merging full states, and shipping one increment. */
import { GCounter } from '@hs/crdt'
import deltaCrdts from 'delta-crdts'
import * as Y from 'yjs'
import type { Contender, Workload } from '../harness.js'

const PEER = 'delta-crdts gcounter'
const gcounter = deltaCrdts('gcounter')
const names = (slots: number) => Array.from({ length: slots }, (_, i) => `slot-${i}`)

function ours(slots: readonly string[]): GCounter {
  const counter = new GCounter()
  for (const [i, slot] of slots.entries()) counter.increment(slot, i + 1)
  return counter
}

function theirs(slots: readonly string[]) {
  const counter = gcounter(slots[0] ?? '')
  counter.apply(new Map(slots.map((slot, i) => [slot, i + 1])))
  return counter
}

function bare(slots: readonly string[]): Map<string, number> {
  return new Map(slots.map((slot, i) => [slot, i + 1]))
}

function document(slots: readonly string[]): Y.Doc {
  const doc = new Y.Doc()
  for (const [i, slot] of slots.entries()) doc.getMap<number>('c').set(slot, i + 1)
  return doc
}

function increment(size: number, overPeer: number): Workload {
  const slots = names(size)
  const contenders: Contender[] = [
    {
      name: 'GCounter',
      ours: true,
      run(n) {
        const counter = ours(slots)
        for (let i = 0, at = 0; i < n; i++) {
          counter.increment(slots[at] ?? '')
          if (++at === size) at = 0
        }
        return counter.value
      },
    },
    {
      name: PEER,
      run(n) {
        const counter = theirs(slots)
        for (let i = 0; i < n; i++) counter.inc()
        return counter.value()
      },
    },
    {
      name: 'bare Map',
      run(n) {
        const map = bare(slots)
        for (let i = 0, at = 0; i < n; i++) {
          const slot = slots[at] ?? ''
          map.set(slot, (map.get(slot) ?? 0) + 1)
          if (++at === size) at = 0
        }
        return map
      },
    },
    {
      name: 'Y.Map set',
      run(n) {
        const map = document(slots).getMap<number>('c')
        for (let i = 0; i < n; i++) map.set(slots[i % size] ?? '', i)
        return map.size
      },
    },
  ]
  const goals = [
    { peer: PEER, ratio: overPeer },
    { peer: 'bare Map', ratio: 0.3 },
  ]
  return { name: `GCounter: increment, ${size} slots`, contenders, goals }
}

function merge(size: number): Workload {
  const slots = names(size)
  const contenders: Contender[] = [
    {
      name: 'GCounter',
      ours: true,
      run(n) {
        const [mine, other] = [ours(slots), ours(slots)]
        let changed = 0
        for (let i = 0; i < n; i++) {
          other.increment(slots[i % size] ?? '')
          if (mine.merge(other)) changed++
        }
        return changed
      },
    },
    {
      name: PEER,
      run(n) {
        const [mine, other] = [theirs(slots), bare(slots)]
        for (let i = 0; i < n; i++) {
          const slot = slots[i % size] ?? ''
          other.set(slot, (other.get(slot) ?? 0) + 1)
          mine.apply(other)
        }
        return mine.state()
      },
    },
    {
      name: 'bare Map',
      run(n) {
        const [mine, other] = [bare(slots), bare(slots)]
        for (let i = 0; i < n; i++) {
          const slot = slots[i % size] ?? ''
          other.set(slot, (other.get(slot) ?? 0) + 1)
          for (const [name, count] of other) if (count > (mine.get(name) ?? 0)) mine.set(name, count)
        }
        return mine
      },
    },
    {
      name: 'Y.Map full update',
      run(n) {
        const [mine, other] = [new Y.Doc(), document(slots)]
        for (let i = 0; i < n; i++) {
          other.getMap<number>('c').set(slots[i % size] ?? '', i)
          Y.applyUpdate(mine, Y.encodeStateAsUpdate(other))
        }
        return mine
      },
    },
  ]
  const goals = [
    { peer: PEER, ratio: 3 },
    { peer: 'bare Map', ratio: 0.6 },
  ]
  return { name: `GCounter: full-state merge, ${size} slots`, contenders, goals }
}

function ship(size: number, ratio: number): Workload {
  const slots = names(size)
  const contenders: Contender[] = [
    {
      name: 'GCounter',
      ours: true,
      run(n) {
        const [mine, peer] = [ours(slots), ours(slots)]
        for (let i = 0; i < n; i++) {
          mine.increment(slots[0] ?? '')
          const delta = mine.takeDelta()
          if (delta !== null) peer.merge(delta)
        }
        return peer.value
      },
    },
    {
      name: PEER,
      run(n) {
        const [mine, peer] = [theirs(slots), theirs(slots)]
        for (let i = 0; i < n; i++) peer.apply(mine.inc())
        return peer.value()
      },
    },
  ]
  return {
    name: `GCounter: increment, delta, merge at a peer, ${size} slots`,
    contenders,
    goals: [{ peer: PEER, ratio }],
  }
}

export const workloads: readonly Workload[] = [
  increment(5, 10),
  increment(100, 100),
  merge(5),
  merge(100),
  ship(5, 2),
  ship(100, 30),
]
