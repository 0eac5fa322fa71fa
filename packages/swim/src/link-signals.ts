/** A signal that aborts when either of two does, until it is released: `AbortSignal.any` is not everywhere. */
export function linkSignals(
  first: AbortSignal,
  second: AbortSignal | undefined,
): { signal: AbortSignal; release(): void } {
  const controller = new AbortController()
  const onFirst = () => controller.abort(first.reason)
  const onSecond = () => controller.abort(second?.reason)
  if (first.aborted) onFirst()
  if (second?.aborted) onSecond()
  first.addEventListener('abort', onFirst)
  second?.addEventListener('abort', onSecond)
  return {
    signal: controller.signal,
    release: () => {
      first.removeEventListener('abort', onFirst)
      second?.removeEventListener('abort', onSecond)
    },
  }
}
