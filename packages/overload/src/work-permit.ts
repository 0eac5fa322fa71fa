/** A slot that is held, and how it is given back: the first call counts, the rest do nothing. */
import type { MessagePriority } from '@hs/core'

export interface WorkPermit {
  readonly priority: MessagePriority
  /** The work is done; how long it took says something. */
  success(): void
  /** The work was too much: it timed out, or was dropped. */
  failure(): void
  /** Says nothing about the work. */
  release(): void
}
