import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import { nodeResourceSource, parseCpuMax, readCgroupLimits } from '@hs/health/node'
import { afterAll, describe, expect, it } from 'vitest'
import { misconfigured } from './support/matchers.js'

const folders: string[] = []

/** A folder that looks like mounted control groups. */
const root = (files: Record<string, string>): string => {
  const folder = mkdtempSync(join(tmpdir(), 'hs-cgroup-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

describe('parseCpuMax (HL-20)', () => {
  it.each<[string | undefined, number | undefined]>([
    ['200000 100000\n', 2],
    ['50000 100000', 0.5],
    ['150000 50000', 3],
    ['25000', 0.25],
    ['max 100000\n', undefined],
    ['max', undefined],
    ['0 100000', undefined],
    ['-1 100000', undefined],
    ['100000 0', undefined],
    ['100000 max', undefined],
    ['', undefined],
    ['much', undefined],
    ['1e5 100000', undefined],
    [undefined, undefined],
  ])('reads %j as %j cores', (text, cores) => {
    expect(parseCpuMax(text)).toBe(cores)
  })
})

describe('readCgroupLimits (HL-20)', () => {
  it('reads version 2', () => {
    const limits = readCgroupLimits(root({ 'cpu.max': '150000 100000\n', 'memory.max': '536870912\n' }))
    expect(limits).toEqual({ cpus: 1.5, memoryBytes: 536_870_912 })
    expect(Object.isFrozen(limits)).toBe(true)
  })

  it('reads version 1 where version 2 says nothing, under either name of the CPU tree', () => {
    const memory = { 'memory/memory.limit_in_bytes': '1073741824\n' }
    for (const tree of ['cpu', 'cpu,cpuacct'])
      expect(
        readCgroupLimits(
          root({ [`${tree}/cpu.cfs_quota_us`]: '250000\n', [`${tree}/cpu.cfs_period_us`]: '100000\n', ...memory }),
        ),
      ).toEqual({ cpus: 2.5, memoryBytes: 1_073_741_824 })
  })

  it('takes max, 0, -1 and the huge number of version 1 as no limit', () => {
    expect(readCgroupLimits(root({ 'cpu.max': 'max 100000', 'memory.max': 'max' }))).toEqual({})
    expect(readCgroupLimits(root({ 'cpu.max': '0 100000', 'memory.max': '0' }))).toEqual({})
    expect(
      readCgroupLimits(
        root({
          'cpu/cpu.cfs_quota_us': '-1',
          'cpu/cpu.cfs_period_us': '100000',
          'memory/memory.limit_in_bytes': '9223372036854771712',
        }),
      ),
    ).toEqual({})
  })

  it('knows no limit where nothing is there, or nothing can be read', () => {
    expect(readCgroupLimits(join(tmpdir(), 'hs-no-such-folder'))).toEqual({})
    const unreadable = root({ 'memory.max': 'plenty' })
    mkdirSync(join(unreadable, 'cpu.max'))
    expect(readCgroupLimits(unreadable)).toEqual({})
  })

  it('reads each limit by itself', () => {
    expect(readCgroupLimits(root({ 'cpu.max': '100000 100000' }))).toEqual({ cpus: 1 })
    expect(readCgroupLimits(root({ 'memory.max': '4096' }))).toEqual({ memoryBytes: 4_096 })
  })
})

describe('nodeResourceSource, limits (HL-20)', () => {
  const limitsUnder = (cgroupRoot: string) => {
    const source = nodeResourceSource({ cgroupRoot })
    const { cpuLimit, memoryLimitBytes } = source.sample()
    source.close()
    return { cpuLimit, memoryLimitBytes }
  }

  it('takes the limits of the group, or else those of the machine', () => {
    expect(limitsUnder(root({ 'cpu.max': '50000 100000', 'memory.max': '104857600' }))).toEqual({
      cpuLimit: 0.5,
      memoryLimitBytes: 104_857_600,
    })
    const machine = { cpuLimit: availableParallelism(), memoryLimitBytes: totalmem() }
    expect(limitsUnder(root({}))).toEqual(machine)
    expect(limitsUnder(root({ 'cpu.max': '99999999 100000', 'memory.max': '999999999999999' }))).toEqual(machine)
  })

  it('has limits above 0 on this machine, whatever it is', () => {
    const source = nodeResourceSource()
    const { cpuLimit, memoryLimitBytes } = source.sample()
    source.close()
    expect(cpuLimit).toBeGreaterThan(0)
    expect(cpuLimit).toBeLessThanOrEqual(availableParallelism())
    expect(memoryLimitBytes).toBeGreaterThan(process.memoryUsage.rss())
    expect(memoryLimitBytes).toBeLessThanOrEqual(totalmem())
  })

  it('takes clock, random and logger like everything else here', () => {
    const source = nodeResourceSource({
      cgroupRoot: root({ 'cpu.max': '50000 100000' }),
      clock: new VirtualClock(),
      random: new SeededRandom(1),
      logger: new MemoryLogger(),
    })
    expect(source.sample().cpuLimit).toBe(0.5)
    source.close()
  })

  it('refuses options that are none, and samples no more once closed', () => {
    expect(() => nodeResourceSource({ cgroupRoot: '', childPids: 7 as never })).toThrow(
      misconfigured('cgroupRoot', 'childPids'),
    )
    const source = nodeResourceSource()
    source.close()
    source.close()
    expect(() => source.sample()).toThrow(expect.objectContaining({ code: 'CLOSED' }) as Error)
  })
})
