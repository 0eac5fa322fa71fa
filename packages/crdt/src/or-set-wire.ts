/** The wire form of an OR-set: replicas are named once, everything else says their index. */
import { MAX_COUNT } from './arguments.js'
import { seenOnce } from './dot-context.js'
import type { Limits } from './limits.js'
import { OrSetState, type Dot } from './or-set-state.js'
import { wireError, wireFields, wireInteger, wireList, wireName, wireOptionalList } from './wire.js'

export interface ORSetWire {
  readonly r: readonly string[]
  readonly v: readonly number[]
  readonly e: readonly (readonly (string | number)[])[]
  readonly d?: readonly number[]
}

export function orSetToWire(state: OrSetState): ORSetWire {
  const r: string[] = []
  const v: number[] = []
  const e: (string | number)[][] = []
  const d: number[] = []
  for (const { id, index, seen } of state.replicas) {
    r.push(id)
    if (seen.n > 0) v.push(index, seen.n)
    if (seen.gapCount > 0) for (const counter of seen.beyond()) d.push(index, counter)
  }
  for (const [element, first] of state.elements) {
    const row: (string | number)[] = [element, first.replica.index, first.counter]
    for (let dot = first.next; dot !== undefined; dot = dot.next) row.push(dot.replica.index, dot.counter)
    e.push(row)
  }
  return d.length === 0 ? { r, v, e } : { r, v, e, d }
}

/** @throws DecodeError */
export function orSetFromWire(wire: unknown, limits: Limits): OrSetState {
  const fields = wireFields(wire, '')
  const state = new OrSetState()
  const r = wireList(fields['r'], 'r', 1, limits.maxEntries)
  for (let i = 0, end = r.length; i < end; i++) {
    const id = wireName(r, i, 'r', limits.maxNameLength)
    if (state.find(id) !== undefined) throw wireError(`r.${i}`, 'each replica once')
    state.replica(id)
  }
  readContext(state, wireList(fields['v'], 'v', 2, limits.maxEntries), wireOptionalList(fields['d'], 'd', 2))
  if (state.gapCount > limits.maxEntries) throw wireError('d', `at most ${limits.maxEntries} gaps`)
  readElements(state, wireList(fields['e'], 'e', 1, limits.maxEntries), limits)
  return withoutStrangers(state)
}

function readContext(state: OrSetState, v: readonly unknown[], d: readonly unknown[]): void {
  const last = state.replicas.length - 1
  const contiguous = new Map<number, number>()
  for (let i = 0, end = v.length; i < end; i += 2) {
    const index = wireInteger(v, i, 'v', 0, last)
    if (contiguous.has(index)) throw wireError(`v.${i}`, 'each replica once')
    contiguous.set(index, wireInteger(v, i + 1, 'v', 0))
  }
  const single = new Map<number, number[]>()
  for (let i = 0, end = d.length; i < end; i += 2) {
    const index = wireInteger(d, i, 'd', 0, last)
    const counter = wireInteger(d, i + 1, 'd', 1)
    const counters = single.get(index)
    if (counters === undefined) single.set(index, [counter])
    else counters.push(counter)
  }
  for (const replica of state.replicas) {
    const { index, id } = replica
    replica.seen = seenOnce(contiguous.get(index) ?? 0, single.get(index) ?? [], `d of ${id}`)
  }
}

function readElements(state: OrSetState, e: readonly unknown[], limits: Limits): void {
  const used = state.replicas.map(() => new UsedDots())
  for (let i = 0, end = e.length; i < end; i++) {
    const path = `e.${i}`
    const row: unknown = e[i]
    if (!Array.isArray(row) || row.length < 3 || row.length % 2 === 0) {
      throw wireError(path, 'an element and at least one dot of two numbers')
    }
    const element = wireName(row, 0, path, limits.maxNameLength)
    if (state.elements.has(element)) throw wireError(path, 'each element once')
    for (let j = 1, width = row.length; j < width; j += 2) {
      const index = wireInteger(row, j, path, 0, state.replicas.length - 1)
      const counter = wireInteger(row, j + 1, path, 1, MAX_COUNT)
      const replica = state.replicas[index]
      if (replica?.seen.contains(counter) !== true) throw wireError(`${path}.${j}`, 'a dot of the context')
      if (used[index]?.add(counter) !== true) throw wireError(`${path}.${j}`, 'each dot once')
      state.put(element, replica, counter)
    }
  }
}

/** Mostly they come in order, and then there is nothing to remember. */
class UsedDots {
  #last = 0
  #ascending: number[] | undefined = []
  #all: Set<number> | undefined

  add(counter: number): boolean {
    if (this.#ascending !== undefined && counter > this.#last) {
      this.#last = counter
      this.#ascending.push(counter)
      return true
    }
    this.#all ??= new Set(this.#ascending)
    this.#ascending = undefined
    if (this.#all.has(counter)) return false
    this.#all.add(counter)
    return true
  }
}

/** A replica of which nothing was seen is not part of the state. */
function withoutStrangers(state: OrSetState): OrSetState {
  if (state.replicas.every(({ seen }) => seen.last > 0)) return state
  const kept = new OrSetState()
  for (const { id, seen } of state.replicas) if (seen.last > 0) kept.replica(id).seen = seen
  for (const first of state.elements.values()) {
    for (let dot: Dot | undefined = first; dot !== undefined; dot = dot.next) {
      kept.put(dot.element, kept.replica(dot.replica.id), dot.counter)
    }
  }
  return kept
}
