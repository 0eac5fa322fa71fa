import { decode as peerDecode, encode as peerEncode } from '@msgpack/msgpack'
import * as fc from 'fast-check'
import { Packr } from 'msgpackr'
import { afterEach, describe, expect, expectTypeOf, it, vi } from 'vitest'
import * as z from 'zod'
import * as mini from 'zod/mini'
import { msgpackCodec, type Codec } from '../src/codec.js'
import { DecodeError, HsError, type DecodeReason } from '../src/errors.js'
import { MsgpackChecker } from '../src/msgpack-check.js'
import { MsgpackDecoder } from '../src/msgpack-decode.js'
import { SeededRandom } from '../src/testing/index.js'
import { bytesInUse } from './fixtures/memory.js'

const anything = msgpackCodec(z.unknown())
const roomy = msgpackCodec(z.unknown(), { maxBytes: 8_388_608, maxItems: 1_000_000 })

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const fromHex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

function decodeFailure(bytes: Uint8Array, codec: Codec<unknown> = anything): DecodeError {
  try {
    codec.decode(bytes)
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError)
    return error as DecodeError
  }
  throw new Error(`${hex(bytes.subarray(0, 40))} was decoded`)
}

function encodeFailure(value: unknown, codec: Codec<unknown> = anything): HsError {
  try {
    codec.encode(value)
  } catch (error) {
    expect(error).toBeInstanceOf(HsError)
    return error as HsError
  }
  throw new Error('it was encoded')
}

const anyKey = fc
  .oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.nat().map(String))
  .filter((key) => key !== '__proto__')
const { any: anyPlain } = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 5, depthIdentifier: 'plain' },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.integer({ min: -300, max: 300 }),
    fc.maxSafeInteger(),
    fc.double(),
    fc.string({ unit: 'binary' }),
    fc.string({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('any'), { depthIdentifier: 'plain', maxLength: 20 }),
    fc.dictionary(anyKey, tie('any'), { depthIdentifier: 'plain', maxKeys: 20, noNullPrototype: true }),
  ),
}))

