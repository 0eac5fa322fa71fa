/** Starts `child.ts` and waits for what it has seen. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export interface LoadOptions {
  readonly url: string
  readonly key: string
  readonly amount: number
  readonly connections?: number
}

export interface LoadResult {
  readonly statuses: Readonly<Record<string, number>>
  /** Requests without an answer. */
  readonly errors: number
}

export async function load({ url, key, amount, connections = 10 }: LoadOptions): Promise<LoadResult> {
  const child = fileURLToPath(new URL('child.ts', import.meta.url))
  const options = ['--url', url, '--key', key, '--amount', String(amount), '--connections', String(connections)]
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', child, ...options])
  return JSON.parse(stdout) as LoadResult
}
