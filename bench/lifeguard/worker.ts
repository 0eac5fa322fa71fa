/** The other side of `pool.ts`: a process that does one job after the other. */
import { perform, type Job } from './jobs.js'

process.on('message', (job: Job) => {
  // What rejects ends the process, which the pool hears.
  void perform(job).then((result) => process.send?.(result))
})
// Ctrl-C is for the parent, which lets the job at hand end.
process.on('SIGINT', () => undefined)
process.on('disconnect', () => process.exit())
