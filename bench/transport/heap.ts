/** What is on the JavaScript heap after a full collection; needs no flag of the command line. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

let collect: (() => void) | undefined

export function heapUsed(): number {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  // The second one takes what finalisers of the first let go of.
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
