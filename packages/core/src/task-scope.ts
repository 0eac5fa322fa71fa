/**
 * No task without an owner: background work runs in a named scope, its failures are reported, and `stop` leaves no
 * task, timer or listener behind. As in Trio's nurseries and Erlang's supervisors, nothing outlives its scope.
 */
import * as z from 'zod'
import { unwatchAbort, watchAbort } from './abort-watch.js'
import { checkFunction } from './arguments.js'
import { deepFreeze } from './deep-freeze.js'
import { deferred } from './deferred.js'
import { ErrorReporter, type OnError } from './error-reporter.js'
import { ClosedError, HsError, LimitError } from './errors.js'
import { parseOptions } from './options.js'
import { messageOf } from './plain.js'
import { RestartCounter, type RestartPolicy } from './restart-policy.js'
import { runtimeShape, type RuntimeOptions } from './runtime.js'
import { isAbort, TaskRecord, type Task, type TaskState } from './task.js'
import { jitterSchema, TickGrid } from './tick-grid.js'
import { isThenable } from './when-rejected.js'

export interface TaskScopeOptions extends RuntimeOptions {
  /** Called for every failure of a task; not together with `reporter`, which has its own. */
  onError?: OnError
  /** Where failures go. @default one with `clock`, `logger` and `onError` of these options */
  reporter?: ErrorReporter
  /** Stops the scope when it aborts. */
  signal?: AbortSignal
  /** How long `stop` waits for tasks that run, in milliseconds, 0 or more. @default 10_000 */
  stopTimeoutMs?: number
  /** Live tasks at a time, and children; at least 1. @default 10_000 */
  maxTasks?: number
}

export interface SpawnOptions {
  /** Runs the task again after a failure. @default never */
  restart?: RestartPolicy
}

export interface EveryOptions {
  /** Runs for the first time within the call, and not after the first interval. @default false */
  immediate?: boolean
  /** Draws each wait from interval x [1 - jitter, 1 + jitter], 0 to 1. @default 0 */
  jitter?: number
}

export interface TaskScopeSnapshot {
  readonly name: string
  readonly state: 'running' | 'stopped'
  /** Those that have not ended; `startedAtMs` is Unix epoch milliseconds. */
  readonly tasks: readonly {
    readonly name: string
    readonly state: TaskState
    readonly restarts: number
    readonly startedAtMs: number
  }[]
  /** Failures so far, those that were followed by a restart or a next tick included. */
  readonly failed: number
  /** The last 16. */
  readonly recentFailures: readonly { readonly name: string; readonly message: string }[]
  readonly children: readonly TaskScopeSnapshot[]
}

const RECENT_FAILURES = 16

const schema = /* @__PURE__ */ (() =>
  z
    .strictObject({
      ...runtimeShape,
      onError: z.custom<OnError>((x) => typeof x === 'function', 'expected a function').optional(),
      reporter: z
        .custom<ErrorReporter>(
          (x) => typeof (x as ErrorReporter | null)?.report === 'function',
          'expected an ErrorReporter',
        )
        .optional(),
      signal: z
        .custom<AbortSignal>((x) => typeof (x as AbortSignal | null)?.aborted === 'boolean', 'expected an AbortSignal')
        .optional(),
      stopTimeoutMs: z.number().min(0).default(10_000),
      maxTasks: z.int().min(1).default(10_000),
    })
    .refine(({ onError, reporter }) => onError === undefined || reporter === undefined, {
      path: ['onError'],
      message: 'expected no onError beside a reporter, which has its own',
    }))()

const everySchema = /* @__PURE__ */ (() =>
  z.strictObject({ immediate: z.boolean().default(false), jitter: jitterSchema }))()

type Settings = Omit<z.output<typeof schema>, 'onError' | 'reporter' | 'signal'> & { readonly reporter: ErrorReporter }

/** An owner of background tasks: reports their failures, ends them all with `stop`. */
export class TaskScope implements AsyncDisposable {
  readonly name: string
  readonly #settings: Settings
  readonly #controller = new AbortController()
  readonly #tasks = new Set<TaskRecord<unknown>>()
  readonly #children = new Set<TaskScope>()
  readonly #outer: AbortSignal | undefined
  readonly #onOuterAbort = { onAbort: () => void this.stop(this.#outer?.reason) } // never rejects
  #stopping: { readonly reason: unknown; readonly stopped: Promise<void> } | undefined
  #whenEmpty: (() => void) | undefined
  #onStopped: (() => void) | undefined
  #failed = 0
  #recentFailures: { name: string; message: string }[] = []

