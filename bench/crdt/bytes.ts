/** What travels, in bytes: a figure that no machine disturbs. */
import { msgpackCodec } from '@hs/core'
import { JobStats, ORSet } from '@hs/crdt'
import Table from 'cli-table3'
import * as Y from 'yjs'
import * as z from 'zod'
import { filled } from './sets.js'

const codec = msgpackCodec(z.unknown())
const bytes = (state: { toWire(): unknown } | null) => (state === null ? 0 : codec.encode(state.toWire()).length)

interface Row {
  readonly what: string
  readonly ours: number
  readonly most: number
  readonly yjs: number | null
}

export function printBytes(): void {
  const table = new Table({
    head: ['bytes on the wire', 'ours', 'at most', '', 'yjs'],
    colAligns: ['left', 'right', 'right', 'left', 'right'],
    style: { head: [], border: [] },
  })
  for (const { what, ours, most, yjs } of [oneAdd(), wholeSet(), emptied(), oneRow()]) {
    table.push([what, ours, most, ours <= most ? 'reached' : 'MISSED', yjs ?? ''])
  }
  console.log(table.toString())
}

function oneAdd(): Row {
  const set = filled()
  set.takeDelta()
  set.add('item-x')
  const map = yFilled()
  let update = 0
  map.doc?.once('update', (delta: Uint8Array) => (update = delta.length))
  map.set('item-x', true)
  return { what: 'one add to a set of 1,000', ours: bytes(set.takeDelta()), most: 48, yjs: update }
}

function wholeSet(): Row {
  const yjs = yBytes(yFilled())
  return { what: 'the set of 1,000', ours: bytes(filled()), most: yjs, yjs }
}

function emptied(): Row {
  const set = new ORSet('a')
  const map = new Y.Doc().getMap<boolean>('s')
  for (let round = 0; round < 20; round++) {
    for (const each of filled()) {
      set.add(each)
      map.set(each, true)
    }
    set.clear()
    map.clear()
  }
  return { what: 'emptied after 20 x 1,000 add and remove', ours: bytes(set), most: 64, yjs: yBytes(map) }
}

function oneRow(): Row {
  const stats = new JobStats('job-1')
  for (let i = 0; i < 5; i++) stats.observe(`dc-${i}`, report(1))
  stats.takeDelta()
  stats.observe('dc-3', report(7_000))
  return { what: 'JobStats: delta of one datacenter', ours: bytes(stats.takeDelta()), most: 64, yjs: null }
}

function report(time: number) {
  return { completed: 170 * time, failed: time, rate: 410.25, status: 'running', time }
}

function yFilled(): Y.Map<boolean> {
  const map = new Y.Doc().getMap<boolean>('s')
  for (const each of filled()) map.set(each, true)
  return map
}

function yBytes(map: Y.Map<boolean>): number {
  return map.doc === null ? 0 : Y.encodeStateAsUpdate(map.doc).length
}
