import { systemClock } from '@hs/core'
import { describe, expect, it } from 'vitest'
import { Simulation, type NodeEnv } from '../src/index.js'

/** Lets an async function be a callback, as programs do. */
const callback = (fn: () => Promise<unknown>) => fn as () => void

const apis: Record<string, () => unknown> = {
  'Date.now': () => Date.now(),
  'performance.now': () => performance.now(),
  'Math.random': () => Math.random(),
  setTimeout: () => clearTimeout(setTimeout(() => undefined, 0)),
  setInterval: () => clearInterval(setInterval(() => undefined, 1)),
  setImmediate: () => clearImmediate(setImmediate(() => undefined)),
  'crypto.randomUUID': () => crypto.randomUUID(),
  'crypto.getRandomValues': () => crypto.getRandomValues(new Uint8Array(1)),
}

const originals = () => [
  Date.now,
  performance.now,
  Math.random,
  setTimeout,
  setInterval,
  setImmediate,
  crypto.randomUUID,
  crypto.getRandomValues,
]

async function failureOf(boot: (env: NodeEnv) => unknown, forbidGlobals = true): Promise<unknown> {
  const sim = new Simulation({ forbidGlobals })
  sim.node('culprit', boot)
  return sim.runFor(100).then(
    () => undefined,
    (error: unknown) => error,
  )
}

describe('Time and dice of the machine (SIM-6)', () => {
  describe.each(Object.entries(apis))('%s', (api, use) => {
    const expectFailure = (found: unknown) => {
      expect(found).toMatchObject({ code: 'NONDETERMINISM', details: { node: 'culprit', api, atMs: 10 } })
      expect((found as Error).message).toContain(`culprit called ${api}`)
    }

    it('fails the run when a timer of a node calls it', async () => {
      expectFailure(await failureOf(({ clock }) => clock.setTimer(10, use)))
    })

    it('fails the run when a node calls it after an await', async () => {
      const boot = ({ clock }: NodeEnv) => {
        const later = async () => {
          await Promise.resolve()
          await Promise.resolve()
          use()
        }
        clock.setTimer(10, callback(later))
      }
      expectFailure(await failureOf(boot))
    })

    it('fails the run even if the node swallows the error', async () => {
      const boot = ({ clock }: NodeEnv) => {
        clock.setTimer(10, () => {
          try {
            use()
          } catch (error) {
            return error
          }
          return undefined
        })
      }
      expectFailure(await failureOf(boot))
    })

    it('fails the run when a node boots with it', async () => {
      expect(await failureOf(use)).toMatchObject({ code: 'NONDETERMINISM' })
    })

    it('works for the workload, for checks and for everyone else', async () => {
      const sim = new Simulation()
      sim.node('a', ({ clock }) => clock.setTimer(10, () => undefined))
      sim.always('may use it', () => void use())
      sim.every(7, async () => {
        use()
        await Promise.resolve()
        use()
      })
      const run = sim.runUntil(() => {
        use()
        return sim.now > 50
      })
      use()
      await run
      expect(sim.failure).toBeUndefined()
    })

    it('works where it is allowed', async () => {
      expect(await failureOf(({ clock }) => clock.setTimer(10, use), false)).toBeUndefined()
    })
  })

  it('finds the system clock of a library', async () => {
    const error = await failureOf(({ clock }) => clock.setTimer(10, () => void systemClock.now()))
    expect(error).toMatchObject({ code: 'NONDETERMINISM', details: { api: 'performance.now' } })
  })

  it('puts the originals back after runs, failed ones and overlapping ones too', async () => {
    const before = originals()
    await failureOf(({ clock }) => clock.setTimer(10, () => Math.random()))
    expect(originals()).toEqual(before)
    const slow = new Simulation()
    const fast = new Simulation()
    slow.every(1, () => undefined)
    const both = [slow.runFor(5_000), fast.runFor(1)]
    expect(Date.now).not.toBe(before[0])
    await Promise.all(both)
    expect(originals()).toEqual(before)
    for (const holder of [performance, crypto]) expect(Object.keys(holder)).toEqual([])
  })

  it('keeps what hangs on the functions', async () => {
    const { promisify } = await import('node:util')
    const sim = new Simulation()
    sim.at(1, async () => {
      await promisify(setTimeout)(0)
      sim.sometimes('promisified')
    })
    await sim.runUntil(() => sim.coverage['promisified'] === 1 || sim.now > 0)
    await promisify(setTimeout)(1)
    expect(sim.coverage).toEqual({ promisified: 1 })
  })

  it('leaves a replacement that someone else made meanwhile', async () => {
    const original = Math.random
    const sim = new Simulation()
    const mine = () => 0.5
    sim.at(1, () => {
      Math.random = mine
    })
    await sim.runFor(2)
    expect(Math.random).toBe(mine)
    Math.random = original
  })
})
