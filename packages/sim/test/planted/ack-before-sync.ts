/** Records are synced ten at a time, and acknowledged when they are written. Mend: acknowledge what is synced. */

import { appendRecord, logScenario } from './log-scenario.js'
import { planted } from './planted.js'

const GROUP = 10

export const ackBeforeSync = planted('ack before sync', ['crash'], (mended) =>
  logScenario(
    {
      async open(disk) {
        const file = await disk.open('wal', { create: true })
        await disk.syncDirectory()
        return file
      },
      async append(file, number, acknowledge) {
        await appendRecord(file, number)
        if (!mended) acknowledge(number)
        if (number % GROUP !== 0) return true
        await file.sync()
        acknowledge(number)
        return true
      },
    },
    { nemesis: { kinds: ['crash'], maxDown: 1 } },
  ),
)
