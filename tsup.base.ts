import type { Options } from 'tsup'

/** What every package is built with: ESM and CommonJS with types, from the entries that its `exports` name. */
export function hsPackage(entries: readonly string[] = ['src/index.ts']): Options {
  return {
    entry: [...entries],
    format: ['esm', 'cjs'],
    target: 'node20',
    platform: 'neutral',
    // tsup sets `baseUrl` for its declaration build, which TypeScript 6 only takes with this.
    dts: { compilerOptions: { ignoreDeprecations: '6.0' } },
    splitting: true,
    sourcemap: true,
    clean: true,
    treeshake: true,
    removeNodeProtocol: false,
    external: [/^node:/],
  }
}
