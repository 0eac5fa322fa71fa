/** What the experiment is run with, and what came of it. */
import { defaultLoad, measureGoodput, type Load, type Minute } from './goodput.js'
import { admission, gradient2, gradient2Wide, unprotected, type NamedPolicy } from './goodput-policies.js'

export interface Scenario {
  readonly title: string
  /** What is to be seen in it, for people. */
  readonly text: string
  readonly load: Load
  readonly policies: readonly NamedPolicy[]
}

/** How a policy fared. */
export interface Course {
  readonly policy: string
  readonly minutes: readonly Minute[]
}

const all = [unprotected, gradient2Wide, gradient2, admission]

/** @param minutes how long each will run, which says when the service slows down */
export function scenariosFor(minutes: number): Scenario[] {
  const [slowFrom, slowUntil] = [Math.round(minutes / 3), Math.round((2 * minutes) / 3)]
  return [
    ...[2, 3, 5].map((offered) => ({
      title: `${offered} times the capacity`,
      text: `For as long as it runs, ${(offered * 2_000).toLocaleString('en')} calls a second for a server that can do 2,000.`,
      load: { ...defaultLoad, offered },
      policies: all,
    })),
    {
      title: '3 times the capacity, and a service that takes twice as long for a while',
      text: `From minute ${slowFrom} to ${slowUntil} every call takes 40 ms of work instead of 20, so the server can do 1,000 a second; goodput is of what it can do at the time.`,
      load: {
        ...defaultLoad,
        offered: 3,
        slowdown: (minute: number) => (minute >= slowFrom && minute < slowUntil ? 2 : 1),
      },
      policies: [gradient2Wide, gradient2, admission],
    },
  ]
}

/** 99th percentile where nothing waits, of some minutes: what the latencies under overload are measured by. */
export function unloadedP99Ms(): number {
  const minutes = measureGoodput({ ...defaultLoad, offered: 0.3 }, unprotected, 5)
  return minutes.reduce((sum, { p99Ms }) => sum + p99Ms, 0) / minutes.length
}
