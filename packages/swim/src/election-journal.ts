/**
 * Says nothing before it is written: what an elector promises is recorded in memory first, saved, and only then told.
 * One save runs at a time and takes the newest state with it; what waits for the same thing waits once.
 */
import type { ElectionState } from './election-store.js'

export class ElectionJournal {
  readonly #current: () => ElectionState
  readonly #save: (state: ElectionState) => Promise<void>
  readonly #onError: (error: unknown) => void
  /** What is to be said once `version` is saved, by what it is about: at most one a peer and kind. */
  readonly #waiting = new Map<string, { readonly version: number; readonly then: () => void }>()
  #version = 0
  #savedVersion = 0
  #running: Promise<void> | undefined

  constructor(
    current: () => ElectionState,
    save: (state: ElectionState) => Promise<void>,
    onError: (error: unknown) => void,
  ) {
    this.#current = current
    this.#save = save
    this.#onError = onError
  }

  /** The state has changed. */
  touch(): void {
    this.#version++
  }

  /**
   * Calls `then` once the state as it is now is saved: at once if it is. It must look at the state again, for time has
   * passed. A failed save calls nobody.
   */
  whenSaved(about: string, then: () => void): void {
    if (this.#savedVersion === this.#version) {
      then()
      return
    }
    this.#waiting.set(about, { version: this.#version, then })
    this.#running ??= this.#run()
  }

  /** Resolves when no save runs. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.size > 0) {
      const version = this.#version
      try {
        await this.#save(this.#current())
        this.#savedVersion = version
      } catch (error) {
        this.#drop(version)
        this.#onError(error)
        continue
      }
      for (const then of this.#drop(version)) then()
    }
    this.#running = undefined
  }

  #drop(version: number): (() => void)[] {
    const due = [...this.#waiting].filter(([, waiter]) => waiter.version <= version)
    for (const [about] of due) this.#waiting.delete(about)
    return due.map(([, { then }]) => then)
  }
}
