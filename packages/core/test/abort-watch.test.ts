import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { unwatchAbort, watchAbort } from '../src/abort-watch.js'

function setUp() {
  const controller = new AbortController()
  const { signal } = controller
  const told: string[] = []
  const watcher = (name: string) => {
    const self = {
      onAbort: () => {
        told.push(name)
        unwatchAbort(signal, self)
      },
    }
    return self
  }
  return { controller, signal, told, watcher, listeners: () => getEventListeners(signal, 'abort').length }
}

describe('watchAbort (CORE-2)', () => {
  it('has one listener however many watch, and none when the last has left', () => {
    const { signal, watcher, listeners } = setUp()
    const watchers = ['a', 'b', 'c'].map(watcher)
    for (const each of watchers) watchAbort(signal, each)
    expect(listeners()).toBe(1)
    for (const each of watchers) {
      expect(listeners()).toBe(1)
      unwatchAbort(signal, each)
    }
    expect(listeners()).toBe(0)
  })

  it('tells all who watch when it aborts, in order, and then has no listener', () => {
    const { controller, signal, told, watcher, listeners } = setUp()
    for (const name of ['a', 'b', 'c']) watchAbort(signal, watcher(name))
    controller.abort()
    expect(told).toEqual(['a', 'b', 'c'])
    expect(listeners()).toBe(0)
  })

  it('does not tell who has left, and takes leaving twice for nothing', () => {
    const { controller, signal, told, watcher } = setUp()
    const [a, b] = [watcher('a'), watcher('b')]
    watchAbort(signal, a)
    watchAbort(signal, b)
    unwatchAbort(signal, a)
    unwatchAbort(signal, a)
    controller.abort()
    expect(told).toEqual(['b'])
  })

  it('does not tell who is made to leave by one that is told before', () => {
    const { controller, signal, told, watcher, listeners } = setUp()
    const last = watcher('last')
    const first = {
      onAbort: () => {
        unwatchAbort(signal, first)
        unwatchAbort(signal, last)
      },
    }
    watchAbort(signal, first)
    watchAbort(signal, last)
    controller.abort()
    expect(told).toEqual([])
    expect(listeners()).toBe(0)
  })
})
