/** `hs-sim` as users run it: one file of plain JavaScript, in a process of its own. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export class HsSim {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Builds the command from the sources into a folder of its own. */
  static async build(): Promise<HsSim> {
    const folder = await mkdtemp(join(tmpdir(), 'hs-sim-'))
    await build({
      entryPoints: [root('packages/sim/src/cli/hs-sim.ts')],
      outfile: join(folder, 'hs-sim.mjs'),
      tsconfig: root('tsconfig.json'),
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      // commander is CommonJS, and requires what is built into Node.
      banner: { js: "import { createRequire as cr } from 'node:module'\nconst require = cr(import.meta.url)" },
      logLevel: 'silent',
    })
    return new HsSim(folder)
  }

  async file(name: string, text: string): Promise<string> {
    const path = join(this.folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
    return path
  }

  /** Installs a package of this repository beside the command. */
  async install(name: string): Promise<void> {
    await mkdir(join(this.folder, 'node_modules'))
    await symlink(root(`node_modules/${name}`), join(this.folder, 'node_modules', name), 'dir')
  }

  async run(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    cwd: string = root('packages/sim'),
  ): Promise<Finished> {
    const { HS_SIM_SEED: _seed, HS_SIM_SEEDS: _seeds, NODE_OPTIONS: _options, ...inherited } = process.env
    const child = spawn(process.execPath, [join(this.folder, 'hs-sim.mjs'), ...args], {
      cwd,
      env: { ...inherited, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, stdout, stderr }
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true })
  }
}
