import { beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest'
import { ErrorReporter, TypedEmitter, type LogFields } from '@hs/core'
import { MemoryLogger } from '@hs/core/testing'

interface Events {
  joined: [name: string, at: number]
  left: []
}

let logger = new MemoryLogger()
let reporter = new ErrorReporter({ logger })
let events = new TypedEmitter<Events>('cluster', reporter)
beforeEach(() => {
  logger = new MemoryLogger()
  reporter = new ErrorReporter({ logger })
  events = new TypedEmitter<Events>('cluster', reporter)
})

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('TypedEmitter (CORE-17)', () => {
  it('calls listeners in order with the arguments, and says whether anyone listened', () => {
    const calls: unknown[] = []
    events.on('joined', (name, at) => calls.push(['first', name, at]))
    events.on('joined', (name, at) => calls.push(['second', name, at]))
    expect(events.emit('joined', 'a', 1)).toBe(true)
    expect(events.emit('left')).toBe(false)
    expect(calls).toEqual([
      ['first', 'a', 1],
      ['second', 'a', 1],
    ])
  })

  it('takes a listener away by what on and once return, and by off', () => {
    const listener = vi.fn()
    const offs = [events.on('left', listener), events.once('left', listener)]
    expect(events.listenerCount('left')).toBe(2)
    offs[0]!()
    offs[0]!()
    expect(events.listenerCount('left')).toBe(1)
    offs[1]!()
    expect(events.listenerCount('left')).toBe(0)
    events.on('left', listener)
    events.once('left', listener)
    events.on('left', () => {})
    events.off('left', listener)
    expect(events.listenerCount('left')).toBe(1)
    events.off('joined', listener)
    events.emit('left')
    expect(listener).not.toHaveBeenCalled()
  })

  it('calls a once listener once, even when it emits the same event', () => {
    const listener = vi.fn(() => void events.emit('left'))
    events.once('left', listener)
    events.emit('left')
    events.emit('left')
    expect(listener).toHaveBeenCalledTimes(1)
    expect(events.listenerCount('left')).toBe(0)
  })

  it('reports what a listener throws as owner.event, runs the others and goes on', () => {
    const error = new Error('listener broke')
    const after = vi.fn()
    events.on('joined', () => {
      throw error
    })
    events.on('joined', after)
    expect(events.emit('joined', 'a', 1)).toBe(true)
    expect(after).toHaveBeenCalledTimes(1)
    expect(logger.entries.map(({ fields }) => fields)).toEqual([{ source: 'cluster.joined', err: error }])
  })

  it('reports what the promise of a listener rejects with', async () => {
    const error = new Error('listener broke')
    events.on('left', async () => {
      throw error
    })
    events.emit('left')
    expect(logger.entries).toHaveLength(0)
    await turn()
    expect(logger.entries.map(({ fields }) => fields)).toEqual([{ source: 'cluster.left', err: error }])
  })

  it('asks describe only when a listener fails, and adds its answer to the report', async () => {
    const describeEvent = vi.fn((name: keyof Events, args: Events[keyof Events]): LogFields => ({
      name,
      first: args[0],
    }))
    events = new TypedEmitter<Events>('cluster', reporter, { describe: describeEvent })
    events.on('joined', (name) => {
      if (name === 'bad') throw new Error('sync')
    })
    events.on('joined', async (name) => {
      if (name === 'bad') throw new Error('async')
    })
    events.emit('joined', 'good', 1)
    await turn()
    expect(describeEvent).not.toHaveBeenCalled()
    events.emit('joined', 'bad', 2)
    await turn()
    expect(describeEvent).toHaveBeenCalledTimes(2)
    expect(logger.entries.map(({ fields }) => fields)).toEqual([
      { source: 'cluster.joined', err: new Error('sync'), name: 'joined', first: 'bad' },
      { source: 'cluster.joined', err: new Error('async'), name: 'joined', first: 'bad' },
    ])
  })

  it('reports what describe throws beside what the listener threw', () => {
    events = new TypedEmitter<Events>('cluster', reporter, {
      describe: () => {
        throw new Error('describe broke')
      },
    })
    events.on('left', () => {
      throw new Error('listener broke')
    })
    events.emit('left')
    expect(logger.entries.map(({ message }) => message).sort()).toEqual([
      'cluster.left.describe: describe broke',
      'cluster.left: listener broke',
    ])
  })

  it('emits to the listeners there were at its start: they may add and remove', () => {
    const calls: string[] = []
    const second = () => void calls.push('second')
    events.on('left', () => {
      calls.push('first')
      events.off('left', second)
      events.on('left', () => void calls.push('added'))
    })
    events.on('left', second)
    events.emit('left')
    expect(calls).toEqual(['first', 'second'])
    calls.length = 0
    events.emit('left')
    expect(calls).toEqual(['first', 'added'])
  })

  it('has event names that are nothing special', () => {
    type Odd = { __proto__: [number]; constructor: [] }
    const odd = new TypedEmitter<Odd>('odd', reporter)
    const listener = vi.fn()
    odd.on('__proto__', listener)
    expect(odd.emit('__proto__', 5)).toBe(true)
    expect(odd.emit('constructor')).toBe(false)
    expect(listener).toHaveBeenCalledWith(5)
  })

  it('is typed by its events', () => {
    events.on('joined', (...args) => expectTypeOf(args).toEqualTypeOf<[name: string, at: number]>())
    events.once('left', (...args) => expectTypeOf(args).toEqualTypeOf<[]>())
    expectTypeOf(events.emit('left')).toEqualTypeOf<boolean>()
    expectTypeOf(events.on('left', () => {})).toEqualTypeOf<() => void>()
    // @ts-expect-error an argument is missing
    events.emit('joined', 'a')
    // @ts-expect-error an argument has another type
    events.emit('joined', 'a', 'b')
    // @ts-expect-error there is no such event
    events.emit('renamed')
    // @ts-expect-error the listener wants another type
    events.on('joined', (name: number) => name)
  })
})
