/** The bytes of the log are synced, its name is not: a crash may take the whole file. Mend: sync the folder. */

import { appendRecord, logScenario } from './log-scenario.js'
import { planted } from './planted.js'

export const walWithoutDirectorySync = planted('WAL without directory sync', ['crash'], (mended) =>
  logScenario(
    {
      async open(disk) {
        const file = await disk.open('wal', { create: true })
        if (mended) await disk.syncDirectory()
        return file
      },
      async append(file, number, acknowledge) {
        await appendRecord(file, number)
        await file.sync()
        acknowledge(number)
        return true
      },
    },
    { nemesis: { kinds: ['crash'], maxDown: 1 } },
  ),
)
