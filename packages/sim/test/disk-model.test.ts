import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeededRandom, VirtualClock } from '@hs/core/testing'
import { SimDisk } from '@hs/sim'

/**
 * The model says which contents a crash may leave, by listing them: the synced bytes, and of the changes since then
 * any choice of pieces, a piece being what a change puts into one sector of 512 bytes.
 */
type Change = { kind: 'write'; offset: number; length: number; fill: number } | { kind: 'truncate'; size: number }
type Step = Change | { kind: 'sync'; fails: boolean }
type Piece = (content: number[]) => void

const SECTOR = 512

function put(content: number[], offset: number, length: number, fill: number): void {
  while (content.length < offset) content.push(0)
  for (let at = offset; at < offset + length; at++) content[at] = fill
}

function cut(content: number[], size: number): void {
  while (content.length < size) content.push(0)
  content.length = size
}

function piecesOf(change: Change): Piece[] {
  if (change.kind === 'truncate') return [(content) => cut(content, change.size)]
  const pieces: Piece[] = []
  for (let sector = 0; sector * SECTOR < change.offset + change.length; sector++) {
    const from = Math.max(change.offset, sector * SECTOR)
    const to = Math.min(change.offset + change.length, (sector + 1) * SECTOR)
    if (from < to) pieces.push((content) => put(content, from, to - from, change.fill))
  }
  return pieces
}

function allowedStates(steps: readonly Step[]): Set<string> {
  const durable: number[] = []
  let pending: Piece[] = []
  for (const step of steps) {
    if (step.kind !== 'sync') {
      pending.push(...piecesOf(step))
      continue
    }
    if (!step.fails) for (const piece of pending) piece(durable)
    pending = []
  }
  const states = new Set<string>()
  for (let choice = 0; choice < 2 ** pending.length; choice++) {
    const content = [...durable]
    for (const [index, piece] of pending.entries()) if ((choice >> index) % 2 === 1) piece(content)
    states.add(fingerprint(content))
  }
  return states
}

/** Runs of equal bytes, so that kilobytes are compared as a few words. */
function fingerprint(content: Iterable<number>): string {
  const runs: [number, number][] = []
  for (const byte of content) {
    const last = runs.at(-1)
    if (last?.[0] === byte) last[1]++
    else runs.push([byte, 1])
  }
  return runs.map(([byte, count]) => `${byte}x${count}`).join(' ')
}

/** Does the steps, crashes, and tells what is there afterwards. */
async function crashAfter(steps: readonly Step[], seed: number): Promise<string> {
  const clock = new VirtualClock()
  const sim = new SimDisk({ random: new SeededRandom(seed), latency: 0 })
  const disk = sim.mount(clock)
  const file = await disk.open('a', { create: true })
  await disk.syncDirectory()
  for (const step of steps) {
    if (step.kind === 'write') await file.write(step.offset, new Uint8Array(step.length).fill(step.fill))
    else if (step.kind === 'truncate') await file.truncate(step.size)
    else {
      sim.faults({ latency: 0, syncErrorRate: step.fails ? 1 : 0 })
      const outcome = await file.sync().then(
        () => 'done',
        (error: { code: string }) => error.code,
      )
      expect(outcome).toBe(step.fails ? 'DISK_IO' : 'done')
    }
  }
  sim.crash()
  const after = await sim.mount(clock).open('a')
  return fingerprint(await after.read(0, 100_000))
}

const change = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      offset: fc.integer({ min: 0, max: 1_500 }),
      length: fc.integer({ min: 0, max: 1_200 }),
      fill: fc.integer({ min: 1, max: 255 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('truncate' as const), size: fc.integer({ min: 0, max: 2_000 }) }),
  },
)
const sync = fc.record({ kind: fc.constant('sync' as const), fails: fc.boolean() })
/** At most three changes after each sync keep the list of states short. */
const history = fc
  .array(fc.tuple(fc.array(change, { maxLength: 3 }), sync), { maxLength: 4 })
  .chain((blocks) => fc.array(change, { maxLength: 3 }).map((last): Step[] => [...blocks.flat(2), ...last]))

describe('SimDisk against an explicit model of what a crash may leave (SIM-17)', () => {
  it('leaves nothing that the model does not allow', async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.integer(), async (steps, seed) => {
        expect(allowedStates(steps)).toContain(await crashAfter(steps, seed))
      }),
      { numRuns: 500 },
    )
  })

  it('leaves each state that the model allows, for one seed or another', async () => {
    const steps: Step[] = [
      { kind: 'write', offset: 0, length: 1_500, fill: 1 },
      { kind: 'sync', fails: false },
      { kind: 'write', offset: 100, length: 1_000, fill: 2 },
      { kind: 'sync', fails: true },
      { kind: 'write', offset: 400, length: 700, fill: 3 },
      { kind: 'truncate', size: 600 },
      { kind: 'write', offset: 1_600, length: 200, fill: 4 },
    ]
    const seen = new Set<string>()
    for (let seed = 0; seed < 2_000; seed++) seen.add(await crashAfter(steps, seed))
    expect([...seen].sort()).toEqual([...allowedStates(steps)].sort())
  })

  it('keeps of the folder what a prefix of its changes makes', async () => {
    const name = fc.constantFrom('a', 'b', 'c')
    const step = fc.oneof(
      fc.record({ kind: fc.constant('create' as const), name }),
      fc.record({ kind: fc.constant('rename' as const), from: name, to: name }),
      fc.record({ kind: fc.constant('remove' as const), name }),
      fc.record({ kind: fc.constant('syncDirectory' as const) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.integer(), async (steps, seed) => {
        const clock = new VirtualClock()
        const sim = new SimDisk({ random: new SeededRandom(seed), latency: 0 })
        const disk = sim.mount(clock)
        // A file is known by its size, which is durable from the first moment.
        let made = 0
        const names = new Map<string, number>()
        let allowed = new Set([describeFolder(names)])
        for (const each of steps) {
          if (each.kind === 'create') {
            const file = await disk.open(each.name, { create: true })
            if (!names.has(each.name)) {
              await file.truncate(++made)
              await file.sync()
              names.set(each.name, made)
            }
          } else if (each.kind === 'rename') {
            const size = names.get(each.from)
            if (size === undefined) {
              await expect(disk.rename(each.from, each.to)).rejects.toMatchObject({ code: 'ENOENT' })
              continue
            }
            await disk.rename(each.from, each.to)
            names.delete(each.from)
            names.set(each.to, size)
          } else if (each.kind === 'remove') {
            await disk.remove(each.name)
            names.delete(each.name)
          } else {
            await disk.syncDirectory()
            allowed = new Set()
          }
          allowed.add(describeFolder(names))
        }
        sim.crash()
        const after = sim.mount(clock)
        const found = new Map<string, number>()
        for (const each of await after.list()) found.set(each, await (await after.open(each)).size())
        expect(allowed).toContain(describeFolder(found))
      }),
      { numRuns: 500 },
    )
  })
})

function describeFolder(names: ReadonlyMap<string, number>): string {
  return [...names]
    .map(([name, size]) => `${name}:${size}`)
    .sort()
    .join(' ')
}
