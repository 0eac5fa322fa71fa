/**
 * Windows for readers at their own pace: what a slow one has not read is merged, neighbours of one workflow first, so
 * it loses resolution in time and no count. What comes before the first reader waits for it.
 */
import { mergeWindows, type WindowResult } from '@hs/windowed-stats'

/** Windows that wait for a reader; one a workflow if there are more workflows. */
const MAX_WAITING = 256

class WindowQueue {
  #windows: WindowResult[] = []
  #wake: (() => void) | null = null

  push(window: WindowResult): void {
    this.#windows.push(window)
    if (this.#windows.length > MAX_WAITING) this.#windows = withTwoMerged(this.#windows)
    this.wake()
  }

  shift(): WindowResult | undefined {
    return this.#windows.shift()
  }

  wake(): void {
    this.#wake?.()
    this.#wake = null
  }

  news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

export class WindowStream implements AsyncIterable<WindowResult> {
  /** Of nobody yet: the first reader takes it over. */
  #unclaimed: WindowQueue | null = new WindowQueue()
  readonly #readers = new Set<WindowQueue>()
  #ended = false

  push(window: WindowResult): void {
    this.#unclaimed?.push(window)
    for (const reader of this.#readers) reader.push(window)
  }

  end(): void {
    this.#ended = true
    for (const reader of this.#readers) reader.wake()
  }

  [Symbol.asyncIterator](): AsyncIterator<WindowResult, void, undefined> {
    const queue = this.#unclaimed ?? new WindowQueue()
    this.#unclaimed = null
    this.#readers.add(queue)
    return this.#read(queue)
  }

  async *#read(queue: WindowQueue): AsyncGenerator<WindowResult, void, undefined> {
    try {
      for (;;) {
        const window = queue.shift()
        if (window !== undefined) yield window
        else if (this.#ended) return
        else await queue.news()
      }
    } finally {
      this.#readers.delete(queue)
    }
  }
}

/** The two oldest neighbours of one workflow become one. */
function withTwoMerged(windows: readonly WindowResult[]): WindowResult[] {
  const lastOf = new Map<string, number>()
  for (const [at, window] of windows.entries()) {
    const before = lastOf.get(window.workflowId)
    lastOf.set(window.workflowId, at)
    const earlier = before === undefined ? undefined : windows[before]
    if (earlier === undefined) continue
    return windows.flatMap((other, i) => (i === before ? [] : [i === at ? mergeWindows([earlier, window]) : other]))
  }
  return [...windows]
}
