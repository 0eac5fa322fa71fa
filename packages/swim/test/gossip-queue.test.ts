import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { GossipQueue, retransmitLimit } from '../src/gossip-queue.js'
import type { ItemHolder } from '../src/transmit-heap.js'

/** What the queue should do, the slow way: a list that is sorted for each packet. */
class NaiveQueue {
  items: { key: string; size: number; sent: number; age: number }[] = []
  #age = 0

  add(key: string, size: number): void {
    this.items = this.items.filter((item) => item.key !== key)
    this.items.push({ key, size, sent: 0, age: this.#age++ })
  }

  drop(key: string): void {
    this.items = this.items.filter((item) => item.key !== key)
  }

  /** The keys that go into a packet. */
  packet(room: number, limit: number): string[] {
    this.items.sort((a, b) => a.sent - b.sent || b.age - a.age)
    const chosen: string[] = []
    let left = room
    for (const item of this.items) {
      if (item.sent >= limit || item.size > left) continue
      left -= item.size
      item.sent++
      chosen.push(item.key)
    }
    this.items = this.items.filter((item) => item.sent < limit)
    return chosen
  }
}

function makeQueue(multiplier = 1, maxItemBytes = 1_000) {
  const holders = new Map<string, ItemHolder & { key: string }>()
  let queued = 0
  const queue = new GossipQueue({ multiplier, maxItemBytes, onQueued: () => queued++ })
  const holder = (key: string) => {
    const known = holders.get(key)
    if (known !== undefined) return known
    const made = { key, item: undefined }
    holders.set(key, made)
    return made
  }
  const packet = (room: number, n: number) => {
    queue.choose(room, n)
    const keys = (items: readonly { holder: ItemHolder }[]) =>
      items.map((item) => (item.holder as { key: string } & ItemHolder).key)
    const chosen = { records: keys(queue.records), entries: keys(queue.entries) }
    queue.settle()
    return chosen
  }
  return { queue, holder, packet, queued: () => queued }
}

describe('GossipQueue (SWIM-22, SWIM-23)', () => {
  it('agrees with a list that is sorted for each packet: order, limit, budget, invalidation', () => {
    const command = fc.oneof(
      fc.record({
        do: fc.constant('add' as const),
        key: fc.constantFrom(...'abcdefgh'),
        size: fc.integer({ min: 7, max: 60 }),
      }),
      fc.record({ do: fc.constant('drop' as const), key: fc.constantFrom(...'abcdefgh') }),
      fc.record({ do: fc.constant('packet' as const), room: fc.integer({ min: 0, max: 200 }) }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.array(command, { maxLength: 60 }), (n, commands) => {
        const naive = new NaiveQueue()
        const { queue, holder, packet } = makeQueue()
        for (const c of commands) {
          if (c.do === 'add') {
            naive.add(c.key, c.size)
            queue.addRecord(new Uint8Array(c.size), holder(c.key))
          } else if (c.do === 'drop') {
            naive.drop(c.key)
            queue.dropRecord(holder(c.key))
          } else expect(packet(c.room, n).records).toEqual(naive.packet(c.room, retransmitLimit(1, n)))
          expect(queue.size).toBe(naive.items.length)
        }
      }),
    )
  })

  it('sends each item as often as its limit says, then lets it go and says so', () => {
    const { queue, holder, packet } = makeQueue(2)
    let gone = 0
    queue.addRecord(new Uint8Array(10), holder('a'), () => gone++)
    const sent = Array.from({ length: 10 }, () => packet(100, 5).records.length)
    expect(sent.filter((n) => n === 1)).toHaveLength(retransmitLimit(2, 5))
    expect([gone, queue.size, holder('a').item]).toEqual([1, 0, undefined])
  })

  it('takes the size of the cluster when it sends: an item that was sent enough for a smaller one goes', () => {
    const { queue, holder, packet } = makeQueue(1)
    queue.addRecord(new Uint8Array(10), holder('a'))
    packet(100, 100)
    packet(100, 100)
    expect(packet(100, 1).records).toEqual([])
    expect(queue.size).toBe(0)
  })

  it('lets a smaller item pass one that does not fit', () => {
    const { queue, holder, packet } = makeQueue()
    queue.addRecord(new Uint8Array(20), holder('small'))
    queue.addRecord(new Uint8Array(90), holder('large'))
    expect(packet(50, 10).records).toEqual(['small'])
    expect(packet(90, 10).records).toEqual(['large'])
  })

  it('keeps a quarter of the room for entries while there are any', () => {
    const { queue, holder, packet } = makeQueue(3)
    for (let i = 0; i < 100; i++) queue.addRecord(new Uint8Array(20), holder(`r${i}`))
    for (let i = 0; i < 100; i++) queue.addEntry(new Uint8Array(20), holder(`e${i}`))
    const { records, entries } = packet(400, 100)
    expect([records.length, entries.length]).toEqual([15, 5])
  })

  it('gives records the room that entries leave', () => {
    const { queue, holder, packet } = makeQueue(3)
    for (let i = 0; i < 100; i++) queue.addRecord(new Uint8Array(20), holder(`r${i}`))
    queue.addEntry(new Uint8Array(20), holder('e'))
    const { records, entries } = packet(400, 100)
    expect([records.length, entries.length]).toEqual([19, 1])
    expect(new Set(records).size).toBe(19)
  })

  it('does not take what would never fit, and tells whoever waits for it', () => {
    const { queue, holder, queued } = makeQueue(1, 50)
    let gone = 0
    queue.addRecord(new Uint8Array(51), holder('a'), () => gone++)
    expect([queue.size, queued(), gone]).toEqual([0, 0, 1])
  })

  it('forgets all at once', () => {
    const { queue, holder } = makeQueue()
    let gone = 0
    queue.addRecord(new Uint8Array(10), holder('a'), () => gone++)
    queue.addEntry(new Uint8Array(10), holder('e'))
    queue.clear()
    expect([queue.size, gone, holder('a').item, holder('e').item]).toEqual([0, 1, undefined, undefined])
  })
})
