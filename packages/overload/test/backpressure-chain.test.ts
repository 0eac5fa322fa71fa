/**
 * Backpressure along the chain that data takes: workers send to managers, managers to a gate, and each answer carries a
 * signal back over a network that loses, delays and reorders. Propagation is composition: a manager's meter takes the
 * worse of its own fill and its view of the gate.
 */
import { backpressureLevels, type BackpressureLevel } from '@hs/core'
import { SeededRandom, VirtualClock } from '@hs/core/testing'
import { BackpressureMeter, BackpressureView, decodeBackpressureSignal, type BackpressureSignal } from '@hs/overload'
import { describe, expect, it } from 'vitest'

const MANAGERS = 3
const WORKERS = 30
const DECAY_MS = 5_000
/** Everybody has something to say as often, half of it critical: so there is something to answer at any level. */
const EVERY_MS = 200
/** A fill that asks for the level. */
const fillOf = { none: 0, throttle: 0.7, batch: 0.85, reject: 0.95 } as const

interface ChainOptions {
  readonly seed: number
  readonly loss: number
}

class Chain {
  readonly clock = new VirtualClock()
  readonly #dice: SeededRandom
  loss: number
  /** Told the gate by the test. */
  readonly gate = new BackpressureMeter({ clock: this.clock })
  readonly managers = Array.from({ length: MANAGERS }, () => ({
    view: new BackpressureView({ clock: this.clock, decayMs: DECAY_MS }),
    meter: new BackpressureMeter({ clock: this.clock }),
    ownFill: 0,
  }))
  readonly workers = Array.from({ length: WORKERS }, (_, index) => ({
    view: new BackpressureView({ clock: this.clock, decayMs: DECAY_MS }),
    manager: `manager-${index % MANAGERS}`,
    sent: 0,
    dropped: 0,
  }))
  staleSignals = 0

  constructor({ seed, loss }: ChainOptions) {
    this.#dice = new SeededRandom(seed)
    this.loss = loss
    for (const worker of this.workers) this.#every(() => this.#work(worker))
    for (const manager of this.managers) this.#every(() => this.#forward(manager))
  }

  levels(): { managers: Set<BackpressureLevel>; workers: Set<BackpressureLevel> } {
    return {
      managers: new Set(this.managers.map(({ meter, view, ownFill }) => meter.update(worseFill(ownFill, view)))),
      workers: new Set(this.workers.map(({ view }) => view.level())),
    }
  }

  /** A message, up to 800 ms later than sent: several are on the way at a time, and overtake each other. */
  #deliver(arrive: () => void): void {
    if (this.#dice.next() >= this.loss) this.clock.setTimer(this.#dice.int(800), arrive)
  }

  #answer(view: BackpressureView, source: string, signal: BackpressureSignal): void {
    this.#deliver(() => {
      if (!view.receive(source, decodeBackpressureSignal(signal))) this.staleSignals++
    })
  }

  #forward(manager: Chain['managers'][number]): void {
    const heartbeat = this.#dice.next() < 0.5 ? 'critical' : 'normal'
    if (manager.view.action(heartbeat, 'gate') === 'drop') return
    this.#deliver(() => this.#answer(manager.view, 'gate', this.gate.signal()))
  }

  #work(worker: Chain['workers'][number]): void {
    const heartbeat = this.#dice.next() < 0.5 ? 'critical' : 'normal'
    if (worker.view.action(heartbeat, worker.manager) === 'drop') {
      worker.dropped++
      return
    }
    worker.sent++
    const manager = this.managers[Number(worker.manager.slice(-1))]
    this.#deliver(() => {
      if (manager === undefined) return
      manager.meter.update(worseFill(manager.ownFill, manager.view))
      this.#answer(worker.view, worker.manager, manager.meter.signal())
    })
  }

  #every(act: () => void): void {
    const tick = () => {
      act()
      this.clock.setTimer(EVERY_MS, tick)
    }
    this.clock.setTimer(this.#dice.int(EVERY_MS), tick)
  }
}

function worseFill(own: number, view: BackpressureView): number {
  return Math.max(own, fillOf[view.level('gate')])
}

const seeds = [1, 2, 3, 4, 5]

