/** Whoever typed the command has to change it: exit 2 and this sentence. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
