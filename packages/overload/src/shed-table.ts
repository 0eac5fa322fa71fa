/**
 * Which calls are refused in which state: the least important first, and never a critical one.
 * Source: WeChat's DAGOR (SoCC 2018) and the SRE book, "Handling Overload", which shed by criticality.
 */
import { messagePriorities, parseOptions, type MessagePriority, type OverloadState } from '@hs/core'
import * as z from 'zod'
import { priorityRank } from './message-priority.js'
import { levelOf } from './overload-level.js'

/**
 * From which priority down a state sheds; null: nothing. A state that is left out is as by default.
 * @default { healthy: null, busy: 'low', stressed: 'normal', overloaded: 'high' }
 */
export type ShedTable = Partial<Record<OverloadState, 'high' | 'normal' | 'low' | null>>

/** For the options of whoever sheds. */
export const shedTableSchema = /* @__PURE__ */ (() => {
  const from = z.enum(['high', 'normal', 'low'], "expected 'high', 'normal', 'low' or null: critical is never shed")
  const entry = from.nullable().optional()
  return z.strictObject({ healthy: entry, busy: entry, stressed: entry, overloaded: entry })
})()

/**
 * Whether a call of this priority is to be refused in this state.
 * @throws ConfigError for a table that sheds what is critical, or is none.
 * @throws HsError `'INVALID_ARGUMENT'` for a state or a priority that is none.
 */
export function shouldShed(state: OverloadState, priority: MessagePriority, shedAt?: ShedTable): boolean {
  const level = levelOf(state)
  const rank = priorityRank(priority)
  if (shedAt !== undefined && !isTable(shedAt)) parseOptions(shedTableSchema, shedAt, 'shouldShed')
  return rank >= shedRank(level, shedAt?.[state])
}

/** The rank from which each state sheds, in the order of the states. */
export function shedRanks(table: z.output<typeof shedTableSchema> = {}): readonly number[] {
  return [table.healthy, table.busy, table.stressed, table.overloaded].map((from, level) => shedRank(level, from))
}

/** By default nothing, low, normal, high. */
function shedRank(level: number, from: MessagePriority | null | undefined): number {
  const nothing = messagePriorities.length
  if (from === undefined) return nothing - level
  return from === null ? nothing : priorityRank(from)
}

/** A look that is quicker than the schema, which then says what is wrong. */
function isTable(table: ShedTable): boolean {
  if (typeof table !== 'object' || table === null) return false
  for (const state in table) {
    if (state !== 'healthy' && state !== 'busy' && state !== 'stressed' && state !== 'overloaded') return false
    const from: unknown = table[state]
    if (from !== null && from !== undefined && from !== 'high' && from !== 'normal' && from !== 'low') return false
  }
  return true
}
