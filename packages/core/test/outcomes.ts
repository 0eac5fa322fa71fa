import { expect } from 'vitest'

export type Outcome<T> = { status: 'waiting' } | { status: 'done'; value: T } | { status: 'failed'; error: unknown }

/** Follows a promise, so that a test can look at it without awaiting it. */
export function follow<T>(promise: Promise<T>): { readonly now: Outcome<T> } {
  const followed: { now: Outcome<T> } = { now: { status: 'waiting' } }
  promise.then(
    (value) => (followed.now = { status: 'done', value }),
    (error: unknown) => (followed.now = { status: 'failed', error }),
  )
  return followed
}

/** What it rejects with; fails if it does not. */
export function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable('it should have rejected'),
    (error: unknown) => error,
  )
}

/** Lets all that is ready run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
