import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { SeededRandom } from '@hs/core/testing'
import { PacketReader } from '../src/packet-reader.js'
import { encodeAlive, encodeEntry, encodeVerdict, PacketWriter } from '../src/packet-writer.js'
import {
  ACK,
  checksum,
  CHECKSUM_AT,
  GOSSIP,
  labelOf,
  MESSAGE,
  NACK,
  PING,
  PING_REQ,
  RELAYED,
  SENDER_AT,
} from '../src/wire.js'
import { DEAD, LEFT, SUSPECT } from '../src/record.js'

const LABEL = labelOf('default')
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const vectors = JSON.parse(readFileSync(new URL('vectors/packets.json', import.meta.url), 'utf8')) as Record<
  string,
  string
>

const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,30}$/)
const generation = fc.nat(Number.MAX_SAFE_INTEGER)
const incarnation = fc.nat(2 ** 48)
const address = fc.stringMatching(/^[a-z0-9.]{1,40}:[0-9]{1,5}$/)
const meta = fc
  .dictionary(fc.string({ unit: 'grapheme', maxLength: 10 }), fc.string({ unit: 'grapheme', maxLength: 12 }), {
    maxKeys: 4,
  })
  .map((pairs) => ({ ...pairs }))
const alive = fc.record({
  name,
  generation,
  incarnation,
  address,
  rpcAddress: address,
  role: fc.string({ maxLength: 10 }),
  meta,
})
const verdict = fc.record({ name, generation, incarnation, accuser: name, rank: fc.constantFrom(SUSPECT, DEAD, LEFT) })
const entry = fc.record({
  owner: name,
  generation,
  key: fc.string({ minLength: 1, maxLength: 20 }),
  version: generation,
  direct: fc.boolean(),
  value: fc.option(fc.uint8Array({ maxLength: 100 }), { nil: undefined }),
})

function sealed(packet: Uint8Array): Uint8Array {
  const bytes = packet.slice()
  if (bytes.length > CHECKSUM_AT + 4) new DataView(bytes.buffer).setUint32(CHECKSUM_AT, checksum(bytes, bytes.length))
  return bytes
}

function writerOf(cluster = LABEL): PacketWriter {
  const writer = new PacketWriter(4_096, cluster)
  writer.identify('node-1', 123_456_789_012, 7, 2)
  return writer
}

/** One of each kind, and what it says. */
function samples(): Record<string, Uint8Array> {
  const w = writerOf()
  const plain = () => {
    w.records()
    w.entries()
    return w.finish().slice()
  }
  const packets: Record<string, Uint8Array> = {}
  w.begin(PING)
  w.u32(0xdeadbeef)
  w.string('node-2')
  packets['ping'] = plain()
  w.begin(ACK)
  w.u32(1)
  w.u8(1)
  w.records()
  w.entries()
  packets['ack'] = w
    .finishWithCoordinate({ vec: [1, -2, 0.5], heightMs: 0.25, adjustmentMs: -0.5, error: 1.5, samples: 300 })
    .slice()
  w.begin(PING_REQ)
  w.u32(2)
  w.string('node-3')
  w.string('10.0.0.3:7946')
  w.u16(400)
  packets['ping-req'] = plain()
  w.begin(NACK)
  w.u32(3)
  packets['nack'] = plain()
  w.begin(RELAYED)
  w.u32(4)
  w.string('node-3')
  packets['relayed'] = plain()
  w.begin(GOSSIP)
  w.records()
  w.item(
    encodeAlive('node-2', 99, 0, {
      address: '10.0.0.2:7946',
      rpcAddress: '10.0.0.2:7947',
      role: 'member',
      meta: { zone: 'eu-1', ünicode: '✓' },
    }),
  )
  w.item(encodeVerdict(SUSPECT, 'node-4', 2 ** 53 - 1, 2 ** 48, 'node-1'))
  w.item(encodeVerdict(DEAD, 'node-5', 300, 1, 'node-2'))
  w.item(encodeVerdict(LEFT, 'node-6', 1, 128, 'node-6'))
  w.entries()
  w.item(
    encodeEntry({
      owner: 'node-2',
      generation: 99,
      key: 'load',
      version: 5,
      direct: false,
      value: new Uint8Array([1, 2]),
    }),
  )
  w.item(encodeEntry({ owner: 'node-1', generation: 1, key: 'gone', version: 200, direct: true, value: undefined }))
  packets['gossip'] = w.finish().slice()
  w.begin(MESSAGE)
  w.string('election/main')
  w.payload(new Uint8Array([9, 8, 7]))
  packets['message'] = plain()
  return packets
}