describe('msgpackCodec: the bytes (CORE-32)', () => {
  it.each<[string, unknown, string]>([
    ['nil', null, 'c0'],
    ['false', false, 'c2'],
    ['true', true, 'c3'],
    ['0', 0, '00'],
    ['127', 127, '7f'],
    ['128', 128, 'cc80'],
    ['255', 255, 'ccff'],
    ['256', 256, 'cd0100'],
    ['65535', 65_535, 'cdffff'],
    ['65536', 65_536, 'ce00010000'],
    ['2^31', 2 ** 31, 'ce80000000'],
    ['2^32-1', 2 ** 32 - 1, 'ceffffffff'],
    ['-1', -1, 'ff'],
    ['-32', -32, 'e0'],
    ['-33', -33, 'd0df'],
    ['-128', -128, 'd080'],
    ['-129', -129, 'd1ff7f'],
    ['-32768', -32_768, 'd18000'],
    ['-32769', -32_769, 'd2ffff7fff'],
    ['-2^31', -(2 ** 31), 'd280000000'],
    ['2^32', 2 ** 32, 'cb41f0000000000000'],
    ['-2^31-1', -(2 ** 31) - 1, 'cbc1e0000000200000'],
    ['2^53-1', Number.MAX_SAFE_INTEGER, 'cb433fffffffffffff'],
    ['0.5', 0.5, 'cb3fe0000000000000'],
    ['-0', -0, 'cb8000000000000000'],
    ['Infinity', Infinity, 'cb7ff0000000000000'],
    ['-Infinity', -Infinity, 'cbfff0000000000000'],
    ['NaN', NaN, 'cb7ff8000000000000'],
    ['an empty string', '', 'a0'],
    ['a string', 'ab', 'a26162'],
    ['two bytes a character', 'é', 'a2c3a9'],
    ['four bytes a character', '😀', 'a4f09f9880'],
    ['a byte order mark', '\ufeffa', 'a4efbbbf61'],
    ['binary', new Uint8Array([1, 2, 3]), 'c403010203'],
    ['a Buffer', Buffer.from([1]), 'c40101'],
    ['empty binary', new Uint8Array(), 'c400'],
    ['an empty array', [], '90'],
    ['an array', [1, 'a', null], '9301a161c0'],
    ['an empty map', {}, '80'],
    ['a map', { a: 1, b: [true] }, '82a16101a16291c3'],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 }), '81a16101'],
    ['undefined properties', { a: undefined, b: 1, c: undefined }, '81a16201'],
  ])('encodes %s', (_, value, bytes) => {
    expect(hex(anything.encode(value))).toBe(bytes)
  })

  it.each([0, 1, 15, 16, 17, 31, 32, 33, 40, 41, 255, 256, 65_535, 65_536, 70_000])(
    'takes the smallest header for %i characters, elements, entries and bytes',
    (size) => {
      const header = (small: number, limit: number, ...large: [number, number][]) => {
        if (size < limit) return (small | size).toString(16).padStart(2, '0')
        const [type, width] = large.find(([, bytes]) => size < 2 ** (8 * bytes))!
        return type.toString(16) + size.toString(16).padStart(2 * width, '0')
      }
      const text = hex(roomy.encode('x'.repeat(size)))
      expect(text).toBe(header(0xa0, 32, [0xd9, 1], [0xda, 2], [0xdb, 4]) + '78'.repeat(size))
      const array = hex(roomy.encode(new Array(size).fill(7)))
      expect(array).toBe(header(0x90, 16, [0xdc, 2], [0xdd, 4]) + '07'.repeat(size))
      const binary = hex(roomy.encode(new Uint8Array(size)))
      expect(binary).toBe(header(0, 0, [0xc4, 1], [0xc5, 2], [0xc6, 4]) + '00'.repeat(size))
      const keys = Array.from({ length: size }, (_, i) => `k${i}`)
      const map = roomy.encode(Object.fromEntries(keys.map((key, i) => [key, i])))
      expect(hex(map).startsWith(header(0x80, 16, [0xde, 2], [0xdf, 4]))).toBe(true)
      expect(Object.keys(roomy.decode(map) as object)).toEqual(keys)
    },
  )

  it.each([10, 15, 16, 31, 32, 85, 86, 200, 255, 21_845, 21_846, 65_535])(
    'takes the smallest header for %i characters of three bytes',
    (length) => {
      const text = '€'.repeat(length)
      const bytes = roomy.encode(text)
      const size = 3 * length
      const header = size < 32 ? 1 : size < 256 ? 2 : size < 65_536 ? 3 : 5
      expect(bytes).toHaveLength(header + size)
      expect(roomy.decode(bytes)).toBe(text)
    },
  )

  it('omits undefined properties of a map that would need a longer header with them', () => {
    const value = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, i < 10 ? i : undefined]))
    const bytes = anything.encode(value)
    expect(bytes[0]).toBe(0x8a)
    expect(Object.keys(anything.decode(bytes) as object)).toHaveLength(10)
  })

  it('encodes a lone surrogate as U+FFFD, as the platform does, in strings of any length', () => {
    for (const length of [0, 3, 60, 500]) {
      const text = `${'x'.repeat(length)}\ud800y`
      expect(anything.decode(anything.encode(text))).toBe(`${'x'.repeat(length)}\ufffdy`)
    }
  })

  it('leaves out what is not an own, enumerable, string-keyed property', () => {
    const value = Object.defineProperty({ a: 1, [Symbol('s')]: 2 }, 'hidden', { value: 3, enumerable: false })
    expect(anything.decode(anything.encode(value))).toEqual({ a: 1 })
  })

  it('takes plain objects and binary of another realm', async () => {
    const { runInNewContext } = await import('node:vm')
    const foreign: unknown = runInNewContext('({ list: [1, { a: null }], bytes: new Uint8Array([5]) })')
    expect(hex(anything.encode(foreign))).toBe('82a46c6973749201' + '81a161c0' + 'a56279746573c40105')
  })

  it('gives bytes that own their exact buffer', () => {
    for (const value of [1, 'x'.repeat(100), { a: [1, 2, 3] }, new Uint8Array(10_000)]) {
      const bytes = anything.encode(value)
      expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype)
      expect(bytes.byteOffset).toBe(0)
      expect(bytes.buffer.byteLength).toBe(bytes.length)
    }
    const first = anything.encode('first')
    anything.encode('second')
    expect(anything.decode(first)).toBe('first')
  })

  it('writes what msgpackr and @msgpack/msgpack read, and reads what they write', () => {
    const packr = new Packr({ useRecords: false })
    fc.assert(
      fc.property(anyPlain, (value) => {
        const bytes = anything.encode(value)
        expect(peerDecode(bytes)).toStrictEqual(value)
        // Both drop the sign of zero when they write.
        if (JSON.stringify(value, (_, x: unknown) => (Object.is(x, -0) ? 'minus zero' : x))?.includes('minus zero'))
          return
        expect(anything.decode(peerEncode(value))).toStrictEqual(value)
        expect(anything.decode(new Uint8Array(packr.pack(value)))).toStrictEqual(value)
      }),
      { numRuns: 300 },
    )
  })
})

