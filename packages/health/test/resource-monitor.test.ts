import { MemoryLogger, VirtualClock } from '@hs/core/testing'
import { ResourceMonitor, type ResourceMonitorOptions, type ResourceSample, type ResourceSnapshot } from '@hs/health'
import { describe, expect, it } from 'vitest'
import { coded, misconfigured } from './support/matchers.js'

const MB = 1_048_576

const make = (
  sample: () => ResourceSample | Promise<ResourceSample>,
  options: Partial<ResourceMonitorOptions> = {},
) => {
  const clock = new VirtualClock()
  const logger = new MemoryLogger()
  const monitor = new ResourceMonitor({ source: { sample: () => sample() }, clock, logger, ...options })
  return { clock, logger, monitor }
}
const usage = (change: Partial<ResourceSample> = {}): ResourceSample => ({
  cpuMs: 0,
  memoryBytes: 256 * MB,
  cpuLimit: 2,
  memoryLimitBytes: 1_024 * MB,
  ...change,
})

describe('ResourceMonitor (HL-19)', () => {
  it('tells CPU as the share of the cores since the last sample, and memory as the share of its limit', async () => {
    let cpuMs = 5_000
    const { monitor, clock } = make(() => usage({ cpuMs, eventLoopDelayMs: 3 }))
    expect(monitor.snapshot()).toBeNull()
    const first = await monitor.sample()
    expect(first.cpu).toEqual({ value: 0, uncertainty: Infinity, raw: null })
    expect(first.memory).toMatchObject({ value: 0.25, raw: 0.25 })
    clock.advance(1_000)
    cpuMs += 1_500
    const second = await monitor.sample()
    expect(second).toMatchObject({
      cpu: { value: 0.75, raw: 0.75 },
      memoryBytes: 256 * MB,
      memoryLimitBytes: 1_024 * MB,
      cpuLimit: 2,
      eventLoopDelayMs: 3,
      samples: 2,
      failures: 0,
    })
    expect(second.cpu.uncertainty).toBeGreaterThan(0)
    expect(monitor.snapshot()).toEqual(second)
    expect([Object.isFrozen(second), Object.isFrozen(second.cpu)]).toEqual([true, true])
  })

  it('converges to what is used, and says how sure it is', async () => {
    let cpuMs = 0
    const { monitor, clock } = make(() => usage({ cpuMs }))
    for (let i = 0; i < 120; i++) {
      await monitor.sample()
      clock.advance(1_000)
      cpuMs += i % 2 === 0 ? 500 : 700 // of 2,000
    }
    const { cpu } = await monitor.sample()
    expect(cpu.value).toBeGreaterThan(0.25)
    expect(cpu.value).toBeLessThan(0.35)
    expect(cpu.uncertainty).toBeLessThan(0.1)
  })

  it('samples at once and at every interval, without drift, and tells each', async () => {
    const at: number[] = []
    const made = make(async () => {
      at.push(made.clock.now())
      await made.clock.sleep(300)
      return usage()
    })
    const told: ResourceSnapshot[] = []
    made.monitor.events.on('sample', (snapshot) => told.push(snapshot))
    await made.monitor.start()
    await made.monitor.start()
    await made.clock.advanceAsync(3_500)
    expect(at).toEqual([0, 1_000, 2_000, 3_000])
    expect(told.map(({ samples }) => samples)).toEqual([1, 2, 3, 4])
    const stopped = made.monitor.stop()
    await made.clock.run(stopped)
    await made.clock.advanceAsync(10_000)
    expect([at.length, made.clock.pendingTimers]).toEqual([4, 0])
    await expect(make(() => usage()).monitor.start()).resolves.toBeUndefined()
  })

  it('has its first figures when start has returned, from a source that needs no wait', async () => {
    const { monitor } = make(() => usage())
    await monitor.start()
    expect(monitor.snapshot()).toMatchObject({ samples: 1, memory: { value: 0.25 } })
    await monitor[Symbol.asyncDispose]()
    await monitor.stop()
  })

  it('does not start again after stop', async () => {
    const { monitor } = make(() => usage())
    await monitor.stop()
    await expect(monitor.start()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('never has two samples under way: who asks meanwhile waits for the one', async () => {
    let running = 0
    let most = 0
    const made = make(async () => {
      most = Math.max(most, ++running)
      await made.clock.sleep(2_500)
      running--
      return usage()
    })
    await made.monitor.start()
    const asked = [made.monitor.sample(), made.monitor.sample()]
    await made.clock.advanceAsync(10_000)
    const [one, other] = await Promise.all(asked)
    expect(one).toBe(other)
    expect(most).toBe(1)
    expect(made.monitor.snapshot()?.samples).toBe(3)
    await made.clock.run(made.monitor.stop())
  })

  it.each<[string, () => ResourceSample | Promise<ResourceSample>]>([
    [
      'throws',
      () => {
        throw new Error('no /proc')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no /proc'))],
  ])('goes on sampling when the source %s, and counts and reports that', async (_, failing) => {
    let fails = false
    const { monitor, clock, logger } = make(() => (fails ? failing() : usage({ cpuMs: clock.now() })))
    let told = 0
    monitor.events.on('sample', () => told++)
    await monitor.start()
    await clock.advanceAsync(1_000)
    fails = true
    await clock.advanceAsync(2_000)
    expect(await monitor.sample()).toMatchObject({ failures: 3, samples: 2, cpu: { value: 0.5 } })
    fails = false
    await clock.advanceAsync(1_000)
    // What was used while nothing could be read counts in the end.
    expect(monitor.snapshot()).toMatchObject({ samples: 3, failures: 3, cpu: { raw: 0.5 } })
    expect(told).toBe(3)
    expect(logger.at('error')[0]).toMatchObject({ message: 'ResourceMonitor.source: no /proc' })
    await monitor.stop()
  })

  it('has a snapshot of failures alone', async () => {
    const { monitor } = make(() => null as never)
    expect(await monitor.sample()).toMatchObject({ samples: 0, failures: 1, cpu: { raw: null } })
    expect(monitor.snapshot()?.failures).toBe(1)
  })

  it('leaves the estimate as it was where a figure is none, or the count of CPU time went back', async () => {
    let next = usage({ cpuMs: 1_000 })
    const { monitor, clock } = make(() => next)
    const step = async (change: Partial<ResourceSample>) => {
      clock.advance(1_000)
      next = usage(change)
      return monitor.sample()
    }
    await monitor.sample()
    const good = await step({ cpuMs: 2_000 })
    expect(good.cpu).toMatchObject({ value: 0.5, raw: 0.5 })
    const bad: Partial<ResourceSample>[] = [
      { cpuMs: 500 },
      { cpuMs: NaN, memoryBytes: NaN },
      { cpuMs: 1_000, cpuLimit: 0, memoryLimitBytes: 0 },
      { cpuMs: -1, memoryBytes: -1 },
      { cpuMs: 'much' as never, eventLoopDelayMs: NaN },
    ]
    const seen = []
    for (const change of bad) seen.push(await step(change))
    expect(seen[0]?.cpu).toEqual({ ...good.cpu, raw: null })
    expect(seen[1]).toMatchObject({ cpu: { value: 0.5, raw: null }, memory: { value: 0.25, raw: null } })
    expect(seen[3]?.memory.raw).toBeNull()
    for (const { cpu, memory } of seen) expect([cpu.value, memory.value].every(Number.isFinite)).toBe(true)
    expect(monitor.snapshot()).toMatchObject({ samples: 7, failures: 0, memoryBytes: 256 * MB, cpuLimit: 2 })
  })

  it('measures no share over no time', async () => {
    let cpuMs = 0
    const { monitor, clock } = make(() => usage({ cpuMs: (cpuMs += 100) }))
    await monitor.sample()
    expect((await monitor.sample()).cpu.raw).toBeNull()
    clock.advance(100)
    expect((await monitor.sample()).cpu.raw).toBe(1) // 200 ms within 100 ms of two cores
  })

  it('bears listeners that throw', async () => {
    const { monitor, logger } = make(() => usage())
    monitor.events.on('sample', () => {
      throw new Error('listener')
    })
    expect(await monitor.sample()).toMatchObject({ samples: 1 })
    expect(logger.at('error')[0]?.message).toBe('ResourceMonitor.sample: listener')
  })

  it('refuses options out of range', () => {
    const source = { sample: () => usage() }
    expect(() => new ResourceMonitor({ source, intervalMs: 0, adapt: -1 })).toThrow(
      misconfigured('intervalMs', 'adapt'),
    )
    expect(() => new ResourceMonitor({ source: {} as never })).toThrow(misconfigured('source'))
    expect(() => new ResourceMonitor(undefined as never)).toThrow(coded('CONFIG_INVALID'))
  })
})