  /**
   * @param name stands in reports, before the names of its tasks
   * @throws ConfigError
   */
  constructor(name: string, options: TaskScopeOptions = {}) {
    const { onError, reporter, signal, ...settings } = parseOptions(schema, options, 'TaskScope')
    const { clock, random, logger } = settings
    this.name = name
    this.#settings = {
      ...settings,
      reporter: reporter ?? new ErrorReporter({ clock, random, logger, ...(onError === undefined ? {} : { onError }) }),
    }
    this.#outer = signal
    if (signal === undefined) return
    if (signal.aborted) this.#onOuterAbort.onAbort()
    else watchAbort(signal, this.#onOuterAbort)
  }

  /** Aborts when the scope stops. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /**
   * Starts `run` within this call. A failure is reported as `scope.task`; a synchronous throw is one too.
   * @param run is given the task's signal: of the scope's `stop` and of the task's own `cancel`.
   * @throws ClosedError after `stop`, LimitError at `maxTasks`, ConfigError for a bad restart policy, HsError
   *   `'INVALID_ARGUMENT'` if `run` is no function.
   */
  spawn<T>(name: string, run: (signal: AbortSignal) => T | Promise<T>, options: SpawnOptions = {}): Task<T> {
    checkFunction(`Task ${name}`, run)
    const restarts = options.restart === undefined ? null : new RestartCounter(options.restart, this.#settings.random)
    const task = this.#add<T>(name)
    this.#run(task, run, restarts)
    return task
  }

  /**
   * Runs `run` again and again, never two at a time; an error is reported and the next tick comes all the same.
   * @param intervalMs in milliseconds, above 0. Fixed: ticks at start + k x interval, those missed by a long run left out. A function is called
   *   before each wait, and the wait counts from then; if it fails, that is reported and its last interval used again.
   * @throws HsError `'INVALID_ARGUMENT'` unless the interval is positive and finite and `run` a function; ClosedError,
   *   LimitError, ConfigError.
   */
  every(
    name: string,
    intervalMs: number | (() => number),
    run: (signal: AbortSignal) => void | Promise<void>,
    options: EveryOptions = {},
  ): Task<void> {
    checkFunction(`Task ${name}`, run)
    const { clock, random } = this.#settings
    const { immediate, jitter } = parseOptions(everySchema, options, 'TaskScope.every')
    const grid = new TickGrid(intervalMs, jitter, random, clock.now())
    const task = this.#add<void>(name)
    const fail = (error: unknown) => this.#noteFailure(task, error)
    const tick = () => {
      try {
        const returned: unknown = run(task.signal)
        if (isThenable(returned)) {
          Promise.resolve(returned).then(wait, (error) => {
            fail(error)
            wait()
          })
          return
        }
      } catch (error) {
        fail(error)
      }
      wait()
    }
    const wait = () => {
      if (task.signal.aborted) {
        task.end({ status: 'cancelled' })
        return
      }
      try {
        task.wait(clock, grid.waitMs(clock.now(), fail), 'running', tick)
      } catch (error) {
        this.#fail(task, error)
      }
    }
    if (immediate) tick()
    else wait()
    return task
  }

  /**
   * A scope that stops before this one, with this one's settings and reporter.
   * @throws ClosedError after `stop`, LimitError at `maxTasks` children.
   */
  child(name: string): TaskScope {
    this.#checkOpen()
    const { maxTasks } = this.#settings
    if (this.#children.size >= maxTasks) throw new LimitError(`Children of TaskScope ${this.name}`, maxTasks)
    const child = new TaskScope(name, this.#settings)
    this.#children.add(child)
    child.#onStopped = () => this.#children.delete(child)
    return child
  }

  /**
   * Stops the children, then aborts `signal` and waits until every task has ended, at most `stopTimeoutMs`; what runs
   * on is reported as `'TASK_STUCK'` by name. Never rejects; a second call waits for the first.
   * A task must not await the stop of its own scope.
   * @param reason what tasks find as the reason of their signal. @default a ClosedError
   */
  stop(reason?: unknown): Promise<void> {
    if (this.#stopping !== undefined) return this.#stopping.stopped
    const stopped = deferred<void>()
    const stopping = { reason: reason === undefined ? this.#closed() : reason, stopped: stopped.promise }
    this.#stopping = stopping // before anything else runs: an abort listener may call stop again
    this.#shutDown(stopping.reason).then(
      () => stopped.resolve(),
      (error) => stopped.reject(error),
    )
    return stopped.promise
  }

  /** `stop()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** What a dashboard shows: plain and frozen. */
  snapshot(): TaskScopeSnapshot {
    return deepFreeze({
      name: this.name,
      state: this.#stopping === undefined ? 'running' : 'stopped',
      tasks: Array.from(this.#tasks, ({ name, state, restarts, startedAtMs }) => ({
        name,
        state,
        restarts,
        startedAtMs,
      })),
      failed: this.#failed,
      recentFailures: this.#recentFailures.map((failure) => ({ ...failure })),
      children: Array.from(this.#children, (child) => child.snapshot()),
    })
  }

  #add<T>(name: string): TaskRecord<T> {
    this.#checkOpen()
    const { clock, maxTasks } = this.#settings
    if (this.#tasks.size >= maxTasks) throw new LimitError(`Tasks of TaskScope ${this.name}`, maxTasks)
    const task = new TaskRecord<T>(name, clock.wallNow(), () => {
      this.#tasks.delete(task)
      if (this.#tasks.size === 0) this.#whenEmpty?.()
    })
    this.#tasks.add(task)
    return task
  }

  #run<T>(task: TaskRecord<T>, run: (signal: AbortSignal) => T | Promise<T>, restarts: RestartCounter | null): void {
    const done = (value: T) => task.end({ status: 'done', value })
    const failed = (error: unknown) => this.#afterFailure(task, error, run, restarts)
    try {
      const returned = run(task.signal)
      if (isThenable(returned)) Promise.resolve(returned).then(done, failed)
      else done(returned)
    } catch (error) {
      failed(error)
    }
  }

  #afterFailure<T>(
    task: TaskRecord<T>,
    error: unknown,
    run: (signal: AbortSignal) => T | Promise<T>,
    restarts: RestartCounter | null,
  ): void {
    if (restarts === null || this.#isStopping(task)) {
      this.#fail(task, error)
      return
    }
    const { clock } = this.#settings
    const waitMs = restarts.failed(clock.now())
    if (waitMs === null) {
      this.#fail(task, restarts.exhausted(task.name, error))
      return
    }
    this.#noteFailure(task, error)
    if (this.#isStopping(task))
      task.end({ status: 'failed', error }) // by whom the failure was reported to
    else {
      task.wait(clock, waitMs, 'backoff', () => {
        task.restarts++
        this.#run(task, run, restarts)
      })
    }
  }

  #fail<T>(task: TaskRecord<T>, error: unknown): void {
    task.end(this.#noteFailure(task, error) ? { status: 'failed', error } : { status: 'cancelled' })
  }

  /** Counts and reports it; false if it only says that the task heeded the abort. */
  #noteFailure(task: TaskRecord<unknown>, error: unknown): boolean {
    if (this.#isHeeding(task, error)) return false
    this.#failed++
    if (this.#recentFailures.length >= RECENT_FAILURES) this.#recentFailures.shift()
    this.#recentFailures.push({ name: task.name, message: messageOf(error) })
    this.#report(task, error)
    return true
  }

  #report(task: TaskRecord<unknown>, error: unknown): void {
    this.#settings.reporter.report(`${this.name}.${task.name}`, error, { task: task.name, scope: this.name })
  }

  #isStopping(task: TaskRecord<unknown>): boolean {
    return task.signal.aborted || this.#stopping !== undefined
  }

  /** Whether the error only says that the task was told to end; children of a stopping scope are told before it. */
  #isHeeding(task: TaskRecord<unknown>, error: unknown): boolean {
    if (task.signal.aborted && error === task.signal.reason) return true
    if (this.#stopping !== undefined && error === this.#stopping.reason) return true
    return this.#isStopping(task) && isAbort(error)
  }

  async #shutDown(reason: unknown): Promise<void> {
    if (this.#outer !== undefined) unwatchAbort(this.#outer, this.#onOuterAbort)
    if (this.#children.size > 0) await Promise.all(Array.from(this.#children, (child) => child.stop(reason)))
    this.#controller.abort(reason)
    for (const task of [...this.#tasks]) task.cancel(reason)
    await this.#tasksEnded()
    for (const task of this.#tasks) this.#report(task, this.#stuck(task))
    this.#onStopped?.()
  }

  /** Resolves when no task is left, or after `stopTimeoutMs`. */
  #tasksEnded(): Promise<void> {
    const { clock, stopTimeoutMs } = this.#settings
    return new Promise((resolve) => {
      if (this.#tasks.size === 0) {
        resolve()
        return
      }
      const timer = clock.setTimer(stopTimeoutMs, resolve)
      this.#whenEmpty = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  #stuck(task: TaskRecord<unknown>): HsError {
    const { stopTimeoutMs } = this.#settings
    return new HsError(
      'TASK_STUCK',
      `Task ${task.name} of ${this.name} still runs ${stopTimeoutMs} ms after its signal aborted: make it heed the signal`,
      { details: { task: task.name, scope: this.name, stopTimeoutMs } },
    )
  }

  #checkOpen(): void {
    if (this.#stopping !== undefined) throw this.#closed()
  }

  #closed(): ClosedError {
    return new ClosedError(`TaskScope ${this.name}`)
  }
}