describe('msgpackCodec: what cannot be encoded (CORE-32)', () => {
  class Point {
    readonly x = 1
  }
  const cycle: Record<string, unknown> = {}
  cycle['self'] = { again: cycle }

  it.each<[string, unknown, string]>([
    ['undefined', undefined, ''],
    ['undefined in an array', [1, undefined], '1'],

    ['a hole in an array', [1, , 3], '1'],
    ['a bigint', { n: 1n }, 'n'],
    ['a function', { list: [{ f: () => 1 }] }, 'list.0.f'],
    ['a symbol', { s: Symbol('s') }, 's'],
    ['a Date', { at: new Date(0) }, 'at'],
    ['a RegExp', { re: /x/ }, 're'],
    ['a Map', new Map(), ''],
    ['a Set', { set: new Set() }, 'set'],
    ['an Error', { error: new Error('x') }, 'error'],
    ['an instance of a class', { p: new Point() }, 'p'],
    ['a boxed number', { n: Object(1) as unknown }, 'n'],
    ['another typed array', { f: new Float64Array(1) }, 'f'],
    ['an ArrayBuffer', { b: new ArrayBuffer(1) }, 'b'],
    ['a DataView', { v: new DataView(new ArrayBuffer(1)) }, 'v'],
    ['what only claims to be binary', { u: Object.create(Uint8Array.prototype) as unknown }, 'u'],
    ['an object with another prototype', { o: Object.create({ a: 1 }) as unknown }, 'o'],
    ['an object with toJSON', { o: { toJSON: () => 'text' } }, 'o.toJSON'],
    ['a key that no decoder takes', { o: JSON.parse('{"__proto__":1}') as unknown }, 'o.__proto__'],
    ['a cycle', cycle, Array.from({ length: 32 }, (_, i) => (i % 2 === 0 ? 'self' : 'again')).join('.')],
  ])('refuses %s and says where', (_, value, path) => {
    const error = encodeFailure(value)
    expect(error.code).toBe('ENCODE_FAILED')
    expect(error.details).toEqual({ path })
  })

  it('does not ask toJSON of what it refuses', () => {
    const toJSON = vi.fn(() => 'text')
    expect(encodeFailure({ at: Object.assign(new Date(0), { toJSON }) }).code).toBe('ENCODE_FAILED')
    expect(toJSON).not.toHaveBeenCalled()
  })

  it('reports a getter or proxy that throws, with its error as the cause', () => {
    const cause = new Error('no')
    const throwing = () => {
      throw cause
    }
    const withGetter = Object.defineProperty({}, 'x', { get: throwing, enumerable: true })
    const proxy = new Proxy({}, { ownKeys: throwing })
    const veiled = new Proxy({}, { getPrototypeOf: throwing })
    for (const value of [withGetter, { inner: withGetter }, proxy, [proxy], veiled, [veiled]]) {
      expect(encodeFailure(value)).toMatchObject({ code: 'ENCODE_FAILED', cause })
    }
  })

  it('is not disturbed by a getter that encodes meanwhile', () => {
    const inner = anything.encode(['inner', 1])
    const value = {
      a: 'before',
      get b() {
        return anything.encode(['inner', 1])
      },
      c: 'after',
    }
    expect(anything.decode(anything.encode(value))).toEqual({ a: 'before', b: inner, c: 'after' })
  })

  it('works after a failure as before', () => {
    const before = hex(anything.encode({ a: 1 }))
    expect(encodeFailure({ a: 'x'.repeat(1_000), b: 1n }).code).toBe('ENCODE_FAILED')
    expect(hex(anything.encode({ a: 1 }))).toBe(before)
  })

  it.each<[string, unknown]>([
    ['a string', 'x'.repeat(100)],
    ['a string of wide characters', '€'.repeat(40)],
    ['binary', new Uint8Array(100)],
    ['many small values', new Array(101).fill(1)],
    ['many keys', Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, 0]))],
    ['a string far above it', 'x'.repeat(10_000_000)],
  ])('throws LimitError for %s above maxBytes', (_, value) => {
    const small = msgpackCodec(z.unknown(), { maxBytes: 100 })
    expect(encodeFailure(value, small)).toMatchObject({ code: 'LIMIT_EXCEEDED', limit: 100 })
  })

  it('encodes exactly maxBytes', () => {
    const small = msgpackCodec(z.unknown(), { maxBytes: 100 })
    expect(small.encode('x'.repeat(98))).toHaveLength(100)
    expect(encodeFailure('x'.repeat(99), small).code).toBe('LIMIT_EXCEEDED')
  })

  it('makes nothing that a decoder with the same limits refuses', () => {
    const tight = msgpackCodec(z.unknown(), { maxBytes: 60, maxDepth: 2, maxItems: 6 })
    let made = 0
    fc.assert(
      fc.property(anyPlain, (value) => {
        let bytes
        try {
          bytes = tight.encode(value)
        } catch (error) {
          expect(['LIMIT_EXCEEDED', 'ENCODE_FAILED']).toContain((error as HsError).code)
          return
        }
        made++
        expect(tight.decode(bytes)).toStrictEqual(value)
      }),
      { numRuns: 500 },
    )
    expect(made).toBeGreaterThan(50)
    expect(encodeFailure([1, 2, 3, 4, 5, 6], tight).code).toBe('LIMIT_EXCEEDED')
    expect(encodeFailure([[[]]], tight).code).toBe('ENCODE_FAILED')
  })
})

