import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { SeededRandom } from '@hs/core/testing'
import { Digests } from '../src/digests.js'
import { EntrySet } from '../src/entry-set.js'
import { HashIndex } from '../src/hash-index.js'
import { History } from '../src/history.js'
import { MemberRecord } from '../src/member-record.js'
import { MemberTable } from '../src/member-table.js'
import { OutstandingPings } from '../src/outstanding.js'
import { ALIVE, DEAD, LEFT, SUSPECT, transitions, UNCONFIRMED } from '../src/record.js'
import { Stalls } from '../src/stalls.js'
import { isUtf8 } from '../src/text.js'

const place = (name: string) => ({ address: `${name}:1`, rpcAddress: `${name}:1`, role: 'member', meta: {} })
const recordOf = (name: string) => {
  const record = new MemberRecord(name, 1, 0, place(name))
  record.status = ALIVE
  return record
}

describe('HashIndex (SWIM-2)', () => {
  it('agrees with a Map, by text and by bytes', () => {
    const command = fc.record({ key: fc.integer({ min: 0, max: 40 }), isAdd: fc.boolean() })
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
        const index = new HashIndex<{ key: string }>((x) => x.key)
        const map = new Map<string, { key: string }>()
        for (const { key, isAdd } of commands) {
          const name = `key-${key}`
          const held = map.get(name)
          if (isAdd && held === undefined) {
            const one = { key: name }
            map.set(name, one)
            index.add(one)
          } else if (!isAdd && held !== undefined) {
            map.delete(name)
            expect(index.delete(held)).toBe(true)
            expect(index.delete(held)).toBe(false)
          }
        }
        expect(index.size).toBe(map.size)
        expect(new Set(index)).toEqual(new Set(map.values()))
        for (let key = 0; key <= 40; key++) {
          const bytes = new TextEncoder().encode(`..key-${key}.`)
          expect(index.get(`key-${key}`)).toBe(map.get(`key-${key}`))
          expect(index.getBytes(bytes, 2, bytes.length - 3)).toBe(map.get(`key-${key}`))
        }
      }),
    )
  })
})

describe('MemberTable (SWIM-2, SWIM-35)', () => {
  const make = (maxMembers = 100) => new MemberTable(recordOf('self'), new SeededRandom(1), maxMembers)
  const add = (table: MemberTable, name: string, status: MemberRecord['status'] = ALIVE) => {
    const record = recordOf(name)
    record.status = status
    table.add(record)
    return record
  }

  it('keeps ring, tombstones, addresses and counts in step with each change', () => {
    const table = make()
    const a = add(table, 'a')
    const b = add(table, 'b')
    expect([table.n, table.size, table.ring.size]).toEqual([3, 3, 2])
    const place = a.ringIndex
    table.change(a, () => {
      a.status = SUSPECT
    })
    expect([table.n, a.ringIndex]).toEqual([3, place])
    table.change(a, () => {
      a.status = DEAD
      a.address = 'elsewhere:1'
    })
    expect([table.n, table.size, a.ringIndex, table.oldestTombstone]).toEqual([2, 3, -1, a])
    expect([table.byAddress('a:1'), table.byAddress('elsewhere:1')]).toEqual([undefined, a])
    table.remove(a)
    expect([table.size, table.oldestTombstone, table.byAddress('elsewhere:1'), table.get('a')]).toEqual([
      2,
      undefined,
      undefined,
      undefined,
    ])
    expect(table.get('b')).toBe(b)
    expect([table.count('alive'), table.count('dead'), table.count('unconfirmed')]).toEqual([2, 0, 0])
  })

  it('gives an address to whoever spoke for it last, and leaves it with that one', () => {
    const table = make()
    const a = add(table, 'a')
    const b = recordOf('b')
    b.address = 'a:1'
    b.status = ALIVE
    table.add(b)
    expect(table.byAddress('a:1')).toBe(b)
    table.remove(a)
    expect(table.byAddress('a:1')).toBe(b)
  })

  it('is full with itself counted', () => {
    const table = make(2)
    expect(table.isFull).toBe(false)
    add(table, 'a', UNCONFIRMED)
    expect([table.isFull, table.n]).toEqual([true, 1])
  })
})