describe('A chain of meters and views (OVER-19..21)', () => {
  it.each(seeds)('converges to the level of the gate, whatever is lost and reordered (seed %d)', (seed) => {
    const chain = new Chain({ seed, loss: 0.2 })
    for (const level of ['batch', 'reject', 'throttle', 'none', 'reject', 'none'] as const) {
      chain.gate.update(fillOf[level])
      chain.clock.advance(15_000)
      expect(chain.levels()).toEqual({ managers: new Set([level]), workers: new Set([level]) })
    }
    expect(chain.staleSignals).toBeGreaterThan(100) // they did overtake each other
    expect(chain.workers.every(({ sent, dropped }) => sent > 50 && dropped > 10)).toBe(true)
  })

  it('tells the workers of one manager what it alone suffers from', () => {
    const chain = new Chain({ seed: 6, loss: 0.1 })
    chain.gate.update(fillOf.throttle)
    for (const manager of chain.managers.slice(0, 1)) manager.ownFill = 0.99
    chain.clock.advance(15_000)
    const levels = chain.workers.map(({ view, manager }) => [manager, view.level()])
    expect(new Map(levels as [string, BackpressureLevel][])).toEqual(
      new Map([
        ['manager-0', 'reject'],
        ['manager-1', 'throttle'],
        ['manager-2', 'throttle'],
      ]),
    )
  })

  it.each(seeds)('leaves nobody throttled when every signal is lost from then on (seed %d)', (seed) => {
    const chain = new Chain({ seed, loss: 0.2 })
    chain.gate.update(fillOf.reject)
    chain.clock.advance(15_000)
    expect(chain.levels().workers).toEqual(new Set(['reject']))
    chain.gate.update(0)
    chain.loss = 1
    // A message that is on the way still arrives; then three levels fall, at the manager and after it at the worker.
    const mostMs = 1_600 + 3 * DECAY_MS
    chain.clock.advance(mostMs)
    expect(chain.levels()).toEqual({ managers: new Set(['none']), workers: new Set(['none']) })
    expect(chain.workers.map(({ view }) => view.delayMs())).toEqual(chain.workers.map(() => 0))
  })

  it('leaves nobody throttled by a manager that is gone, and obeys its next life at once', () => {
    const clock = new VirtualClock()
    const view = new BackpressureView({ clock })
    const [former, next] = [1, 2].map((epoch) => new BackpressureMeter({ clock, epoch }))
    former?.update(1)
    const last = former?.signal()
    const calm = next?.signal()
    if (last === undefined || calm === undefined) throw new Error('both meters signal')
    view.receive('manager', last)
    expect(view.level()).toBe('reject')
    expect([view.receive('manager', calm), view.level()]).toEqual([true, 'none'])
    expect([view.receive('manager', { ...last, seq: 1_000 }), view.level()]).toEqual([false, 'none'])
  })

  it('keeps the buffer of an overloaded gate from running over, at full use, and is calm when the load is gone', async () => {
    const clock = new VirtualClock()
    const dice = new SeededRandom('load')
    const capacity = 200
    const buffer = { size: 0, lost: 0, done: 0 }
    const gate = new BackpressureMeter({ clock })
    let producing = true
    // The gate does 100 items a second; 40 senders would send 20 a second each, and wait their turn.
    const drain = () => {
      if (buffer.size > 0) {
        buffer.size--
        buffer.done++
      }
      gate.update(buffer.size / capacity)
      clock.setTimer(10, drain)
    }
    drain()
    const views = Array.from({ length: 40 }, () => new BackpressureView({ clock }))
    for (const view of views) {
      const send = async () => {
        while (producing) {
          await clock.sleep(50 * (0.5 + dice.next()))
          if ((await view.waitTurn('normal', { source: 'gate' })) === 'drop') continue
          await clock.sleep(dice.int(20))
          if (buffer.size < capacity) buffer.size++
          else buffer.lost++
          gate.update(buffer.size / capacity)
          const signal = gate.signal()
          if (dice.next() < 0.8) clock.setTimer(dice.int(40), () => view.receive('gate', signal))
        }
      }
      void send()
    }
    await clock.advanceAsync(60_000)
    expect(buffer.lost).toBe(0)
    expect(buffer.done).toBeGreaterThan(0.97 * 6_000)
    producing = false
    await clock.advanceAsync(30_000)
    expect(views.map((view) => view.level())).toEqual(views.map(() => 'none'))
    expect([buffer.size, gate.level]).toEqual([0, 'none'])
  })
})

describe('The levels of a chain', () => {
  it('are those of core, in their order', () => {
    expect(Object.keys(fillOf)).toEqual(backpressureLevels)
  })
})
