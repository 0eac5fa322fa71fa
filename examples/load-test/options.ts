/** The demo's command line. */

import { Command, InvalidArgumentError } from 'commander'

export interface DemoOptions {
  /** Length of the load phase. */
  readonly seconds: number
  /** Seed of the target's delays and errors. */
  readonly seed: number
  /** False: nobody is killed. */
  readonly chaos: boolean
  /** Where to write the machine-readable report. */
  readonly json?: string
}

export function parseDemoOptions(argv: readonly string[]): DemoOptions {
  const command = new Command('demo')
    .description(
      'Runs a distributed HTTP load test in real processes on loopback, kills one of them, and proves the totals.',
    )
    .option('--seconds <n>', 'length of the load phase, 1 to 600', wholeNumber(1, 600), 8)
    .option('--seed <n>', "seed of the target's delays and errors", wholeNumber(0, Number.MAX_SAFE_INTEGER), 1)
    .option('--no-chaos', 'kill nobody')
    .option('--json <file>', 'write the report as JSON')
    .allowExcessArguments(false)
    .parse([...argv], { from: 'user' })
  return command.opts<DemoOptions>()
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
    return value
  }
}
