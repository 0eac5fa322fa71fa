/** Twenty processes on loopback sockets agree on who is there, whatever happens to some of them. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '@hs/core'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const SIZE = 20
const HELD_MS = 5_000

interface View {
  readonly address: string
  readonly generation: number
  readonly members: readonly string[]
}

class MemberProcess {
  readonly name: string
  readonly #child: ChildProcess
  #address = ''

  private constructor(name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
  }

  static async start(script: string, name: string, listen: string, seeds: readonly string[]): Promise<MemberProcess> {
    const child = spawn(process.execPath, [script, name, listen, ...seeds], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const member = new MemberProcess(name, child)
    const [view] = (await once(child, 'message')) as [View]
    member.#address = view.address
    return member
  }

  get address(): string {
    return this.#address
  }

  async view(): Promise<View> {
    const answer = once(this.#child, 'message') as Promise<[View]>
    this.#child.send({})
    const [view] = await answer
    return view
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

const nameOf = (index: number) => `m${String(index).padStart(2, '0')}`

describe('a cluster of processes', () => {
  let folder = ''
  let script = ''
  const members = new Map<string, MemberProcess>()

  beforeAll(async () => {
    folder = mkdtempSync(join(root, 'test/.swim-'))
    script = join(folder, 'member.mjs')
    await build({
      entryPoints: [join(root, 'test/support/swim-process.ts')],
      outfile: script,
      bundle: true,
      platform: 'node',
      target: 'node20',
      format: 'esm',
      tsconfig: join(root, 'tsconfig.json'),
      logLevel: 'error',
      // Packages in CommonJS ask for `require`, which an ES module has to make for them.
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    })
  })

  afterAll(async () => {
    await Promise.all([...members.values()].map((member) => member.kill()))
    rmSync(folder, { recursive: true, force: true })
  })

  const seeds = () => [...members.values()].slice(0, 3).map(({ address }) => address)

  async function start(name: string, listen = '127.0.0.1:0'): Promise<MemberProcess> {
    const member = await MemberProcess.start(script, name, listen, seeds())
    members.set(name, member)
    return member
  }

  async function kill(name: string): Promise<string> {
    const member = members.get(name)
    members.delete(name)
    await member?.kill()
    return member?.address ?? ''
  }

  /** Resolves when every process has this view; the test's own timeout is the bound. */
  async function agree(): Promise<readonly View[]> {
    const expected = [...members.keys()].sort().map((name) => `${name} alive`)
    for (;;) {
      const views = await Promise.all([...members.values()].map((member) => member.view()))
      if (views.every((view) => view.members.join() === expected.join())) return views
      await systemClock.sleep(200)
    }
  }

  it(
    'forms, loses three to SIGKILL, holds one for 5 s, sees one restart on its port, and agrees each time',
    { timeout: 180_000 },
    async () => {
      for (let i = 0; i < 3; i++) await start(nameOf(i))
      await Promise.all(Array.from({ length: SIZE - 3 }, (_, i) => start(nameOf(i + 3))))
      expect(await agree()).toHaveLength(SIZE)

      for (const name of ['m05', 'm06', 'm07']) await kill(name)
      const held = members.get('m09')
      held?.signal('SIGSTOP')
      await systemClock.sleep(HELD_MS)
      held?.signal('SIGCONT')
      expect(await agree()).toHaveLength(SIZE - 3)

      const before = await members.get('m11')?.view()
      const address = await kill('m11')
      const again = await start('m11', address)
      expect(again.address).toBe(address)
      await agree()
      const after = await again.view()
      expect(after.generation).toBeGreaterThan(before?.generation ?? Infinity)
    },
  )
})