describe('The wire (SWIM-36)', () => {
  it.each(Object.keys(samples()))('the bytes of a %s are those of version 1', (kind) => {
    expect(hex(samples()[kind] as Uint8Array)).toBe(vectors[kind])
  })

  it('reads back what was written into each kind', () => {
    const reader = new PacketReader()
    const packets = samples()
    const open = (kind: string) => {
      expect(reader.open(packets[kind] as Uint8Array, LABEL)).toBe('ok')
      expect(reader.sender()).toBe('node-1')
      expect([reader.generation, reader.incarnation, reader.health]).toEqual([123_456_789_012, 7, 2])
    }
    open('ping')
    expect([reader.kind, reader.sequence, reader.target()]).toEqual([PING, 0xdeadbeef, 'node-2'])
    open('ack')
    expect([reader.kind, reader.sequence, reader.isUnknown]).toEqual([ACK, 1, true])
    expect([...reader.coordinate.subarray(0, reader.coordinateCount)]).toEqual([0.25, -0.5, 1.5, 300, 1, -2, 0.5])
    open('ping-req')
    expect([reader.sequence, reader.target(), reader.text(), reader.nackAfterMs]).toEqual([
      2,
      'node-3',
      '10.0.0.3:7946',
      400,
    ])
    open('nack')
    expect([reader.kind, reader.sequence]).toEqual([NACK, 3])
    open('relayed')
    expect([reader.sequence, reader.target()]).toEqual([4, 'node-3'])
    open('message')
    expect([reader.text(), [...reader.payload()]]).toEqual(['election/main', [9, 8, 7]])
    open('gossip')
    expect(reader.news(0).description?.meta).toEqual({ zone: 'eu-1', ünicode: '✓' })
    expect(reader.news(1)).toMatchObject({
      rank: SUSPECT,
      generation: 2 ** 53 - 1,
      incarnation: 2 ** 48,
      accuser: 'node-1',
    })
    expect(reader.news(3)).toMatchObject({ rank: LEFT, name: 'node-6', incarnation: 128 })
    expect(reader.entryNews(0)).toEqual({ key: 'load', version: 5, direct: false, value: new Uint8Array([1, 2]) })
    expect(reader.entryNews(1)).toEqual({ key: 'gone', version: 200, direct: true, value: undefined })
  })

  it('round-trips any records and entries', () => {
    fc.assert(
      fc.property(
        fc.array(alive, { maxLength: 4 }),
        fc.array(verdict, { maxLength: 6 }),
        fc.array(entry, { maxLength: 4 }),
        (alives, verdicts, entries) => {
          const w = writerOf()
          w.begin(GOSSIP)
          w.records()
          for (const a of alives) w.item(encodeAlive(a.name, a.generation, a.incarnation, a))
          for (const v of verdicts) w.verdict(v.rank, v.name, v.generation, v.incarnation, v.accuser)
          w.entries()
          for (const e of entries) w.item(encodeEntry(e))
          const reader = new PacketReader()
          expect(reader.open(w.finish(), LABEL)).toBe('ok')
          alives.forEach(({ address, rpcAddress, role, meta, ...version }, i) => {
            const news = reader.news(i)
            expect(news).toMatchObject(version)
            expect(news.description).toEqual({ address, rpcAddress, role, meta })
          })
          verdicts.forEach((v, i) => expect(reader.news(alives.length + i)).toMatchObject(v))
          entries.forEach(({ owner: _, generation, ...news }, i) => {
            expect(reader.entryNews(i)).toEqual(news)
            expect(reader.entryGeneration(i)).toBe(generation)
          })
        },
      ),
    )
  })

  it('shows in a round trip that a record is passed on as it came', () => {
    const bytes = encodeVerdict(DEAD, 'b', 5, 6, 'c')
    const reader = new PacketReader()
    expect(reader.openRecord(bytes, 0)).toBe(bytes.length)
    expect(hex(reader.recordBytes(0))).toBe(hex(bytes))
  })
})

