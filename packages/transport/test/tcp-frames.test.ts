import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteGatherer, viewOf } from '../src/byte-gatherer.js'
import { FrameReader, type FrameSink } from '../src/frame-reader.js'
import { decodeError, decodeGoaway, decodeHello, encodeError, encodeGoaway, encodeHello } from '../src/payloads.js'
import { encodeFrame, MAX_HELLO_LENGTH, MIN_LENGTH, readU32, writeU32 } from '../src/wire.js'

interface Seen {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly payload: Uint8Array
}

class Collector implements FrameSink {
  readonly frames: Seen[] = []
  readonly badLengths: number[] = []
  onFrame(type: number, flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    this.frames.push({ type, flags, id, payload: viewOf(bytes, start, end) })
  }
  onBadLength(length: number): void {
    this.badLengths.push(length)
  }
}

const someFrame = fc.record({
  type: fc.integer({ min: 0, max: 255 }),
  flags: fc.integer({ min: 0, max: 255 }),
  id: fc.integer({ min: 0, max: 0xffff_ffff }),
  payload: fc.uint8Array({ maxLength: 3_000 }),
})

const LIMIT = 4_096

function cut(stream: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0, i = 0; at < stream.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    pieces.push(stream.slice(at, at + size))
    at += size
  }
  return pieces
}

