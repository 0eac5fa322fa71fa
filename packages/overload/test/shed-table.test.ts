import { messagePriorities, overloadStates } from '@hs/core'
import { shouldShed, type MessagePriority, type OverloadState, type ShedTable } from '@hs/overload'
import { describe, expect, it } from 'vitest'

const shed = (state: OverloadState, table?: ShedTable): MessagePriority[] =>
  messagePriorities.filter((priority) => shouldShed(state, priority, table))

describe('shouldShed (OVER-8)', () => {
  it.each<[OverloadState, MessagePriority[]]>([
    ['healthy', []],
    ['busy', ['low']],
    ['stressed', ['normal', 'low']],
    ['overloaded', ['high', 'normal', 'low']],
  ])('when %s sheds %j', (state, priorities) => {
    expect(shed(state)).toEqual(priorities)
    expect(shed(state, {})).toEqual(priorities)
  })

  it('takes another table; null sheds nothing, and what is left out is as by default', () => {
    const table: ShedTable = { healthy: 'low', busy: null, overloaded: 'normal' }
    expect(overloadStates.map((state) => shed(state, table))).toEqual([
      ['low'],
      [],
      ['normal', 'low'],
      ['normal', 'low'],
    ])
  })

  it.each<[object, string]>([
    [{ overloaded: 'critical' }, 'overloaded'],
    [{ stressed: 'some' }, 'stressed'],
    [{ calm: 'low' }, 'calm'],
  ])('refuses the table %j', (table, path) => {
    const issues = [expect.objectContaining({ path }) as unknown]
    expect(() => shouldShed('healthy', 'low', table as ShedTable)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', issues }),
    )
  })

  it('refuses words that are no table, no state, no priority', () => {
    expect(() => shouldShed('busy', 'low', null as unknown as ShedTable)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    )
    const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
    expect(() => shouldShed('fine' as OverloadState, 'low')).toThrow(invalid)
    expect(() => shouldShed('busy', 'urgent' as MessagePriority)).toThrow(invalid)
  })
})
