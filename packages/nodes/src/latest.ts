/** The latest value for readers at their own pace: a slow one misses what was overtaken. Ends for all at once. */

export class Latest<T> implements AsyncIterable<T> {
  #value: { readonly value: T; readonly version: number } | null = null
  #ended = false
  #waiting: (() => void)[] = []

  get value(): T | null {
    return this.#value?.value ?? null
  }

  set(value: T): void {
    if (this.#ended) return
    this.#value = { value, version: (this.#value?.version ?? 0) + 1 }
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let seen = 0
    for (;;) {
      const latest = this.#value
      if (latest !== null && latest.version > seen) {
        seen = latest.version
        yield latest.value
      } else if (this.#ended) return
      else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
