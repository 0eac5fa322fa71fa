/** Every `ts` block of every README is a whole program: it must type-check, run to its end and exit with 0. */

import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))

interface Snippet {
  readonly name: string
  readonly code: string
}

function snippetsOf(readme: string): Snippet[] {
  const lines = readFileSync(join(root, readme), 'utf8').split('\n')
  const snippets: Snippet[] = []
  let open: { line: number; code: string[] } | null = null
  for (const [index, line] of lines.entries()) {
    if (open === null) {
      if (/^```ts\b/.test(line)) open = { line: index + 1, code: [] }
      continue
    }
    if (line.startsWith('```')) {
      snippets.push({ name: `${readme}:${open.line}`, code: `${open.code.join('\n')}\nexport {}\n` })
      open = null
      continue
    }
    open.code.push(line)
  }
  return snippets
}

const packages = readdirSync(join(root, 'packages')).filter((name) =>
  existsSync(join(root, 'packages', name, 'README.md')),
)
const readmes = ['README.md', ...packages.map((name) => `packages/${name}/README.md`)].filter((path) =>
  existsSync(join(root, path)),
)
const snippets = readmes.flatMap(snippetsOf)
const fileOf = (folder: string, index: number) => join(folder, `snippet-${index}.mts`)

describe('README snippets', () => {
  let folder = ''

  beforeAll(async () => {
    // Inside the repository and outside node_modules, so that the packages resolve to their sources.
    folder = mkdtempSync(join(root, 'test/.snippets-'))
    for (const [index, { code }] of snippets.entries()) writeFileSync(fileOf(folder, index), code)
    const extend = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { noEmit: true },
      include: ['*.mts', join(root, 'packages/*/src/**/*.d.ts')],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(extend))
    // Plain JavaScript, once for all: compiling the sources for each of them would take most of the time.
    await build({
      entryPoints: snippets.map((_, index) => fileOf(folder, index)),
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      splitting: true,
      platform: 'node',
      target: 'node20',
      format: 'esm',
      tsconfig: join(root, 'tsconfig.json'),
      logLevel: 'error',
      // Packages in CommonJS ask for `require`, which an ES module has to make for them.
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    }).catch((error: unknown) => {
      throw new Error(named(String(error)))
    })
  })

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  it('type-check', { timeout: 120_000 }, async () => {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const outcome = await run(process.execPath, [tsc, '-p', join(folder, 'tsconfig.json')], { cwd: root }).then(
      () => 'no errors',
      (error: { stdout: string }) => named(error.stdout),
    )
    expect(outcome).toBe('no errors')
  })

  it.concurrent.for(snippets.map(({ name }, index) => ({ name, index })))(
    '$name runs',
    { timeout: 60_000 },
    async ({ index }) => {
      const file = fileOf(folder, index).replace(/mts$/, 'mjs')
      const { stderr } = await run(process.execPath, [file], { cwd: root, timeout: 50_000 })
      expect(stderr).not.toMatch(/UnhandledPromiseRejection|TypeError|ReferenceError/)
    },
  )

  /** Names the README and its line instead of the temporary file. */
  function named(text: string): string {
    return text.replace(/\S*snippet-(\d+)\.mts/g, (file, index: string) => snippets[Number(index)]?.name ?? file)
  }
})
