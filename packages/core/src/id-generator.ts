/**
 * UUIDs that sort by time and rise strictly within a generator whatever the wall clock does.
 * Source: RFC 9562, version 7 with method 1 of section 6.2: 48 bits of milliseconds, a 12-bit counter that starts anew
 * each millisecond at a random value below 2048 and runs into the next millisecond on overflow, 62 random bits.
 */
import * as z from 'zod'
import type { Clock } from './clock.js'
import { DecodeError } from './errors.js'
import { parseOptions } from './options.js'
import type { Random } from './random.js'
import { runtimeShape, type RuntimeOptions } from './runtime.js'

const schema = /* @__PURE__ */ (() => z.strictObject({ ...runtimeShape }))()

const TWO_32 = 2 ** 32
const COUNTER_MAX = 0xfff
const COUNTER_START_BELOW = 2_048

const uuid7Pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

/** The variant's two bits and two random ones. */
const variants = ['-8', '-9', '-a', '-b'] as const

/** The 4,096 triples of hex digits, made with the first generator. */
let triples: readonly string[] | undefined

export type IdGeneratorOptions = RuntimeOptions

/** Makes UUIDs of version 7, each greater as text than the one before. */
export class IdGenerator {
  readonly #clock: Clock
  readonly #random: Random
  readonly #triples: readonly string[]
  #ms = -1
  #counter = COUNTER_MAX
  /** What all ids of this millisecond begin with. */
  #prefix = timePrefix(0)

  /** @throws ConfigError */
  constructor(options: IdGeneratorOptions = {}) {
    const { clock, random } = parseOptions(schema, options, 'IdGenerator')
    this.#clock = clock
    this.#random = random
    this.#triples = triples ??= Array.from({ length: COUNTER_MAX + 1 }, (_, n) => n.toString(16).padStart(3, '0'))
  }

  /** 36 characters, lower case. */
  next(): string {
    const wallMs = Math.floor(this.#clock.wallNow())
    if (wallMs > this.#ms) this.#moveTo(wallMs)
    else if (this.#counter < COUNTER_MAX) this.#counter++
    else this.#moveTo(this.#ms + 1)
    const hex = this.#triples
    const a = this.#random.int(TWO_32)
    const b = this.#random.int(TWO_32)
    return (
      this.#prefix +
      hex[this.#counter] +
      variants[(a >>> 30) as 0 | 1 | 2 | 3] +
      hex[(a >>> 18) & 0xfff] +
      '-' +
      hex[(a >>> 6) & 0xfff] +
      hex[(b >>> 20) & 0xfff] +
      hex[(b >>> 8) & 0xfff] +
      hex[((b & 0xff) << 4) | (a & 0xf)]
    )
  }

  /** The millisecond in an id, Unix epoch. @throws DecodeError for what is no UUIDv7. */
  static timeOf(id: string): number {
    if (typeof id !== 'string' || !uuid7Pattern.test(id)) {
      throw new DecodeError(
        `Expected a UUIDv7, found ${typeof id === 'string' ? JSON.stringify(id.slice(0, 60)) : typeof id}`,
      )
    }
    return parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
  }

  #moveTo(ms: number): void {
    this.#ms = ms
    this.#counter = this.#random.int(COUNTER_START_BELOW)
    this.#prefix = timePrefix(ms)
  }
}

function timePrefix(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7`
}
