/** The command line of `hs-sim`, as data. */

import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { UsageError } from './usage-error.js'

export interface Arguments {
  readonly file: string
  readonly seeds?: number
  readonly seed?: number
  readonly first?: number
  readonly faults?: string
  readonly workers: number
  readonly json: boolean
}

/** Undefined: help was asked for, and given to `print`. @throws UsageError */
export function parseArguments(argv: readonly string[], print: (text: string) => void): Arguments | undefined {
  let complaint = ''
  const command = new Command('hs-sim')
    .description('Runs the scenario that a file exports by default, for many seeds.')
    .argument('<file>', 'a module whose default export is a Scenario (.ts, .mts, .js or .mjs)')
    .option('--seeds <n>', 'how many seeds', atLeast(1))
    .option('--seed <n>', 'this seed only', integer)
    .option('--first <n>', 'the first seed', integer)
    .option('--faults <file>', 'a plan of faults as JSON, instead of drawn ones')
    .option('--workers <n>', 'threads that share the seeds', atLeast(1), 1)
    .option('--json', 'print the report as JSON, and no progress', false)
    .addHelpText('after', '\nExit 0: all seeds hold. 1: a seed failed, or a state was never reached. 2: misuse.')
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: (text) => (complaint += text) })
  try {
    command.parse(argv, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return undefined
    throw new UsageError(complaint.trim(), { cause: error })
  }
  const options = command.opts<Omit<Arguments, 'file'>>()
  if (options.seed !== undefined && (options.seeds !== undefined || options.first !== undefined))
    throw new UsageError('--seed names the one seed to run: it goes with neither --seeds nor --first')
  return { ...options, file: command.args[0] ?? '' }
}

function integer(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be an integer.')
  return value
}

function atLeast(min: number): (text: string) => number {
  return (text) => {
    const value = integer(text)
    if (value < min) throw new InvalidArgumentError(`It must be at least ${min}.`)
    return value
  }
}
