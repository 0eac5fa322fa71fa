import { defineConfig } from 'tsup'
import { hsPackage } from '../../tsup.base'

// The command knows the file that its worker threads run by `import.meta.url`, which CommonJS has by a shim only.
export default defineConfig({ ...hsPackage(['src/index.ts', 'src/cli/hs-sim.ts']), shims: true })
