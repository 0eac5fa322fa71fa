/**
 * One task of a `TaskScope`: what its owner sees of it (`Task`), and the record the scope keeps. A task leaves
 * `'running'` and `'backoff'` once, for good, and its `result` never rejects.
 */
import type { Clock, Timer } from './clock.js'
import { deferred } from './deferred.js'
import { HsError } from './errors.js'

export type TaskState = 'running' | 'backoff' | 'done' | 'failed' | 'cancelled'

export type TaskOutcome<T> =
  { status: 'done'; value: T } | { status: 'failed'; error: unknown } | { status: 'cancelled' }

export interface Task<T> {
  readonly name: string
  /** `'backoff'` while it waits to be restarted. */
  readonly state: TaskState
  /** Never rejects. */
  readonly result: Promise<TaskOutcome<T>>
  /** Aborts the task's signal; a wait between runs ends at once. Does nothing to a task that has ended. */
  cancel(reason?: unknown): void
}

export class TaskRecord<T> implements Task<T> {
  readonly name: string
  readonly startedAtMs: number
  readonly result: Promise<TaskOutcome<T>>
  restarts = 0
  readonly #controller = new AbortController()
  readonly #ended = deferred<TaskOutcome<T>>()
  readonly #onEnd: () => void
  #state: TaskState = 'running'
  #wait: Timer | undefined

  /** @param onEnd is called once, when the state is final already. */
  constructor(name: string, startedAtMs: number, onEnd: () => void) {
    this.name = name
    this.startedAtMs = startedAtMs
    this.result = this.#ended.promise
    this.#onEnd = onEnd
  }

  get state(): TaskState {
    return this.#state
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  cancel(reason?: unknown): void {
    if (this.#hasEnded() || this.signal.aborted) return
    this.#controller.abort(reason)
    if (this.#wait !== undefined) this.end({ status: 'cancelled' })
  }

  end(outcome: TaskOutcome<T>): void {
    if (this.#hasEnded()) return
    this.#wait?.cancel()
    this.#wait = undefined
    this.#state = outcome.status
    this.#onEnd()
    this.#ended.resolve(outcome)
  }

  /** Calls `next` after `ms`, unless the task is cancelled before: then it has ended. */
  wait(clock: Clock, ms: number, state: 'running' | 'backoff', next: () => void): void {
    this.#state = state
    this.#wait = clock.setTimer(ms, () => {
      this.#wait = undefined
      this.#state = 'running'
      next()
    })
  }

  #hasEnded(): boolean {
    return this.#state !== 'running' && this.#state !== 'backoff'
  }
}

/** What an aborted call throws: the platform's error, or a request's. */
export function isAbort(error: unknown): boolean {
  if (HsError.is(error, 'CANCELLED')) return true
  return typeof error === 'object' && error !== null && (error as { name?: unknown }).name === 'AbortError'
}
