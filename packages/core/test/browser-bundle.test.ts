import { fileURLToPath } from 'node:url'
import { createContext, runInContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { build, type BuildOptions, type Metafile } from 'esbuild'
import { describe, expect, it } from 'vitest'

/** The aim is 12,000. All of the package at once is larger; what a program takes of it is not. */
const MAX_GZIPPED_BYTES = 22_000

const source = (path: string) => fileURLToPath(new URL(`../src/${path}`, import.meta.url))

/** Bundles a program that imports from the sources, as a user's bundler would for a browser. */
async function bundle(program: string, options: BuildOptions = {}): Promise<{ code: string; metafile: Metafile }> {
  const result = await build({
    stdin: { contents: program, resolveDir: fileURLToPath(new URL('.', import.meta.url)), loader: 'ts' },
    alias: { '@hs/core': source('index.ts'), '@hs/core/testing': source('testing/index.ts') },
    bundle: true,
    write: false,
    metafile: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    minify: true,
    logLevel: 'silent',
    ...options,
  })
  const [file] = result.outputFiles ?? []
  return { code: file?.text ?? '', metafile: result.metafile ?? { inputs: {}, outputs: {} } }
}

/** What of the sources is left in the bundle, as `file.ts`. */
function filesIn(metafile: Metafile): string[] {
  return Object.values(metafile.outputs)
    .flatMap((output) => Object.entries(output.inputs))
    .filter(([file, { bytesInOutput }]) => bytesInOutput > 0 && file.includes('core/src/'))
    .map(([file]) => file.slice(file.indexOf('core/src/') + 'core/src/'.length))
}

describe('@hs/core in a browser', () => {
  it('imports nothing of Node, neither do the test tools', async () => {
    const { code, metafile } = await bundle(`
      export * from '@hs/core'
      export * as testing from '@hs/core/testing'
    `)
    expect(code).not.toMatch(/["'`]node:/)
    expect(Object.values(metafile.outputs).flatMap((output) => output.imports)).toEqual([])
    expect(code).toContain('VIRTUAL_TIME_STUCK')
  })

  it('does not grow unnoticed: its size minified and gzipped, without zod', async () => {
    const { code } = await bundle(`export * from '@hs/core'`, { external: ['zod', 'zod/*'] })
    expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(MAX_GZIPPED_BYTES)
  })

  it('leaves out of a bundle what a program does not use', async () => {
    const wheel = filesIn((await bundle(`export { TimingWheel } from '@hs/core'`)).metafile)
    expect(wheel).toContain('timing-wheel.ts')
    for (const unused of ['task-scope.ts', 'keyed-mutex.ts', 'codec.ts', 'id-generator.ts', 'datagram-channels.ts'])
      expect(wheel).not.toContain(unused)
    const mutex = await bundle(`export { KeyedMutex } from '@hs/core'`)
    expect(filesIn(mutex.metafile)).not.toContain('timing-wheel.ts')
    expect(filesIn(mutex.metafile)).not.toContain('msgpack-decode.ts')
    const clock = filesIn((await bundle(`export { VirtualClock } from '@hs/core/testing'`)).metafile)
    expect(clock).toContain('testing/virtual-clock.ts')
    for (const unused of ['testing/memory-network.ts', 'testing/rpc-conformance.ts', 'testing/memory-disk.ts'])
      expect(clock).not.toContain(unused)
    expect(filesIn((await bundle(`import '@hs/core'; import '@hs/core/testing'`)).metafile)).toEqual([])
  })

  it('runs where there is neither a process nor setImmediate', async () => {
    const { code } = await bundle(
      `
        import { TaskScope } from '@hs/core'
        import { MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'

        async function main() {
          const clock = new VirtualClock()
          const seen: unknown[] = []
          const scope = new TaskScope('browser', { clock })
          scope.every('tick', 1_000, () => { seen.push(clock.now()) })
          clock.setTimer(1_500, async () => {
            for (let i = 0; i < 100; i++) await null
            seen.push('chain at ' + clock.now())
          })
          await clock.advanceAsync(2_000)
          await clock.run(scope.stop())
          const network = new MemoryNetwork({ clock, latencyMs: 5 })
          network.rpc('b:1').handle('echo', (body) => body)
          seen.push(String(await clock.run(network.rpc('a:1').request('b:1', 'echo', Uint8Array.of(1, 2)))))
          seen.push(new SeededRandom(42).int(1_000_000))
          return seen
        }
        globalThis.result = main()
      `,
      { format: 'iife' },
    )
    const { MessageChannel, TextEncoder, TextDecoder, AbortController, AbortSignal, performance, crypto, console } =
      globalThis
    const browser: Record<string, unknown> = createContext({
      ...{ MessageChannel, TextEncoder, TextDecoder, AbortController, AbortSignal, performance, crypto, console },
      ...{ setTimeout, clearTimeout, queueMicrotask },
    })
    runInContext(code, browser)
    expect(await browser['result']).toEqual([1_000, 'chain at 1500', 2_000, '1,2', 547_370])
  })
})
