/**
 * What a user installs: every entry of every built package loads as an ES module and as CommonJS,
 * and both offer the same names. Needs `pnpm build`; `pnpm check` runs it.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const require = createRequire(import.meta.url)
const packages = new URL('../../packages/', import.meta.url)

for (const folder of readdirSync(packages)) {
  const manifest = JSON.parse(readFileSync(new URL(`${folder}/package.json`, packages), 'utf8'))
  for (const subpath of Object.keys(manifest.exports)) {
    const entry = manifest.name + subpath.slice(1)
    test(`${entry} offers the same names in both formats`, async () => {
      const names = (module) =>
        Object.keys(module)
          .filter((name) => name !== 'default' && name !== 'module.exports')
          .sort()
      const esm = names(await import(entry))
      assert.ok(esm.length > 0, `${entry} exports nothing`)
      assert.deepEqual(names(require(entry)), esm)
    })
  }
}

test('an error of one format is recognised by the other', async () => {
  const esm = await import('@hs/core')
  const cjs = require('@hs/core')
  assert.notEqual(esm.HsError, cjs.HsError)
  assert.ok(esm.HsError.is(new cjs.TimeoutError('asking', 5), 'TIMEOUT'))
})
