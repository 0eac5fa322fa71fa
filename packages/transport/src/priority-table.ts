/**
 * The priority of a method: it belongs to the method, not the call, so that both ends know it without a word on the
 * wire. An exact name counts, else the longest prefix (`'stats.*'`), else `'normal'`.
 */
import type { MessagePriority } from '@hs/core'

export class PriorityTable {
  readonly #exact = new Map<string, MessagePriority>()
  /** Longest first. */
  readonly #prefixes: { readonly prefix: string; readonly priority: MessagePriority }[] = []

  constructor(priorities: Readonly<Record<string, MessagePriority>>) {
    for (const [pattern, priority] of Object.entries(priorities)) {
      if (pattern.endsWith('*')) this.#prefixes.push({ prefix: pattern.slice(0, -1), priority })
      else this.#exact.set(pattern, priority)
    }
    this.#prefixes.sort((a, b) => b.prefix.length - a.prefix.length)
  }

  of(method: string): MessagePriority {
    return (
      this.#exact.get(method) ?? this.#prefixes.find(({ prefix }) => method.startsWith(prefix))?.priority ?? 'normal'
    )
  }
}
