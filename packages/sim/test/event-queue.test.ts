import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventQueue, type SimEvent } from '../src/event-queue.js'

class TestEvent implements SimEvent {
  tie = 0
  order = 0
  isOver = false
  readonly at: number
  constructor(at: number) {
    this.at = at
  }
  fire(): void {
    return
  }
}

describe('EventQueue (SIM-3)', () => {
  it('hands out events in order of (time, tie, creation), without those that are over', () => {
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ add: fc.integer({ min: 0, max: 5 }), tie: fc.integer({ min: -1, max: 1 }) }),
      },
      { weight: 2, arbitrary: fc.constant('take' as const) },
      { weight: 1, arbitrary: fc.record({ end: fc.nat() }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const queue = new EventQueue()
        let model: TestEvent[] = []
        for (const todo of steps) {
          if (todo === 'take') {
            model.sort((a, b) => a.at - b.at || a.tie - b.tie || a.order - b.order)
            const first = model.shift()
            expect(queue.nextTime()).toBe(first?.at ?? Infinity)
            if (first !== undefined) expect(queue.take()).toBe(first)
          } else if ('add' in todo) {
            const event = new TestEvent(todo.add)
            queue.add(todo.add, todo.tie, event)
            model.push(event)
          } else if (model.length > 0) {
            const event = model[todo.end % model.length] as TestEvent
            event.isOver = true
            queue.tellOver()
            model = model.filter((other) => other !== event)
          }
        }
      }),
      { seed: 1 },
    )
  })

  it('forgets events that are over when they are more than the others', () => {
    const queue = new EventQueue()
    const events = Array.from({ length: 1_000 }, (_, i) => new TestEvent(i))
    for (const event of events) queue.add(event.at, 0, event)
    for (const event of events.slice(1)) {
      event.isOver = true
      queue.tellOver()
    }
    expect(queue.size).toBeLessThan(520)
    expect(queue.nextTime()).toBe(0)
    expect(queue.take()).toBe(events[0])
    expect(queue.nextTime()).toBe(Infinity)
    expect(() => queue.take()).toThrow('needs an event')
  })
})
