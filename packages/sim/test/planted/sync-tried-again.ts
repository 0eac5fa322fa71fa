/**
 * A sync that failed is tried until it succeeds, but what the failed one covered is lost to the disk for good; a crash
 * shows it. Mend: after a failed sync the file is not trusted any more.
 */

import { appendRecord, logScenario } from './log-scenario.js'
import { planted } from './planted.js'

const succeeded = (operation: Promise<void>) =>
  operation.then(
    () => true,
    () => false,
  )

export const syncTriedAgain = planted('failed sync tried again', ['disk', 'crash'], (mended) =>
  logScenario(
    {
      async open(disk) {
        const file = await disk.open('wal', { create: true })
        await disk.syncDirectory()
        return file
      },
      async append(file, number, acknowledge) {
        while (!(await succeeded(appendRecord(file, number))));
        while (!(await succeeded(file.sync()))) if (mended) return false
        acknowledge(number)
        return true
      },
    },
    { nemesis: { kinds: ['disk', 'crash'], maxDown: 1, swarm: false } },
  ),
)
