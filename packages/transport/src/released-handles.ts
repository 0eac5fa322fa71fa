/**
 * A listener and a datagram socket tell that they are closed in the turn of the event loop in which that was asked for;
 * the handles behind them go at the end of the turn after, and until then the process counts them as active.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Resolves when the handles that were closed before are gone. */
export async function handlesReleased(): Promise<void> {
  await nextTurn()
  await nextTurn()
}
