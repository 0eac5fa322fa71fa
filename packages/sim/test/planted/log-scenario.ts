/** One node that appends to a log and tells the world what is safe; after a crash it must still have all of that. */

import type { Disk, DiskFile } from '@hs/core'
import type { NodeEnv, Scenario } from '@hs/sim'

export interface LogSteps {
  open(disk: Disk): Promise<DiskFile>
  /** Makes the record of this number; says up to which number all are safe. False: the log is closed. */
  append(file: DiskFile, number: number, acknowledge: (number: number) => void): Promise<boolean>
}

interface Log {
  records: number
}

const PAUSE_MS = 100

/** A record is the byte 1 at its place; number 1 is the first. */
export async function appendRecord(file: DiskFile, number: number): Promise<void> {
  await file.write(number - 1, Uint8Array.of(1))
}

async function recover(file: DiskFile): Promise<number> {
  const bytes = await file.read(0, await file.size())
  const end = bytes.indexOf(0)
  return end === -1 ? bytes.length : end
}

export function logScenario(steps: LogSteps, more: Pick<Scenario, 'nemesis'>): Omit<Scenario, 'name'> {
  return {
    durationMs: 30_000,
    settleMs: 1_000,
    ...more,
    mustReach: ['recovered records'],
    setup(sim) {
      let acknowledged = 0
      const fill = async (log: Log, file: DiskFile, { clock }: NodeEnv): Promise<void> => {
        for (;;) {
          const number = log.records + 1
          const isOpen = await steps.append(file, number, (safe) => {
            acknowledged = safe
          })
          if (!isOpen) return
          log.records = Math.max(log.records, number)
          await clock.sleep(PAUSE_MS)
        }
      }
      const node = sim.node('log', async (env): Promise<Log> => {
        const file = await steps.open(env.disk)
        const log = { records: await recover(file) }
        sim.sometimes('recovered records', env.incarnation > 1 && log.records > 0)
        void fill(log, file, env)
        return log
      })
      let checked = 0
      sim.always('what was acknowledged is there', () => {
        // While it runs, a record counts a moment after it is acknowledged: what a boot has found is what matters.
        if (node.app === undefined || node.incarnation === checked) return true
        checked = node.incarnation
        return node.app.records >= acknowledged || `${node.app.records} of ${acknowledged} records`
      })
    },
  }
}