describe('frames (TCP-4, TCP-5)', () => {
  it('decode alike wherever their bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(someFrame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 1_500 }), { minLength: 1, maxLength: 10 }),
        (frames, sizes) => {
          const stream = Buffer.concat(frames.map((f) => encodeFrame(f.type, f.id, f.payload, f.flags)))
          const sink = new Collector()
          const reader = new FrameReader(sink, LIMIT)
          for (const [i, piece] of cut(stream, sizes).entries()) reader.push(piece, i)
          expect(sink.frames).toEqual(frames)
          expect(sink.badLengths).toEqual([])
          expect(reader.partialSinceMs).toBe(-1)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('are all handed out, in order, though reading is paused at any of them', () => {
    fc.assert(
      fc.property(
        fc.array(someFrame, { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 1_500 }), { minLength: 1, maxLength: 6 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
        (frames, sizes, pauses) => {
          const seen: Seen[] = []
          const reader: FrameReader = new FrameReader(
            {
              onFrame(type, flags, id, bytes, start, end) {
                expect(reader.paused).toBe(false)
                seen.push({ type, flags, id, payload: viewOf(bytes, start, end) })
                if (pauses[seen.length % pauses.length] === true) reader.pause()
              },
              onBadLength: () => expect.unreachable(),
            },
            LIMIT,
          )
          const stream = Buffer.concat(frames.map((f) => encodeFrame(f.type, f.id, f.payload, f.flags)))
          for (const piece of cut(stream, sizes)) reader.push(piece, 0)
          while (reader.paused) reader.resume(0)
          expect(seen).toEqual(frames)
        },
      ),
      { numRuns: 200 },
    )
  })

  it.each([0, 1, 5, LIMIT + 1, 0xffff_ffff])(
    'end the stream at a length of %i, when its four bytes are read',
    (length) => {
      for (const size of [1, 3, 4, 100]) {
        const sink = new Collector()
        const reader = new FrameReader(sink, LIMIT)
        const bytes = new Uint8Array(64)
        writeU32(bytes, 0, length)
        const good = encodeFrame(5, 0, Uint8Array.of(1))
        for (const piece of cut(Buffer.concat([good, bytes]), [good.length])) {
          for (const part of cut(piece, [size])) reader.push(part, 0)
        }
        reader.push(good, 0)
        expect(sink.frames).toHaveLength(1)
        expect(sink.badLengths).toEqual([length])
      }
    },
  )

  it('take a length of exactly the least and of exactly the limit', () => {
    const sink = new Collector()
    const reader = new FrameReader(sink, LIMIT)
    reader.push(encodeFrame(1, 2, new Uint8Array(0)), 0)
    reader.push(encodeFrame(1, 2, new Uint8Array(LIMIT - MIN_LENGTH)), 0)
    expect(sink.frames.map((f) => f.payload.length)).toEqual([0, LIMIT - MIN_LENGTH])
  })

  it('allocate for what came, not for what a length declares', () => {
    const reader = new FrameReader(new Collector(), 1_073_741_824)
    const head = new Uint8Array(10)
    writeU32(head, 0, 1_073_741_824)
    const before = process.memoryUsage().arrayBuffers
    const readers = Array.from({ length: 100 }, () => {
      const one = new FrameReader(new Collector(), 1_073_741_824)
      one.push(head, 0)
      return one
    })
    reader.push(head, 0)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
    expect(readers.every((one) => one.partialSinceMs === 0)).toBe(true)
  })

  it('say when the one that is incomplete began', () => {
    const sink = new Collector()
    const reader = new FrameReader(sink, LIMIT)
    const one = encodeFrame(5, 0, new Uint8Array(100))
    reader.push(one.subarray(0, 2), 7)
    expect(reader.partialSinceMs).toBe(7)
    reader.push(one.subarray(2, 50), 8)
    expect(reader.partialSinceMs).toBe(7)
    reader.push(Buffer.concat([one.subarray(50), one.subarray(0, 1)]), 9)
    expect(reader.partialSinceMs).toBe(9)
    reader.push(one.subarray(1), 10)
    expect(reader.partialSinceMs).toBe(-1)
    expect(sink.frames).toHaveLength(2)
  })

  it('are not copied when they lie whole in a chunk', () => {
    const sink = new Collector()
    const chunk = Buffer.concat([encodeFrame(5, 1, Uint8Array.of(1, 2)), encodeFrame(5, 2, Uint8Array.of(3))])
    new FrameReader(sink, LIMIT).push(chunk, 0)
    expect(sink.frames.every((f) => f.payload.buffer === chunk.buffer)).toBe(true)
  })

  it('never crash on random bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (chunks) => {
        const sink = new Collector()
        const reader = new FrameReader(sink, LIMIT)
        for (const chunk of chunks) reader.push(chunk, 0)
        expect(sink.badLengths.length).toBeLessThanOrEqual(1)
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('ByteGatherer', () => {
  it('joins pieces of any sizes', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 30 }), (sizes) => {
        const gatherer = new ByteGatherer()
        const all: number[] = []
        for (const [i, size] of sizes.entries()) {
          const piece = Uint8Array.from({ length: size }, (_, at) => (at + i) % 256)
          gatherer.add(Buffer.concat([Buffer.of(9), piece, Buffer.of(9)]), 1, 1 + size)
          all.push(...piece)
        }
        expect(gatherer.size).toBe(all.length)
        expect([...gatherer.join()]).toEqual(all)
      }),
    )
  })

  it('holds little more than what came, though it came byte by byte', () => {
    const gatherer = new ByteGatherer()
    const before = process.memoryUsage()
    const one = Uint8Array.of(1)
    for (let i = 0; i < 1_000_000; i++) gatherer.add(one, 0, 1)
    const after = process.memoryUsage()
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(4_000_000)
    expect(gatherer.join()).toHaveLength(1_000_000)
  })
})

describe('payloads', () => {
  const hello = {
    label: 'prod',
    major: 1,
    minor: 2,
    features: ['a'],
    node: 'n@1',
    connectionClass: 'bulk',
    maxFrameBytes: 1_000,
    maxInFlight: 10,
    deflate: true,
  } as const

  it('of HELLO read back what was written', () => {
    const bytes = encodeHello(hello)
    expect(decodeHello(bytes, 0, bytes.length)).toEqual(hello)
  })

  it('of HELLO may lack what is optional and hold what is unknown (TCP-1)', () => {
    const text = '{"v":1,"label":"","major":1,"minor":0,"features":[],"class":"control","later":{"x":1}}'
    const bytes = new TextEncoder().encode(text)
    expect(decodeHello(bytes, 0, bytes.length)).toEqual({
      label: '',
      major: 1,
      minor: 0,
      features: [],
      node: '',
      connectionClass: 'control',
      maxFrameBytes: undefined,
      maxInFlight: undefined,
      deflate: false,
    })
  })

  it.each([
    '',
    '[]',
    'null',
    '1',
    '{',
    '{"v":2}',
    '{"v":"1"}',
    '{"v":1,"label":"","class":"fast"}',
    '{"v":1,"class":"bulk","node":7}',
  ])('of HELLO cannot be %s', (text) => {
    const bytes = new TextEncoder().encode(text)
    expect(decodeHello(bytes, 0, bytes.length)).toBeNull()
  })

  it('of any bytes decode to something or null', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.json().map((t) => new TextEncoder().encode(t)),
        ),
        (b) => {
          decodeHello(b, 0, b.length)
          expect(typeof decodeGoaway(b, 0, b.length).reason).toBe('string')
          expect(decodeError(b, 0, b.length, 'm', 'a:1').code).toBe('REMOTE_ERROR')
        },
      ),
      { numRuns: 500 },
    )
  })

  it('of GOAWAY read back what was written', () => {
    const bytes = encodeGoaway('stopping', 'text', 7)
    expect(decodeGoaway(bytes, 0, bytes.length)).toEqual({ reason: 'stopping', message: 'text', lastId: 7 })
  })

  it('of ERROR give up their message where the peer takes only small frames', () => {
    const error = { code: 'REMOTE_ERROR', message: 'é'.repeat(1_024), remoteCode: 'BUSY', retryAfterMs: 5 } as const
    for (const limit of [128, 256, 1_000, 4_096]) {
      const bytes = encodeError(error, limit)
      expect(bytes.length).toBeLessThanOrEqual(limit - MIN_LENGTH)
      expect(decodeError(bytes, 0, bytes.length, 'm', 'a:1')).toMatchObject({ remoteCode: 'BUSY', retryAfterMs: 5 })
    }
  })

  it('of ERROR give up at last what else does not fit, but never the code', () => {
    const codes = ['RESOURCE_EXHAUSTED', 'DEADLINE_EXCEEDED', 'UNKNOWN_METHOD', 'MESSAGE_TOO_LARGE'] as const
    for (const code of codes) {
      const bytes = encodeError({ code, message: 'text', notExecuted: true, retryAfterMs: 100 }, 64)
      expect(bytes.length).toBeLessThanOrEqual(64 - MIN_LENGTH)
      expect(decodeError(bytes, 0, bytes.length, 'm', 'a:1').code).toBe(code)
    }
    const long = encodeError({ code: 'REMOTE_ERROR', message: 'text', remoteCode: 'X'.repeat(300) }, 256)
    expect(decodeError(long, 0, long.length, 'm', 'a:1')).toMatchObject({ code: 'REMOTE_ERROR', notExecuted: false })
    expect(long.length).toBeLessThanOrEqual(256 - MIN_LENGTH)
  })

  it('of ERROR become the error of the table, notExecuted included', () => {
    const decoded = (value: object) => {
      const bytes = new TextEncoder().encode(JSON.stringify(value))
      return decodeError(bytes, 0, bytes.length, 'm', 'a:1')
    }
    expect(decoded({ code: 'UNKNOWN_METHOD', message: '' })).toMatchObject({
      code: 'UNKNOWN_METHOD',
      notExecuted: true,
    })
    expect(decoded({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 3 })).toMatchObject({
      notExecuted: true,
      retryAfterMs: 3,
    })
    expect(decoded({ code: 'REMOTE_ERROR', message: 'x', notExecuted: true })).toMatchObject({ notExecuted: false })
    expect(decoded({ code: 'MESSAGE_TOO_LARGE', notExecuted: true })).toMatchObject({ notExecuted: false })
    expect(decoded({ code: 'DEADLINE_EXCEEDED', notExecuted: true })).toMatchObject({ notExecuted: true })
    expect(decoded({ code: 'CLOSED' })).toMatchObject({ code: 'CONNECT_FAILED', notExecuted: true })
    expect(decoded({ code: 'OTHER', message: 'x' })).toMatchObject({ code: 'REMOTE_ERROR', remoteCode: 'OTHER' })
  })
})

describe('integers on the wire', () => {
  it('are big-endian and unsigned', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (value) => {
        const bytes = Buffer.alloc(6)
        expect(writeU32(bytes, 1, value)).toBe(5)
        expect(bytes.readUInt32BE(1)).toBe(value)
        expect(readU32(bytes, 1)).toBe(value)
      }),
    )
    expect(MAX_HELLO_LENGTH).toBe(8_192)
  })
})
