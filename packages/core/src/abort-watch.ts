/**
 * One `abort` listener a signal, however many wait on it. A signal is often shared by all the waits of a scope: with a
 * listener each, Node would warn of a leak from the eleventh on, and removing one would search through all of them.
 */

export interface AbortWatcher {
  onAbort(): void
}

class AbortWatch {
  readonly watchers = new Set<AbortWatcher>()

  /** As the listener of the signal. All who watch now are told, in order, but for those that an earlier one ends. */
  handleEvent(): void {
    for (const watcher of [...this.watchers]) if (this.watchers.has(watcher)) watcher.onAbort()
  }
}

const watches = /* @__PURE__ */ new WeakMap<AbortSignal, AbortWatch>()

/**
 * Calls `watcher.onAbort` when the signal aborts, which it has not yet, until `unwatchAbort`, which whoever watches calls
 * as soon as it waits no more, on the abort too.
 */
export function watchAbort(signal: AbortSignal, watcher: AbortWatcher): void {
  let watch = watches.get(signal)
  if (watch === undefined) {
    watch = new AbortWatch()
    watches.set(signal, watch)
    signal.addEventListener('abort', watch)
  }
  watch.watchers.add(watcher)
}

/** With the last watcher the listener goes. */
export function unwatchAbort(signal: AbortSignal, watcher: AbortWatcher): void {
  const watch = watches.get(signal)
  if (watch === undefined || !watch.watchers.delete(watcher) || watch.watchers.size > 0) return
  watches.delete(signal)
  signal.removeEventListener('abort', watch)
}