describe('Digests (SWIM-30)', () => {
  it('are equal when views are, in whatever order they came to be, and differ in the bucket that differs', () => {
    const names = Array.from({ length: 200 }, (_, i) => `node-${i}`)
    const one = new Digests()
    const two = new Digests()
    for (const name of names) one.toggle(recordOf(name))
    for (const name of names.toReversed()) two.toggle(recordOf(name))
    expect(one.differences(two.toBytes())).toEqual([])
    const changed = recordOf('node-7')
    two.toggle(changed)
    changed.incarnation = 1
    two.toggle(changed)
    expect(one.differences(two.toBytes())).toHaveLength(1)
    expect(two.differences(one.toBytes())).toEqual(one.differences(two.toBytes()))
  })

  it('count a suspect as alive, the dead and the left each apart, hearsay not at all', () => {
    const digestOf = (status: MemberRecord['status']) => {
      const record = recordOf('a')
      record.status = status
      return record.digest()
    }
    expect(digestOf(SUSPECT)).toBe(digestOf(ALIVE))
    expect(new Set([digestOf(ALIVE), digestOf(DEAD), digestOf(LEFT), digestOf(UNCONFIRMED)]).size).toBe(4)
    expect(digestOf(UNCONFIRMED)).toBe(0)
  })

  it('see a gossiped entry, also where two members of a bucket have the same', () => {
    const [a, b] = [recordOf('a'), recordOf('b')]
    for (const record of [a, b]) record.status = ALIVE
    const without = a.digest() ^ b.digest()
    for (const record of [a, b]) {
      record.entries = new EntrySet()
      record.entries.take({ key: 'k', version: 1, direct: false, value: new Uint8Array([1]) })
    }
    expect(a.digest() ^ b.digest()).not.toBe(without)
  })
})

describe('EntrySet (SWIM-27)', () => {
  const news = (key: string, version: number, value: number | undefined, direct = false) => ({
    key,
    version,
    direct,
    value: value === undefined ? undefined : new Uint8Array([value]),
  })

  it('keeps the newest version of a key, whatever the order', () => {
    const set = new EntrySet()
    expect(set.take(news('k', 2, 2))?.version).toBe(2)
    expect(set.take(news('k', 1, 1))).toBeUndefined()
    expect(set.take(news('k', 2, 9))).toBeUndefined()
    expect(set.take(news('k', 3, undefined))?.version).toBe(3)
    expect(set.take(news('k', 2, 2))).toBeUndefined()
    expect([set.get('k')?.value, set.live, set.digest]).toEqual([undefined, 0, 0])
  })

  it('holds at most 1,024 values and as many retracted keys', () => {
    const set = new EntrySet()
    for (let i = 0; i < 1_024; i++) expect(set.take(news(`k${i}`, i + 1, 1))).toBeDefined()
    expect(set.take(news('one more', 2_000, 1))).toBeUndefined()
    expect(set.take(news('k0', 2_001, 2))).toBeDefined()
    for (let i = 0; i < 5_000; i++) set.take(news(`gone${i}`, 3_000 + i, undefined))
    expect([...set]).toHaveLength(2_048)
    expect(set.live).toBe(1_024)
  })
})

