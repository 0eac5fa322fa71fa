/** Takes a scenario out of a file; TypeScript goes through `tsx` where that is installed, else through Node itself. */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { messageOf } from '../failure.js'
import { checkScenario, type Scenario } from '../scenario.js'
import { UsageError } from './usage-error.js'

/** @throws UsageError, or ConfigError for a default export that is no scenario */
export async function loadScenario(file: string): Promise<Scenario> {
  const path = resolve(file)
  if (!existsSync(path)) throw new UsageError(`There is no scenario file ${path}`)
  if (/\.[mc]?tsx?$/.test(path)) await enableTypeScript(path)
  const exported = defaultOf(await importFile(path))
  if (exported === undefined) throw new UsageError(`${path} has no default export: it must export a Scenario`)
  checkScenario(exported)
  return exported
}

async function importFile(path: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(path).href)
  } catch (cause) {
    throw new UsageError(`${path} cannot be loaded: ${messageOf(cause)}`, { cause })
  }
}

/** A loader that makes CommonJS of the file puts its exports under `default` once more. */
function defaultOf(module: unknown): Scenario | undefined {
  const outer = (module as { default?: unknown }).default
  if (typeof outer === 'object' && outer !== null && 'default' in outer) return outer.default as Scenario
  return outer as Scenario | undefined
}

async function enableTypeScript(path: string): Promise<void> {
  // Started with a loader already: a second one would have nothing to do.
  if ([...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].some((option) => option.includes('tsx'))) return
  // Beside the file, in the working directory, or beside this command, whose optional peer it is.
  const places = [path, join(process.cwd(), 'hs-sim'), fileURLToPath(import.meta.url)]
  const place = places.find((from) => resolveFrom(from, 'tsx/esm/api') !== undefined)
  if (place !== undefined) {
    // Both, for the file is CommonJS where its package.json does not say that it is a module.
    for (const hook of ['tsx/cjs/api', 'tsx/esm/api']) await registerLoader(resolveFrom(place, hook))
    return
  }
  if ('typescript' in process.features && process.features.typescript !== false) return
  throw new UsageError(`${path} is TypeScript: install tsx beside it, or use Node 22.18 or later`)
}

async function registerLoader(loader: string | undefined): Promise<void> {
  if (loader === undefined) return
  // What `require` resolves is the CommonJS twin, whose `register` does not work; the module stands beside it.
  const { register } = (await import(pathToFileURL(loader.replace(/\.cjs$/, '.mjs')).href)) as {
    register: () => unknown
  }
  register()
}

function resolveFrom(path: string, specifier: string): string | undefined {
  try {
    return createRequire(path).resolve(specifier)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}
