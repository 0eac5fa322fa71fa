import { rmSync } from 'node:fs'
import { defineConfig } from 'tsup'
import { hsPackage } from '../../tsup.base'

// The command is an ES module only: its worker threads run its own file, which it knows by `import.meta.url`.
export default defineConfig(() => {
  // Not by `clean`: the two builds run side by side, and one would remove what the other has written.
  rmSync('dist', { recursive: true, force: true })
  const library = { ...hsPackage(), clean: false }
  return [
    { ...library, format: 'cjs' },
    { ...library, format: 'esm', entry: ['src/index.ts', 'src/cli/hs-sim.ts'] },
  ]
})
