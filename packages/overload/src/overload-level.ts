/** States of overload as numbers: 0 is healthy. */
import { HsError, overloadStates, type OverloadState } from '@hs/core'

/** @throws HsError `'INVALID_ARGUMENT'` for a word that is no state. */
export function levelOf(state: OverloadState): number {
  switch (state) {
    case 'healthy':
      return 0
    case 'busy':
      return 1
    case 'stressed':
      return 2
    case 'overloaded':
      return 3
    default:
      throw new HsError('INVALID_ARGUMENT', `A state is one of ${overloadStates.join(', ')}, found ${String(state)}`)
  }
}

/** The state of a level from 0 to 3. */
export function stateOf(level: number): OverloadState {
  return overloadStates[level] ?? 'overloaded'
}