describe('msgpackCodec: decoding (CORE-33)', () => {
  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(anyPlain, (value) => {
        expect(anything.decode(anything.encode(value))).toStrictEqual(value)
      }),
      { numRuns: 500 },
    )
  })

  it.each<[string, unknown]>([
    ['ca3fc00000', 1.5],
    ['cf0000000000000005', 5],
    ['cf001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['d3ffffffffffffffff', -1],
    ['d3ffe0000000000001', -Number.MAX_SAFE_INTEGER],
    ['d3001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['d90161', 'a'],
    ['da000161', 'a'],
    ['db0000000161', 'a'],
    ['c60000000107', new Uint8Array([7])],
    ['dd0000000101', [1]],
    ['de0001a16101', { a: 1 }],
    ['df00000001d9016101', { a: 1 }],
    ['81da00016101', { a: 1 }],
    ['81db000000016101', { a: 1 }],
    ['82a16101a16102', { a: 2 }],
    ['81a001', { '': 1 }],
    ['81ab636f6e7374727563746f7201', { constructor: 1 }],
  ])('takes longer forms too: %s', (bytes, value) => {
    expect(anything.decode(fromHex(bytes))).toStrictEqual(value)
  })

  it.each<[string, DecodeReason, string]>([
    ['nothing', 'syntax', ''],
    ['a byte too many', 'syntax', 'c0 c0'],
    ['a cut integer', 'syntax', 'cd 00'],
    ['a cut double', 'syntax', 'cb 00 00'],
    ['a cut string', 'syntax', 'a3 61 62'],
    ['a cut length', 'syntax', 'da 00'],
    ['a cut binary', 'syntax', 'c4 05 00'],
    ['a cut 64-bit integer', 'syntax', 'cf 00 00 00 00 00'],
    ['a key without a value', 'syntax', '81 a1 61'],
    ['a cut key', 'syntax', '81 a5 61'],
    ['a missing element', 'syntax', '92 01'],
    ['an array of 2^32-1 in five bytes', 'syntax', 'dd ff ff ff ff'],
    ['a map of 2^32-1 in five bytes', 'syntax', 'df ff ff ff ff'],
    ['a string of 2^32-1', 'syntax', 'db ff ff ff ff 61'],
    ['more entries than half the bytes left', 'syntax', '83 a1 61 01 a1'],
    ['malformed UTF-8', 'syntax', 'a2 ff fe'],
    ['an encoded surrogate', 'syntax', 'a3 ed a0 80'],
    ['an overlong form', 'syntax', 'a2 c0 80'],
    ['a malformed key', 'syntax', '81 a1 80 01'],
    ['a reserved type', 'forbidden', 'c1'],
    ['ext 8', 'forbidden', 'c7 01 05 00'],
    ['ext 16', 'forbidden', 'c8 00 01 05 00'],
    ['ext 32', 'forbidden', 'c9 00 00 00 01 05 00'],
    ['fixext 1', 'forbidden', 'd4 00 00'],
    ['fixext 4, a timestamp', 'forbidden', 'd6 ff 00 00 00 00'],
    ['fixext 16', 'forbidden', 'd8 00 00000000000000000000000000000000'],
    ['an extension within', 'forbidden', '92 01 d4 00 00'],
    ['an integer as a key', 'forbidden', '81 01 02'],
    ['nil as a key', 'forbidden', '81 c0 02'],
    ['binary as a key', 'forbidden', '81 c4 01 61 02'],
    ['an array as a key', 'forbidden', '81 90 02'],
    ['an extension as a key', 'forbidden', '81 d4 00 00 02'],
    ['the key __proto__', 'forbidden', '81 a9 5f5f70726f746f5f5f 80'],
    ['the key __proto__ with a longer header', 'forbidden', '81 d9 09 5f5f70726f746f5f5f 80'],
    ['the key __proto__ deep within', 'forbidden', '91 82 a1 61 01 a9 5f5f70726f746f5f5f 80'],
    ['2^53', 'forbidden', 'cf 00 20 00 00 00 00 00 00'],
    ['2^64-1', 'forbidden', 'cf ff ff ff ff ff ff ff ff'],
    ['-2^53', 'forbidden', 'd3 ff e0 00 00 00 00 00 00'],
    ['-2^63', 'forbidden', 'd3 80 00 00 00 00 00 00 00'],
  ])('refuses %s as %s', (_, reason, bytes) => {
    expect(decodeFailure(fromHex(bytes))).toMatchObject({ code: 'DECODE_ERROR', reason })
  })

  it('refuses what is no byte array', () => {
    for (const value of ['text', null, undefined, [1], new ArrayBuffer(1), {}]) {
      expect(decodeFailure(value as Uint8Array).reason).toBe('syntax')
    }
  })

  it('refuses more bytes, depth and values than it may take, and takes just as many', () => {
    const codec = msgpackCodec(z.unknown(), { maxBytes: 40, maxDepth: 3, maxItems: 8 })
    expect(codec.decode(roomy.encode('x'.repeat(38)))).toHaveLength(38)
    expect(decodeFailure(roomy.encode('x'.repeat(39)), codec).reason).toBe('size')
    expect(codec.decode(roomy.encode([{ a: [1] }]))).toEqual([{ a: [1] }])
    expect(decodeFailure(roomy.encode([[[[]]]]), codec).reason).toBe('depth')
    expect(decodeFailure(roomy.encode({ a: { a: { a: {} } } }), codec).reason).toBe('depth')
    expect(codec.decode(roomy.encode([1, 2, 3, 4, 5, 6, 7]))).toHaveLength(7)
    expect(decodeFailure(roomy.encode([1, 2, 3, 4, 5, 6, 7, 8]), codec).reason).toBe('items')
    expect(decodeFailure(roomy.encode({ a: [1, 2, 3], b: [4, 5, 6] }), codec).reason).toBe('items')
  })

  it('has the limits that its documentation says', () => {
    expect(anything.maxBytes).toBe(1_048_576)
    expect(decodeFailure(new Uint8Array(1_048_577)).reason).toBe('size')
    expect(decodeFailure(roomy.encode(new Array(65_536).fill(0))).reason).toBe('items')
    expect(anything.decode(roomy.encode(new Array(65_535).fill(0)))).toHaveLength(65_535)
    const nested = (depth: number) => Uint8Array.from({ length: depth }, (_, i) => (i === depth - 1 ? 0x90 : 0x91))
    expect(decodeFailure(nested(33)).reason).toBe('depth')
    expect(hex(anything.encode(anything.decode(nested(32))))).toBe(hex(nested(32)))
  })

  it('takes every depth that an option allows', () => {
    const deep = msgpackCodec(z.unknown(), { maxDepth: 512 })
    const nested = Uint8Array.from({ length: 512 }, (_, i) => (i === 511 ? 0x90 : 0x91))
    expect(hex(deep.encode(deep.decode(nested)))).toBe(hex(nested))
  })

  it('refuses every truncation', () => {
    fc.assert(
      fc.property(anyPlain, (value) => {
        const bytes = anything.encode(value)
        const step = Math.max(1, Math.floor(bytes.length / 200))
        for (let length = 0; length < bytes.length; length += step) {
          expect(decodeFailure(bytes.slice(0, length)).reason).toBe('syntax')
        }
      }),
      { numRuns: 100 },
    )
  })

  it('refuses nested array headers without making room for them', () => {
    const headers = new Uint8Array(72_000)
    for (let i = 0; i < headers.length; i += 3) headers.set([0xdc, 0xff, 0xff], i)
    expect(decodeFailure(headers).reason).toBe('items')
    // Such that neither the bytes left nor the number of values ends it.
    for (let i = 0; i < headers.length; i += 3) headers.set([0xdc, 0x01, 0x00], i)
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
    expect(decodeFailure(headers).reason).toBe('depth')
    const after = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
    expect(after - before).toBeLessThan(1_000_000)
  })

  it('takes memory in proportion to the bytes for keys that look like array indices', () => {
    const entry = [0x81, 0xa4, 0x31, 0x30, 0x32, 0x33, 0x00] // { "1023": 0 }
    const count = 30_000
    const bytes = new Uint8Array(3 + count * entry.length)
    bytes.set([0xdc, count >> 8, count & 0xff])
    for (let i = 0; i < count; i++) bytes.set(entry, 3 + i * entry.length)
    const before = bytesInUse()
    const decoded = anything.decode(bytes) as Record<string, number>[]
    expect((bytesInUse() - before) / count).toBeLessThan(500)
    expect(decoded[count - 1]).toStrictEqual({ 1023: 0 })
    expect(anything.decode(anything.encode({ b: 1, 10: 2, a: 3, 2: 4 }))).toStrictEqual({ 2: 4, 10: 2, b: 1, a: 3 })
  })

  it('gives nothing that is a view onto the input, and reads a window of a larger buffer', () => {
    const pool = Buffer.alloc(100, 0xff)
    const message = anything.encode({ bytes: new Uint8Array([1, 2, 3]), text: 'abc' })
    pool.set(message, 7)
    const decoded = anything.decode(pool.subarray(7, 7 + message.length)) as { bytes: Uint8Array; text: string }
    pool.fill(0)
    expect(decoded).toStrictEqual({ bytes: new Uint8Array([1, 2, 3]), text: 'abc' })
    expect(Object.getPrototypeOf(decoded.bytes)).toBe(Uint8Array.prototype)
    expect(decoded.bytes.buffer.byteLength).toBe(3)
  })

  it('does not confuse strings, however many there are and however alike', () => {
    const texts = Array.from({ length: 30_000 }, (_, i) => `${'n'.repeat(i % 29)}${i.toString(36)}`)
    for (let round = 0; round < 2; round++) {
      expect(anything.decode(anything.encode(texts))).toEqual(texts)
      const entries = texts.slice(0, 10_000).map((text, i): [string, number] => [`_${text}`, i])
      expect(Object.entries(anything.decode(anything.encode(Object.fromEntries(entries))) as object)).toEqual(entries)
    }
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }), { maxLength: 50 }), (more) => {
        expect(anything.decode(anything.encode(more))).toEqual(more)
      }),
    )
    expect(anything.decode(anything.encode(['a', 'a\0', 'a\0\0', 'a\0\0\0', 'a\0\0\0\0', '\0']))).toEqual([
      'a',
      'a\0',
      'a\0\0',
      'a\0\0\0',
      'a\0\0\0\0',
      '\0',
    ])
  })

  it('takes messages of megabytes and small ones after them', () => {
    const large = Array.from({ length: 50 }, (_, i) => 'x'.repeat(60_000 + i))
    expect(roomy.decode(roomy.encode(large))).toEqual(large)
    const binary = new Uint8Array(3_000_000).fill(7)
    expect(Buffer.compare(roomy.decode(roomy.encode(binary)) as Uint8Array, binary)).toBe(0)
    expect(roomy.decode(roomy.encode({ a: 1 }))).toEqual({ a: 1 })
  })

  it('keeps no memory of megabytes, of good messages or bad', () => {
    const text = roomy.encode('x'.repeat(5_000_000))
    const cut = roomy.encode(['x'.repeat(5_000_000), '']).slice(0, -1)
    roomy.decode(anything.encode(1))
    const before = bytesInUse()
    for (const bytes of [text, cut]) {
      if (bytes === text) roomy.decode(bytes)
      else decodeFailure(bytes, roomy)
      expect(bytesInUse() - before).toBeLessThan(3_000_000)
    }
    expect(encodeFailure(['x'.repeat(5_000_000), 1n], roomy).code).toBe('ENCODE_FAILED')
    expect(bytesInUse() - before).toBeLessThan(3_000_000)
  })

  it('reads messages of every length, the buffer just full included', () => {
    const checker = new MsgpackChecker({ maxDepth: 1, maxItems: 3 })
    const decoder = new MsgpackDecoder()
    for (let length = 1; length < 2_000; length++) {
      const [binary, text] = [new Uint8Array(Math.max(0, length - 6)), 'abcde'.slice(0, Math.min(5, length))]
      const bytes = anything.encode([binary, text])
      expect(decoder.decode(bytes, checker)).toEqual([binary, text])
    }
  })

  it('lets nobody change a message between check and building', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(3))
    shared.set(fromHex('a26162'))
    const checker = new MsgpackChecker({ maxDepth: 1, maxItems: 1 })
    const meddler = { check: (bytes: Uint8Array, end?: number) => (checker.check(bytes, end), shared.fill(0xc1)) }
    expect(new MsgpackDecoder().decode(shared, meddler as unknown as MsgpackChecker)).toBe('ab')
  })

  it('yields a value or a DecodeError for 100,000 random and mutated byte strings, and agrees with @msgpack/msgpack', () => {
    const random = new SeededRandom('codec fuzzing')
    const seeds = [
      { kind: 'ping', seq: 7, updates: [{ name: 'worker-1', status: 'alive', incarnation: 3, at: 1.5 }] },
      [null, true, -5, 300, 70_000, -70_000, 2 ** 40, 'é'.repeat(20), new Uint8Array(40)],
      { list: [[], [[]], {}, { a: { b: {} } }], text: 'x'.repeat(300), __proto: 1, proto__: 2 },
    ].map((value) => anything.encode(value))
    const outcomes = { values: 0, refusals: 0 }
    for (let i = 0; i < 100_000; i++) {
      const bytes = i % 2 === 0 ? randomBytes(random) : mutated(random, random.pick(seeds))
      let value
      try {
        value = anything.decode(bytes)
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
        outcomes.refusals++
        continue
      }
      outcomes.values++
      if (i % 8 < 2) expect(peerDecode(bytes)).toStrictEqual(value)
    }
    expect(outcomes.values).toBeGreaterThan(5_000)
    expect(outcomes.refusals).toBeGreaterThan(20_000)
    expect(Object.keys(Object.prototype)).toEqual([])
  })
})

