/** A deadline is kept on disk in monotonic time, which means nothing to the next incarnation. Mend: in wall time. */

import type { DiskFile } from '@hs/core'
import type { NodeEnv } from '@hs/sim'
import { decode, encode, planted } from './planted.js'

const ALARM_MS = 10_000

async function deadlineOf(file: DiskFile, now: number): Promise<number> {
  const kept = await file.read(0, 100)
  if (kept.length > 0) return decode<number>(kept)
  await file.write(0, encode(now + ALARM_MS))
  await file.sync()
  return now + ALARM_MS
}

async function setAlarm({ clock, disk }: NodeEnv, inWallTime: boolean, ring: () => void): Promise<void> {
  const now = () => (inWallTime ? clock.wallNow() : clock.now())
  const file = await disk.open('alarm', { create: true })
  await disk.syncDirectory()
  const deadline = await deadlineOf(file, now())
  clock.setTimer(deadline - now(), ring)
}

export const deadlineInMonotonicTime = planted('deadline kept in monotonic time', ['crash'], (mended) => ({
  durationMs: 20_000,
  settleMs: 1_000,
  nemesis: { kinds: ['crash'], maxDown: 1 },
  mustReach: ['a crash before the alarm'],
  setup(sim) {
    let rangAt = Infinity
    sim.node('clock', (env) => {
      sim.sometimes('a crash before the alarm', env.incarnation > 1 && sim.now < ALARM_MS)
      return setAlarm(env, mended, () => {
        rangAt = Math.min(rangAt, sim.now)
      })
    })
    // A millisecond for the rounding of the wall clock.
    sim.always('it does not ring before its time', () => rangAt >= ALARM_MS - 1)
    sim.eventually('it rings', () => rangAt < Infinity)
  },
}))
