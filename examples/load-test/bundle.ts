/** Makes one plain JavaScript file of the child's sources, so that six processes start without compiling them six times. */

import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Bundles the entry of the child processes and returns the path of the file to run. */
export async function bundleChild(): Promise<string> {
  const outfile = here('../../node_modules/.cache/load-test/child.mjs')
  await build({
    entryPoints: [here('./child.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    sourcemap: 'inline',
    tsconfig: here('../../tsconfig.json'),
    logLevel: 'error',
    // Packages in CommonJS ask for `require`, which an ES module has to make for them.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  })
  return outfile
}