describe('History', () => {
  it('keeps the newest, oldest first', () => {
    const history = new History(3)
    for (let i = 0; i < 5; i++) history.add(i, 1_000 + i, 'joined', `m${i}`, i, i === 4 ? { by: 'x' } : undefined)
    const entry = (i: number) => ({ atMs: i, wallMs: 1_000 + i, kind: 'joined', member: `m${i}`, incarnation: i })
    expect(history.entries()).toEqual([entry(2), entry(3), { ...entry(4), detail: { by: 'x' } }])
  })

  it('hands out entries that are frozen all the way down', () => {
    const history = new History(3)
    const accusers = ['b', 'c']
    history.add(1, 1, 'dead', 'a', 0, { cause: 'timeout', accusers })
    const [{ detail } = {}] = history.entries()
    expect([history.entries(), history.entries()[0], detail, detail?.accusers].every(Object.isFrozen)).toBe(true)
  })

  it('keeps nothing when it is told to', () => {
    const history = new History(0)
    history.add(1, 1, 'joined', 'a', 0)
    expect(history.entries()).toEqual([])
  })
})

describe('Stalls (SWIM-20)', () => {
  it('counts a stall once, however many deadlines fire late because of it', () => {
    let count = 0
    const stalls = new Stalls(100, () => count++)
    expect(stalls.lateness(1_000, 1_100)).toBe(0)
    expect(stalls.lateness(1_000, 6_000)).toBe(5_000)
    expect(stalls.lateness(3_000, 6_000)).toBe(3_000)
    expect(count).toBe(1)
    expect(stalls.lateness(6_100, 8_000)).toBe(1_900)
    expect(count).toBe(2)
  })
})

describe('OutstandingPings (SWIM-15)', () => {
  const ping = (target: string) => ({ target, sentMs: 0, answered: () => undefined })

  it('gives each ping a number of its own, and knows none that is over', () => {
    const pings = new OutstandingPings(new SeededRandom(1))
    const [a, b] = [ping('a'), ping('b')]
    const first = pings.add(a)
    const second = pings.add(b)
    expect([pings.get(first), pings.get(second), pings.size]).toEqual([a, b, 2])
    expect([pings.delete(first), pings.delete(first), pings.get(first), pings.size]).toEqual([
      true,
      false,
      undefined,
      1,
    ])
    const seen = new Set([first, second])
    for (let i = 0; i < 10_000; i++) {
      const sequence = pings.add(a)
      expect(sequence).toBeLessThanOrEqual(0xffff_ffff)
      expect(seen.has(sequence)).toBe(false)
      seen.add(sequence)
      pings.delete(sequence)
    }
    expect([pings.get(first), pings.size]).toEqual([undefined, 1])
  })

  it('holds 65,536 at the most', () => {
    const pings = new OutstandingPings(new SeededRandom(1))
    for (let i = 0; i < 65_536; i++) pings.add(ping('a'))
    expect(() => pings.add(ping('a'))).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }))
  })
})

describe('isUtf8 (SWIM-37)', () => {
  it('agrees with the platform about any bytes', () => {
    const strict = new TextDecoder('utf-8', { fatal: true })
    const platform = (bytes: Uint8Array) => {
      try {
        strict.decode(bytes)
        return true
      } catch (error) {
        return !(error instanceof TypeError)
      }
    }
    const lead = fc.constantFrom(
      0x41,
      0x80,
      0xbf,
      0xc0,
      0xc2,
      0xe0,
      0xed,
      0xef,
      0xf0,
      0xf4,
      0xf5,
      0x9f,
      0xa0,
      0x90,
      0x8f,
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(lead, fc.nat(255)), { maxLength: 8 }), (xs) => {
        const bytes = new Uint8Array(xs)
        expect(isUtf8(bytes, 0, bytes.length)).toBe(platform(bytes))
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('transitions', () => {
  it('tell each death and each return once', () => {
    expect(transitions.alive.dead).toBe('dead')
    expect(transitions.suspect.dead).toBe('dead')
    expect(transitions.dead.dead).toBe('silent')
    expect(transitions.dead.alive).toBe('joined')
    expect(transitions.suspect.alive).toBe('recovered')
    expect(transitions.alive.alive).toBe('silent')
    expect(transitions.unconfirmed.dead).toBe('silent')
  })
})
