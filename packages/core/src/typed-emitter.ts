/**
 * Typed events whose listeners cannot throw into the emitter: what a listener throws, or what its promise rejects
 * with, is reported under `owner.event`; the other listeners run. What `events` is everywhere in this library.
 */
import { EventEmitter } from 'eventemitter3'
import { checkFunction } from './arguments.js'
import type { ErrorReporter } from './error-reporter.js'
import type { LogFields } from './logger.js'
import { whenRejected } from './when-rejected.js'

export interface TypedEmitterOptions<E extends EventArguments<E>> {
  /** What to add to the report when a listener throws; called only then. */
  describe?: <K extends keyof E>(name: K, args: E[K]) => LogFields
}

/** A record of argument tuples, as a type or as an interface. */
export type EventArguments<E> = { [K in keyof E]: unknown[] }

interface Registration {
  (...args: unknown[]): void
  original?: unknown
}

/** Events with typed arguments; a listener cannot throw into the emitter. */
export class TypedEmitter<E extends EventArguments<E>> {
  readonly #emitter = new EventEmitter()
  readonly #owner: string
  readonly #reporter: ErrorReporter
  readonly #describe: (<K extends keyof E>(name: K, args: E[K]) => LogFields) | undefined

  /**
   * @param owner what emits; what a listener throws is reported under `owner.event`
   * @param reporter where it is reported
   */
  constructor(owner: string, reporter: ErrorReporter, options: TypedEmitterOptions<E> = {}) {
    this.#owner = owner
    this.#reporter = reporter
    this.#describe = options.describe
  }

  /** Returns what takes this registration away again. @throws HsError `'INVALID_ARGUMENT'` if `listener` is no function */
  on<K extends keyof E & string>(name: K, listener: (...args: E[K]) => unknown): () => void {
    const registration = this.#register(name, listener)
    this.#emitter.on(name, registration)
    return () => this.#emitter.off(name, registration)
  }

  /** As `on`, for the next event only. */
  once<K extends keyof E & string>(name: K, listener: (...args: E[K]) => unknown): () => void {
    const registration = this.#register(name, listener)
    this.#emitter.once(name, registration)
    return () => this.#emitter.off(name, registration)
  }

  /** Takes away every registration of `listener` for this event. */
  off<K extends keyof E & string>(name: K, listener: (...args: E[K]) => unknown): void {
    for (const registration of this.#emitter.listeners(name)) {
      if ((registration as Registration).original === listener) this.#emitter.off(name, registration)
    }
  }

  listenerCount(name: keyof E & string): number {
    return this.#emitter.listenerCount(name)
  }

  /**
   * Calls the listeners there are now, in order of registration: one that is added meanwhile is not called,
   * one that is removed meanwhile still is. True if anyone listened. Never throws.
   */
  emit<K extends keyof E & string>(name: K, ...args: E[K]): boolean {
    return this.#emitter.emit(name, ...args)
  }

  #register<K extends keyof E & string>(name: K, listener: (...args: E[K]) => unknown): Registration {
    checkFunction(`A listener of ${this.#owner}.${name}`, listener)
    const registration: Registration = (...args) => {
      try {
        whenRejected(listener(...(args as E[K])), (error) => this.#report(name, args as E[K], error))
      } catch (error) {
        this.#report(name, args as E[K], error)
      }
    }
    registration.original = listener
    return registration
  }

  #report<K extends keyof E & string>(name: K, args: E[K], error: unknown): void {
    const source = `${this.#owner}.${name}`
    this.#reporter.report(source, error, this.#describeSafely(source, name, args))
  }

  #describeSafely<K extends keyof E & string>(source: string, name: K, args: E[K]): LogFields | undefined {
    try {
      return this.#describe?.(name, args)
    } catch (error) {
      this.#reporter.report(`${source}.describe`, error)
      return undefined
    }
  }
}
