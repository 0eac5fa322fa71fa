import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { ErrorReporterSnapshot } from '@hs/core'

const fixture = fileURLToPath(new URL('./fixtures/failing-tasks.ts', import.meta.url))

function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import', 'tsx', fixture, ...args], { timeout: 25_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr })
    })
  })
}

describe('a real process whose tasks fail (CORE-15, CORE-18)', () => {
  it('has no unhandled rejection, and every error has reached a reader', async () => {
    const { code, stdout, stderr } = await run()
    expect({ code, stderr: stderr.includes('triggerUncaughtException') }).toEqual({ code: 0, stderr: false })
    const { timed, total, bySource, lost } = JSON.parse(stdout) as ErrorReporterSnapshot & { timed: string }
    expect(timed).toBe('TIMEOUT')
    expect(bySource).toMatchObject({
      'node.sync': 1,
      'node.async': 1,
      'node.restarted': 3,
      'child.stuck': 1,
      'node.happened': 1,
      'node.callback': 1,
    })
    expect(bySource['node.periodic']).toBeGreaterThan(1)
    expect(total).toBe(Object.values(bySource).reduce((sum, n) => sum + n, 0))
    expect(lost).toBe(0)
    // The logger is broken: the chain ends on stderr, with all three errors in the one line.
    const lines = stderr.split('\n').filter((line) => line.includes('handler broke'))
    expect(lines).toHaveLength(1)
    for (const part of ['node.async', 'original', 'logger broke']) expect(lines[0]).toContain(part)
  })

  it('would be taken down by one rejection that nobody reads', async () => {
    const { code, stderr } = await run('control')
    expect(code).not.toBe(0)
    expect(stderr).toContain('nobody reads this')
  })
})
