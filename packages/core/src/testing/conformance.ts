/**
 * What a conformance case is, and the few assertions that the suites need: they run under any test runner
 * (`it(case.name, () => case.run())`) and in browsers.
 */

import { HsError } from '../errors.js'

export interface ConformanceCase {
  /** A sentence of the contract. */
  readonly name: string
  /** Rejects with `'CONFORMANCE_FAILED'`, or with what the implementation threw. */
  run(): Promise<void>
}

/** What the suites need of the world around an implementation. A case makes one, uses it and closes it. */
export interface Fixture<T> {
  /** A new instance; `name` tells apart those of one fixture. */
  create(name: string): Promise<T>
  /** Resolves when what was sent or begun has arrived: on a virtual clock it moves the time, elsewhere it waits a little. */
  settle(): Promise<void>
  /** Ends whatever the fixture made that is still open. */
  close(): Promise<void>
}

/** How often a case lets the world settle before it goes on to judge. */
const MAX_SETTLES = 1_000
/** For what must not happen: long enough to notice it. */
const QUIET_SETTLES = 3

/** What a case works with: a fixture, and time that passes. */
export class Scene<T> {
  readonly #fixture: Fixture<T>
  #settling: Promise<void> | undefined

  constructor(fixture: Fixture<T>) {
    this.#fixture = fixture
  }

  create(name: string): Promise<T> {
    return this.done(this.#fixture.create(name))
  }

  /** Lets the world settle until `promise` has, then is what it is. */
  async done<V>(promise: Promise<V>): Promise<V> {
    let settled = false
    const settle = () => {
      settled = true
    }
    promise.then(settle, settle)
    await this.until(() => settled)
    return promise
  }

  /** Lets the world settle until the condition holds, or for so long that it never will. */
  async until(condition: () => boolean): Promise<void> {
    // Whatever takes no time needs no settling.
    await Promise.resolve()
    for (let i = 0; i < MAX_SETTLES && !condition(); i++) await this.#settle()
  }

  /** Lets the world settle as long as it takes to be sure that nothing more comes. */
  async quiet(): Promise<void> {
    for (let i = 0; i < QUIET_SETTLES; i++) await this.#settle()
  }

  /** For a promise that is waited for later: if the case fails before, its rejection is nobody's business any more. */
  begin<V>(promise: Promise<V>): Promise<V> {
    promise.catch((error: unknown) => error)
    return promise
  }

  /** The error that `promise` rejects with. */
  async failure(what: string, promise: Promise<unknown>): Promise<unknown> {
    try {
      await this.done(promise)
    } catch (error) {
      return error
    }
    throw failed(`${what} must reject`)
  }

  close(): Promise<void> {
    return this.#fixture.close()
  }

  /** A clock can be advanced by one at a time: those who wait at once share it. */
  #settle(): Promise<void> {
    this.#settling ??= this.#fixture.settle().finally(() => {
      this.#settling = undefined
    })
    return this.#settling
  }
}

/** Makes cases out of sentences and what shows them, each with a fixture of its own. */
export function casesOf<T>(
  make: () => Promise<Fixture<T>>,
  sentences: Readonly<Record<string, (scene: Scene<T>) => Promise<void>>>,
): ConformanceCase[] {
  return Object.entries(sentences).map(([name, show]) => ({
    name,
    async run() {
      const scene = new Scene(await make())
      try {
        await show(scene)
      } finally {
        await scene.close()
      }
    },
  }))
}

export function failed(message: string): HsError {
  return new HsError('CONFORMANCE_FAILED', message)
}

export function expectTrue(what: string, condition: boolean): void {
  if (!condition) throw failed(what)
}

export function expectEqual(what: string, found: unknown, expected: unknown): void {
  if (!Object.is(found, expected)) throw failed(`${what}: expected ${show(expected)}, found ${show(found)}`)
}

export function expectBytes(what: string, found: Uint8Array | undefined, expected: Uint8Array): void {
  if (!(found instanceof Uint8Array)) throw failed(`${what}: expected a Uint8Array, found ${show(found)}`)
  expectEqual(`${what}: length`, found.length, expected.length)
  for (const [at, byte] of expected.entries()) expectEqual(`${what}: byte ${at}`, found[at], byte)
}

/** Checks that `error` is an `HsError` of this code and returns it. */
export function expectCode(what: string, error: unknown, code: string): HsError {
  if (HsError.is(error, code)) return error
  const found = HsError.is(error) ? `${error.code} (${error.message})` : show(error)
  throw failed(`${what}: expected an HsError of code ${code}, found ${found}`)
}

/** Checks that `fn` throws an `HsError` of this code. */
export function expectThrows(what: string, code: string, fn: () => unknown): void {
  try {
    fn()
  } catch (error) {
    expectCode(what, error, code)
    return
  }
  throw failed(`${what} must throw ${code}`)
}

/** Bytes that differ from place to place and from `salt` to `salt`. */
export function sample(length: number, salt = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + salt * 7 + 1) % 251)
}

function show(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