describe('Packets that are not right (SWIM-37)', () => {
  const reader = new PacketReader()

  it.each(Object.keys(samples()))('refuses every truncation of a %s, sealed anew or not', (kind) => {
    const whole = samples()[kind] as Uint8Array
    for (let length = 0; length < whole.length; length++) {
      expect(reader.open(whole.slice(0, length), LABEL)).not.toBe('ok')
      expect(reader.open(sealed(whole.slice(0, length)), LABEL)).not.toBe('ok')
    }
  })

  it('sees every changed byte by the checksum', () => {
    for (const whole of Object.values(samples())) {
      for (let at = 0; at < whole.length; at++) {
        const changed = whole.slice()
        changed[at] = (changed[at] as number) ^ (1 + (at % 255))
        expect(reader.open(changed, LABEL)).not.toBe('ok')
      }
    }
  })

  it('refuses bytes after the end, another version, and says so of another cluster', () => {
    const { ping = new Uint8Array() } = samples()
    expect(reader.open(sealed(new Uint8Array([...ping, 0])), LABEL)).toBe('malformed')
    expect(reader.open(sealed(new Uint8Array([2, ...ping.slice(1)])), LABEL)).toBe('malformed')
    expect(reader.open(ping, labelOf('other'))).toBe('foreign')
  })

  it('never throws, whatever is changed in a packet that is sealed anew', () => {
    const dice = new SeededRandom('mutations')
    const packets = Object.values(samples())
    const wrong: string[] = []
    let passed = 0
    for (let run = 0; run < 100_000; run++) {
      const packet = dice.pick(packets).slice()
      for (let k = dice.int(4); k >= 0; k--) packet[SENDER_AT + dice.int(packet.length - SENDER_AT)] = dice.int(256)
      if (reader.open(sealed(packet), LABEL) !== 'ok') continue
      passed++
      // What passes can be read, and holds only what may be held.
      const isRight =
        /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(reader.sender()) &&
        reader.generation <= Number.MAX_SAFE_INTEGER &&
        Array.from({ length: reader.recordCount }, (_, i) => reader.news(i)).every((n) => n.incarnation <= 2 ** 48) &&
        Array.from({ length: reader.entryCount }, (_, i) => reader.entryNews(i)).every((e) => e.key.length > 0) &&
        reader.coordinate.subarray(0, reader.coordinateCount).every((x) => Number.isFinite(x))
      if (!isRight) wrong.push(hex(packet))
    }
    expect(wrong).toEqual([])
    expect(passed).toBeGreaterThan(1_000)
  })

  const gossip = (item: Uint8Array) => {
    const w = writerOf()
    w.begin(GOSSIP)
    w.records()
    w.item(item)
    w.entries()
    return reader.open(w.finish(), LABEL)
  }

  it.each([
    ['an incarnation above 2⁴⁸', encodeVerdict(SUSPECT, 'b', 1, 2 ** 48 + 1, 'c')],
    ['a generation above 2⁵³ - 1', encodeVerdict(SUSPECT, 'b', 2 ** 53, 1, 'c')],
    ['a name that is none', encodeVerdict(SUSPECT, '-b', 1, 1, 'c')],
    ['an empty name', encodeVerdict(SUSPECT, '', 1, 1, 'c')],
    ['an accuser that is no name', encodeVerdict(SUSPECT, 'b', 1, 1, 'c d')],
    ['a number longer than it must be', new Uint8Array([SUSPECT, 1, 98, 0x81, 0x00, 0, 1, 99])],
    ['an unknown status', new Uint8Array([4, 1, 98, 1, 0, 1, 99])],
    ['no address', encodeAlive('b', 1, 1, { address: '', rpcAddress: '', role: '', meta: {} })],
    ['invalid UTF-8', new Uint8Array([0, 1, 98, 1, 0, 2, 0xc0, 0x80, 0, 0, 0])],
    ['metadata cut within a pair', new Uint8Array([0, 1, 98, 1, 0, 1, 97, 0, 0, 2, 1, 98])],
  ])('refuses %s', (_, item) => {
    expect(gossip(item)).toBe('malformed')
  })

  it.each([
    ['not finite', { vec: [Infinity], heightMs: 1, adjustmentMs: 0, error: 1 }],
    ['no number', { vec: [0], heightMs: NaN, adjustmentMs: 0, error: 1 }],
    ['of negative height', { vec: [0], heightMs: -1, adjustmentMs: 0, error: 1 }],
  ])('refuses a coordinate that is %s', (_, coordinate) => {
    const w = writerOf()
    w.begin(ACK)
    w.u32(1)
    w.u8(0)
    w.records()
    w.entries()
    expect(reader.open(w.finishWithCoordinate(coordinate), LABEL)).toBe('malformed')
  })
})
