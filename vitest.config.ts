import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string) => fileURLToPath(new URL(`./packages/${path}`, import.meta.url))

export default defineConfig({
  resolve: {
    // Tests run against the sources, so they need no build.
    alias: [
      { find: /^@hs\/([a-z-]+)\/(testing|node)$/, replacement: source('$1/src/$2/index.ts') },
      { find: /^@hs\/([a-z-]+)$/, replacement: source('$1/src/index.ts') },
    ],
  },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 30_000,
    // Many tests wait for sockets and processes, so that two cores bear two workers.
    maxWorkers: Math.max(2, availableParallelism() - 1),
  },
})
