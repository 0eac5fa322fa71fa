/**
 * Method names at both ends: what is called keeps its encoded name, what is served is found by comparing bytes, so
 * that no text is encoded or decoded per call. Memory is bounded by what this end itself names, never by a peer.
 */
import { messagePriorities, type MessagePriority, type RpcHandler } from '@hs/core'
import type { PriorityTable } from './priority-table.js'
import { invalidArgument } from './transport-errors.js'
import { MAX_METHOD_BYTES } from './wire.js'

/** Where a priority stands in `messagePriorities`: 0 is critical. */
export type Lane = 0 | 1 | 2 | 3
export const CRITICAL: Lane = 0

export interface Method {
  readonly name: string
  readonly priority: MessagePriority
  readonly lane: Lane
  /** `u8 n | name`, as it stands in a frame. */
  readonly encoded: Uint8Array
}

export interface ServedMethod extends Method {
  handler: RpcHandler
  /** Another one with the same hash. */
  readonly next: ServedMethod | undefined
}

const MAX_KNOWN = 4_096
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Methods that this end calls. */
export class CalledMethods {
  readonly #priorities: PriorityTable
  readonly #known = new Map<string, Method>()

  constructor(priorities: PriorityTable) {
    this.#priorities = priorities
  }

  /** @throws TransportError `'INVALID_ARGUMENT'` */
  get(name: string): Method {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const method = describeMethod(name, this.#priorities)
    if (this.#known.size >= MAX_KNOWN) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest)
        break
      }
    }
    this.#known.set(name, method)
    return method
  }
}

/** Methods that this end serves. */
export class ServedMethods {
  readonly #priorities: PriorityTable
  readonly #byHash = new Map<number, ServedMethod>()

  constructor(priorities: PriorityTable) {
    this.#priorities = priorities
  }

  /** Replaces the handler there was. @throws TransportError `'INVALID_ARGUMENT'` */
  set(name: string, handler: RpcHandler): void {
    const method = describeMethod(name, this.#priorities)
    if (typeof handler !== 'function') throw invalidArgument(`The handler of ${name} must be a function`)
    const known = this.find(method.encoded, 1, method.encoded.length)
    if (known !== undefined) {
      known.handler = handler
      return
    }
    const hash = hashOf(method.encoded, 1, method.encoded.length)
    this.#byHash.set(hash, { ...method, handler, next: this.#byHash.get(hash) })
  }

  /** The method whose name is `bytes[start..end)`. */
  find(bytes: Uint8Array, start: number, end: number): ServedMethod | undefined {
    let candidate = this.#byHash.get(hashOf(bytes, start, end))
    while (candidate !== undefined && !isName(candidate.encoded, bytes, start, end)) candidate = candidate.next
    return candidate
  }
}

/** A name that is not known, for a message to people. */
export function nameFrom(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end))
}

function describeMethod(name: string, priorities: PriorityTable): Method {
  const bytes = typeof name === 'string' ? encoder.encode(name) : new Uint8Array()
  if (bytes.length === 0 || bytes.length > MAX_METHOD_BYTES) {
    const found = typeof name === 'string' ? `${bytes.length} bytes` : typeof name
    throw invalidArgument(`A method name has 1 to ${MAX_METHOD_BYTES} bytes of UTF-8, found ${found}`)
  }
  const encoded = new Uint8Array(1 + bytes.length)
  encoded[0] = bytes.length
  encoded.set(bytes, 1)
  const priority = priorities.of(name)
  return { name, priority, lane: messagePriorities.indexOf(priority) as Lane, encoded }
}

function isName(encoded: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (encoded.length - 1 !== end - start) return false
  for (let i = start; i < end; i++) {
    if (encoded[i - start + 1] !== bytes[i]) return false
  }
  return true
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  return hash
}
