/** Recovery trusts the length of the log, of whose end a crash may have kept any sectors. Mend: a record proves itself. */

import type { DiskFile } from '@hs/core'
import { planted } from './planted.js'

const SECTOR_BYTES = 512
const SECTORS = 3
const RECORD_BYTES = SECTORS * SECTOR_BYTES
const GROUP = 4

interface Log {
  records: number
}

/** Every byte of a record is its number: as good as a checksum here. */
const isWhole = (bytes: Uint8Array, number: number) => bytes.every((byte) => byte === number % 256)

/** A group of records for one sync. */
async function writeGroup(file: DiskFile, first: number): Promise<void> {
  const writes: Promise<void>[] = []
  for (let number = first; number < first + GROUP; number++) {
    const sector = new Uint8Array(SECTOR_BYTES).fill(number % 256)
    for (let index = 0; index < SECTORS; index++)
      writes.push(file.write((number - 1) * RECORD_BYTES + index * SECTOR_BYTES, sector))
  }
  await Promise.all(writes)
  await file.sync()
}

export const recordWithoutChecksum = planted('record without checksum', ['crash'], (mended) => ({
  durationMs: 10_000,
  settleMs: 1_000,
  options: { disk: { latency: 100 } },
  nemesis: { kinds: ['crash'], maxDown: 1, maxForMs: 500 },
  mustReach: ['recovered records'],
  setup(sim) {
    let torn = 0
    sim.node('log', async ({ disk, incarnation }): Promise<Log> => {
      const file = await disk.open('log', { create: true })
      await disk.syncDirectory()
      const bytes = await file.read(0, await file.size())
      const log = { records: 0 }
      for (let end = RECORD_BYTES; end <= bytes.length; end += RECORD_BYTES) {
        const record = bytes.subarray(end - RECORD_BYTES, end)
        const number = log.records + 1
        if (mended && !isWhole(record, number)) break
        log.records = number
        if (!isWhole(record, number)) torn = number
      }
      sim.sometimes('recovered records', incarnation > 1 && log.records > 0)
      const fill = async (): Promise<never> => {
        for (;;) {
          await writeGroup(file, log.records + 1)
          log.records += GROUP
        }
      }
      void fill()
      return log
    })
    sim.always('no record is recovered in part', () => torn === 0 || `record ${torn}`)
  },
}))
