/**
 * Runs something in a later turn of the event loop, when what the current turn has to send is on its way.
 * On the machine's time that is `setImmediate`, because the shortest timer costs a millisecond; on any other clock it is
 * a timer of 0 ms, so that a test that moves the clock sees all of it.
 */
import { SystemClock, type Clock } from '@hs/core'

export function inLaterTurn(clock: Clock, fn: () => void): void {
  if (clock instanceof SystemClock) setImmediate(fn)
  else clock.setTimer(0, fn)
}
