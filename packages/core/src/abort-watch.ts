/**
 * One `abort` listener a signal, however many wait on it. A signal is often shared by all the waits of a scope: with a
 * listener each, Node would warn of a leak from the eleventh on, and removing one would search through all of them.
 */

interface Watcher {
  onAbort(): void
}

class AbortWatch {
  readonly watchers = new Set<Watcher>()

  /** As the listener of the signal. All who watch now are told, in order; each stops watching as it is told. */
  handleEvent(): void {
    for (const watcher of [...this.watchers]) watcher.onAbort()
  }
}

const watches = /* @__PURE__ */ new WeakMap<AbortSignal, AbortWatch>()

/** Calls `watcher.onAbort` when the signal aborts, until `unwatchAbort`; the signal has not aborted yet. */
export function watchAbort(signal: AbortSignal, watcher: Watcher): void {
  let watch = watches.get(signal)
  if (watch === undefined) {
    watch = new AbortWatch()
    watches.set(signal, watch)
    signal.addEventListener('abort', watch)
  }
  watch.watchers.add(watcher)
}

/** With the last watcher the listener goes. */
export function unwatchAbort(signal: AbortSignal, watcher: Watcher): void {
  const watch = watches.get(signal)
  if (watch === undefined || !watch.watchers.delete(watcher) || watch.watchers.size > 0) return
  watches.delete(signal)
  signal.removeEventListener('abort', watch)
}
