/** Priorities as numbers, for whoever keeps an array by priority. */
import { HsError, messagePriorities, type MessagePriority } from '@hs/core'

/**
 * Its place among the priorities, 0 for `critical` to 3 for `low`.
 * @throws HsError `'INVALID_ARGUMENT'` if it is none.
 */
export function priorityRank(priority: MessagePriority): number {
  switch (priority) {
    case 'critical':
      return 0
    case 'high':
      return 1
    case 'normal':
      return 2
    case 'low':
      return 3
    default:
      throw new HsError(
        'INVALID_ARGUMENT',
        `A priority is one of ${messagePriorities.join(', ')}, found ${String(priority)}`,
      )
  }
}
