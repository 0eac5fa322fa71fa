/** Adding, shipping adds, and merging a whole set. One operation is one add, or one merge. */
import { msgpackCodec } from '@hs/core'
import { ORSet } from '@hs/crdt'
import deltaCrdts from 'delta-crdts'
import * as Y from 'yjs'
import * as z from 'zod'
import type { Workload } from '../harness.js'

const PEER = 'delta-crdts aworset'
const SIZE = 1_000
const elements = Array.from({ length: SIZE }, (_, i) => `item-${i}`)
const aworset = deltaCrdts('aworset')
const codec = msgpackCodec(z.unknown())

/** Runs `add` n times, with a new set for each thousand. */
function inThousands<T>(n: number, begin: () => T, add: (set: T, element: string) => unknown): T {
  let set = begin()
  for (let i = 0; i < n; i++) {
    if (i > 0 && i % SIZE === 0) set = begin()
    add(set, elements[i % SIZE] ?? '')
  }
  return set
}

const adds: Workload = {
  name: 'ORSet: 1,000 adds',
  contenders: [
    {
      name: 'ORSet',
      ours: true,
      run: (n) =>
        inThousands(
          n,
          () => new ORSet('a'),
          (set, each) => set.add(each),
        ),
    },
    {
      name: PEER,
      run: (n) =>
        inThousands(
          n,
          () => aworset('a'),
          (set, each) => set.add(each),
        ),
    },
    {
      name: 'Y.Map',
      run: (n) =>
        inThousands(
          n,
          () => new Y.Doc().getMap<boolean>('s'),
          (map, each) => map.set(each, true),
        ),
    },
  ],
  goals: [
    { peer: PEER, ratio: 300 },
    { peer: 'Y.Map', ratio: 6 },
  ],
}

function yPair(): Y.Map<boolean> {
  const [doc, peer] = [new Y.Doc(), new Y.Doc()]
  doc.on('update', (update: Uint8Array) => Y.applyUpdate(peer, update))
  return doc.getMap<boolean>('s')
}

const shipped: Workload = {
  name: 'ORSet: 1,000 adds, each shipped as a delta and merged',
  contenders: [
    {
      name: 'ORSet',
      ours: true,
      run: (n) =>
        inThousands(
          n,
          () => [new ORSet('a'), new ORSet('b')] as const,
          ([set, peer], each) => {
            set.add(each)
            const delta = set.takeDelta()
            if (delta !== null) peer.merge(delta)
          },
        ),
    },
    {
      name: 'ORSet, as bytes',
      run: (n) =>
        inThousands(
          n,
          () => [new ORSet('a'), new ORSet('b')] as const,
          ([set, peer], each) => {
            set.add(each)
            const delta = set.takeDelta()
            if (delta !== null) peer.merge(ORSet.fromWire(codec.decode(codec.encode(delta.toWire())), 'b'))
          },
        ),
    },
    { name: 'Y.Map, as bytes', run: (n) => inThousands(n, yPair, (map, each) => map.set(each, true)) },
  ],
  goals: [{ peer: 'Y.Map, as bytes', ratio: 5 }],
}

const merged: Workload = {
  name: 'ORSet: merge of a 1,000-element state',
  contenders: [
    {
      name: 'ORSet',
      ours: true,
      run(n) {
        const state = filled()
        const peer = state.clone('b')
        let changed = 0
        for (let i = 0; i < n; i++) {
          state.add(elements[i % SIZE] ?? '')
          if (peer.merge(state)) changed++
        }
        return changed
      },
    },
    {
      name: PEER,
      run(n) {
        const set = aworset('a')
        for (const each of elements) set.add(each)
        const peer = aworset('b')
        for (let i = 0; i < n; i++) peer.apply(set.state())
        return peer.state()
      },
    },
  ],
  goals: [{ peer: PEER, ratio: 8 }],
}

export function filled(): ORSet {
  const set = new ORSet('a')
  for (const each of elements) set.add(each)
  return set
}

export const workloads: readonly Workload[] = [adds, shipped, merged]
