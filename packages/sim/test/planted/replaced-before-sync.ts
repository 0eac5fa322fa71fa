/** A file is replaced by one whose content is not durable yet, and a crash shows it. Mend: sync, then rename. */

import type { Disk } from '@hs/core'
import { planted } from './planted.js'

/** Sectors of the content, each full of the value. */
const SECTORS = 8
const SECTOR_BYTES = 512

interface Setting {
  value: number
}

/** 0 before it was ever set; -1: torn. */
async function readSetting(disk: Disk): Promise<number> {
  if (!(await disk.list()).includes('setting')) return 0
  const file = await disk.open('setting')
  const bytes = await file.read(0, SECTORS * SECTOR_BYTES)
  await file.close()
  const [value = -1] = bytes
  return bytes.length === SECTORS * SECTOR_BYTES && bytes.every((byte) => byte === value) ? value : -1
}

async function replaceSetting(disk: Disk, value: number, syncs: boolean): Promise<void> {
  const file = await disk.open('setting.new', { create: true })
  const sector = new Uint8Array(SECTOR_BYTES).fill(value)
  for (let index = 0; index < SECTORS; index++) await file.write(index * SECTOR_BYTES, sector)
  if (syncs) await file.sync()
  await file.close()
  await disk.rename('setting.new', 'setting')
  await disk.syncDirectory()
}

export const replacedBeforeSync = planted('file replaced before its sync', ['crash'], (mended) => ({
  durationMs: 30_000,
  settleMs: 1_000,
  nemesis: { kinds: ['crash'], maxDown: 1 },
  mustReach: ['a setting read after a crash'],
  setup(sim) {
    const node = sim.node('a', async ({ clock, disk, incarnation }): Promise<Setting> => {
      const setting = { value: await readSetting(disk) }
      sim.sometimes('a setting read after a crash', incarnation > 1)
      const change = async (): Promise<never> => {
        for (;;) {
          await clock.sleep(200)
          const next = (setting.value + 1) % 256
          await replaceSetting(disk, next, mended)
          setting.value = next
        }
      }
      void change()
      return setting
    })
    sim.always('the setting is whole', () => node.app?.value !== -1)
  },
}))
