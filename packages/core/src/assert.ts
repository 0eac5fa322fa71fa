import { HsError } from './errors.js'
import { messageOf } from './plain.js'

/** Ends an exhaustive `switch`: a new member of the union no longer compiles. @throws HsError `'UNREACHABLE'` */
export function assertNever(x: never): never {
  throw new HsError('UNREACHABLE', `No case handles this value: ${messageOf(x)}`)
}