function randomBytes(random: SeededRandom): Uint8Array {
  return Uint8Array.from({ length: random.int(40) }, () => random.int(256))
}

function mutated(random: SeededRandom, seed: Uint8Array): Uint8Array {
  const bytes = seed.slice(0, random.int(4) === 0 ? random.int(seed.length + 1) : seed.length)
  for (let flips = random.int(4); flips > 0 && bytes.length > 0; flips--)
    bytes[random.int(bytes.length)] = random.int(256)
  return bytes
}

describe('msgpackCodec: the schema (CORE-33)', () => {
  const schema = z.object({
    name: z.string(),
    updates: z.array(z.object({ id: z.int(), tag: z.string().optional() })).max(2),
  })
  const codec = msgpackCodec(schema)

  it('drops unknown fields at every level', () => {
    const sent = { name: 'a', later: 1, updates: [{ id: 1, tag: 'x', later: [] }] }
    expect(codec.decode(anything.encode(sent))).toEqual({ name: 'a', updates: [{ id: 1, tag: 'x' }] })
  })

  it.each<[string, unknown, string]>([
    ['a missing field', { updates: [] }, 'name'],
    ['a wrong type', { name: 'a', updates: [{ id: 1 }, { id: 'x' }] }, 'updates.1.id'],
    ['too many', { name: 'a', updates: [{ id: 1 }, { id: 2 }, { id: 3 }] }, 'updates'],
    ['something else as a whole', 5, ''],
  ])('refuses %s with the path', (_, value, path) => {
    const error = decodeFailure(anything.encode(value), codec)
    expect(error).toMatchObject({ reason: 'schema', path, details: { reason: 'schema', path } })
    expect(error.message).toContain(path)
  })

  it('has defaults and transforms applied', () => {
    const upper = msgpackCodec(z.object({ a: z.int().default(3), b: z.string().transform((text) => text.length) }))
    expect(upper.decode(anything.encode({ b: 'four' }))).toEqual({ a: 3, b: 4 })
  })

  it('makes a schema that throws, or that is async, a DecodeError', () => {
    const cause = new Error('bug')
    const throwing = msgpackCodec(
      z.unknown().refine(() => {
        throw cause
      }),
    )
    expect(decodeFailure(anything.encode(1), throwing)).toMatchObject({ reason: 'schema', cause })
    const async = msgpackCodec(z.unknown().refine(() => Promise.resolve(true)))
    expect(decodeFailure(anything.encode(1), async).reason).toBe('schema')
  })

  it('does not run the schema when encoding', () => {
    expect(hex(codec.encode(5 as never))).toBe('05')
  })

  it('works with zod/mini', () => {
    const small = msgpackCodec(mini.object({ a: mini.number() }))
    expect(small.decode(small.encode({ a: 1 }))).toEqual({ a: 1 })
    expect(decodeFailure(anything.encode({ a: 'x' }), small).path).toBe('a')
  })

  it('is typed by its schema', () => {
    expectTypeOf(codec).toEqualTypeOf<Codec<{ name: string; updates: { id: number; tag?: string | undefined }[] }>>()
    expectTypeOf(msgpackCodec(z.string()).decode).returns.toEqualTypeOf<string>()
  })
})

