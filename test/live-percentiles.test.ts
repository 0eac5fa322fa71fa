/** The example as a user runs it: what a browser is told adds up to what the server answered. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'

it('shows every request to whoever watches, on the terminal and in the browser', async () => {
  const options = ['--seconds', '4', '--users', '4']
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/live-percentiles/main.ts', ...options], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  let output = ''
  const url = await new Promise<string>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
      const address = /http:\S+/.exec(output)
      if (address !== null) resolve(address[0])
    })
  })
  expect(await (await fetch(url)).text()).toContain('<title>Live percentiles</title>')

  const live = await fetch(`${url}live`)
  const streamed = await live.text()
  expect(await ended).toBe(0)

  const numbers = (text: string, pattern: RegExp) => Array.from(text.matchAll(pattern), ([, n]) => Number(n))
  const shown = numbers(output, /(\d+) requests {2}p50/g)
  const told = numbers(streamed, /"requests":(\d+)/g)
  const [total] = numbers(output, /(\d+) requests in all/g)
  expect(total).toBeGreaterThan(0)
  expect(shown.reduce((sum, n) => sum + n, 0)).toBe(total)
  // All since it began to listen.
  expect(told.length).toBeGreaterThan(1)
  expect(told).toEqual(shown.slice(-told.length))
  expect(streamed).toMatch(/"p99":\d/)
})
