/** What a failure means for whoever might repeat the call. */

/**
 * `'transient'`: may go away by itself. `'throttled'`: the server refuses for now. `'permanent'`: repeating it changes
 * nothing.
 */
export type FailureKind = 'transient' | 'throttled' | 'permanent'

export interface Failure {
  readonly kind: FailureKind
  /** When the other side says it makes sense to come back, in milliseconds from now. */
  readonly retryAfterMs?: number
  /** The request cannot have run, so that repeating it is safe even if it must not run twice. */
  readonly notExecuted?: true
}

const kinds: ReadonlySet<unknown> = /* @__PURE__ */ new Set<FailureKind>(['transient', 'throttled', 'permanent'])

export function isFailureKind(value: unknown): value is FailureKind {
  return kinds.has(value)
}