describe('msgpackCodec: options', () => {
  it.each([
    { maxBytes: 0 },
    { maxBytes: 2 ** 30 + 1 },
    { maxDepth: 0 },
    { maxDepth: 513 },
    { maxItems: 0 },
    { maxItems: 1.5 },
    { maxbytes: 5 },
  ])('refuses %o', (options) => {
    const refusal = expect.objectContaining({ code: 'CONFIG_INVALID' }) as Error
    expect(() => msgpackCodec(z.unknown(), options as object)).toThrow(refusal)
  })

  it('shows maxBytes and cannot be changed', () => {
    const codec = msgpackCodec(z.unknown(), { maxBytes: 5 })
    expect(codec.maxBytes).toBe(5)
    expect(Object.isFrozen(codec)).toBe(true)
  })
})

describe('msgpackCodec where there is no Buffer', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
    vi.resetModules()
  })

  it('reads and writes the same', async () => {
    vi.resetModules()
    vi.stubGlobal('Buffer', undefined)
    const { msgpackCodec: elsewhere } = await import('../src/codec.js')
    vi.unstubAllGlobals()
    const codec = elsewhere(z.unknown())
    const text = fc.string({ unit: 'binary', maxLength: 200 })
    fc.assert(
      fc.property(fc.array(fc.oneof(anyPlain, text), { maxLength: 5 }), (value) => {
        const bytes = codec.encode(value)
        expect(hex(bytes)).toBe(hex(anything.encode(value)))
        expect(codec.decode(bytes)).toStrictEqual(value)
      }),
      { numRuns: 100 },
    )
    for (const tail of ['', 'x'.repeat(60)]) expect(codec.decode(codec.encode(`\ufeff${tail}`))).toBe(`\ufeff${tail}`)
    expect(codec.decode(codec.encode(`${'x'.repeat(60)}\ud800`))).toBe(`${'x'.repeat(60)}\ufffd`)
    for (const bytes of ['a2fffe', `d928${'61'.repeat(39)}ff`]) {
      expect(() => codec.decode(fromHex(bytes))).toThrow(expect.objectContaining({ reason: 'syntax' }) as Error)
    }
  })
})
