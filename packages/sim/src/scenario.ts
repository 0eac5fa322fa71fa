/** What a campaign runs: a world, how long, which faults, and what must have happened in some run at least. */

import * as z from 'zod'
import { parseOptions } from '@hs/core'
import { nemesisShape, type NemesisOptions } from './nemesis.js'
import type { Simulation } from './simulation.js'
import type { SimulationOptions } from './simulation-options.js'

export interface Scenario {
  /** A sentence for whoever reads the failure. */
  name: string
  /** How long the world runs under faults, in milliseconds of its time. */
  durationMs: number
  /** How long it then may take without faults until what must hold in the end does, in milliseconds. @default 30_000 */
  settleMs?: number
  /** Makes the nodes, the invariants and the workload. It must use nothing but the simulation's time and dice. */
  setup(sim: Simulation): void | Promise<void>
  /** Which faults are drawn; false: none. */
  nemesis?: NemesisOptions | false
  options?: Omit<SimulationOptions, 'seed'>
  /** Names given to `sometimes`, each of which must have been true in some run: else the campaign proves nothing. */
  mustReach?: readonly string[]
}

let cachedSchema: ReturnType<typeof makeSchema> | undefined
const scenarioSchema = () => (cachedSchema ??= makeSchema())
const makeSchema = () =>
  z.strictObject({
    name: z.string().min(1),
    durationMs: z.number().min(0),
    settleMs: z.number().min(0).optional(),
    setup: z.custom((setup) => typeof setup === 'function', 'expected a function that takes a Simulation'),
    // Not a union with `false`: of that an error would name the whole instead of the field that is wrong.
    nemesis: z.preprocess(
      (nemesis) => (nemesis === false ? undefined : nemesis),
      z.strictObject(nemesisShape()).optional(),
    ),
    // The simulation checks them itself, except that the seed is the campaign's.
    options: z
      .record(z.string(), z.unknown())
      .refine((options) => !('seed' in options), 'expected no seed: the campaign gives it')
      .optional(),
    mustReach: z.array(z.string()).optional(),
  })

/** @throws ConfigError with all that is wrong */
export function checkScenario(scenario: Scenario): void {
  parseOptions(scenarioSchema(), scenario, 'Scenario')
}
