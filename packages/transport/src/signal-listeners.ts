/**
 * One `abort` listener a signal, however many requests are under way with it: a signal often stands for a whole task
 * or process, and from the eleventh listener on Node would warn of a leak.
 */

export interface Cancellable {
  onAbort(): void
}

/** All that one signal cancels; as an object with this method it is the signal's listener itself. */
class SharedListener {
  readonly requests = new Set<Cancellable>()

  handleEvent(): void {
    for (const request of [...this.requests]) request.onAbort()
  }
}

export class SignalListeners {
  readonly #listeners = new WeakMap<AbortSignal, SharedListener>()

  /** Calls `request.onAbort` when the signal aborts, which it has not, unless `remove` comes first. */
  add(signal: AbortSignal, request: Cancellable): void {
    let listener = this.#listeners.get(signal)
    if (listener === undefined) {
      listener = new SharedListener()
      this.#listeners.set(signal, listener)
      signal.addEventListener('abort', listener)
    }
    listener.requests.add(request)
  }

  /** The last one takes the listener away. */
  remove(signal: AbortSignal, request: Cancellable): void {
    const listener = this.#listeners.get(signal)
    if (listener === undefined || !listener.requests.delete(request) || listener.requests.size > 0) return
    this.#listeners.delete(signal)
    signal.removeEventListener('abort', listener)
  }
}
