/** Runs the goodput experiment for `bench/overload.ts`: tables on the console, curves in a page. */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { printTable, type Report } from '../swim/report.js'
import { measureGoodput, type Minute } from './goodput.js'
import { goodputPage, goodputPicture } from './goodput-page.js'
import { admission } from './goodput-policies.js'
import { scenariosFor, unloadedP99Ms, type Course, type Scenario } from './goodput-scenarios.js'

/** For `parseArgs`. */
export const goodputFlags = { minutes: { type: 'string' }, html: { type: 'string' }, svg: { type: 'string' } } as const

export interface GoodputFlags {
  /** Does it run at all: two minutes of one load, and no page. */
  readonly smoke?: boolean | undefined
  /** Virtual minutes of each run. @default 60 */
  readonly minutes?: string | undefined
  /** Where the page goes. @default `overload-goodput.html` in the folder for temporary files */
  readonly html?: string | undefined
  /** Where the curves of three times the capacity go, as a picture. @default nowhere */
  readonly svg?: string | undefined
}

export function runGoodput(flags: GoodputFlags, report: Report): void {
  const isSmoke = flags.smoke === true
  const minutes = isSmoke ? 2 : minutesOf(flags.minutes ?? '60')
  const baseP99Ms = unloadedP99Ms()
  console.log(`Goodput on virtual time: 40 cores, 20 ms of work (exponential), callers that give up after 1 s; ${minutes} minutes of each; unloaded p99 ${baseP99Ms.toFixed(0)} ms`) // prettier-ignore
  const scenarios = scenariosFor(minutes).slice(0, isSmoke ? 1 : undefined)
  const results = scenarios.map((scenario) => {
    const courses = scenario.policies.map((policy): Course => {
      if (process.stderr.isTTY) process.stderr.write(`${scenario.title}: ${policy.name}\x1b[K\r`)
      return { policy: policy.name, minutes: measureGoodput(scenario.load, policy, minutes) }
    })
    printScenario(scenario, courses)
    judge(scenario, courses, baseP99Ms, report)
    return { scenario, courses }
  })
  if (isSmoke) return
  const file = resolve(flags.html ?? join(tmpdir(), 'overload-goodput.html'))
  writeFileSync(file, goodputPage(results, baseP99Ms))
  console.log(`curves: ${file}`)
  const inReadme = results.find(({ scenario }) => scenario.load.offered === 3)
  if (flags.svg !== undefined && inReadme !== undefined) writeFileSync(flags.svg, goodputPicture(inReadme, baseP99Ms))
}

function minutesOf(text: string): number {
  const minutes = Number(text)
  if (!Number.isInteger(minutes) || minutes < 2) throw new Error(`--minutes is an integer of at least 2, found ${text}`)
  return minutes
}

function printScenario({ title }: Scenario, courses: readonly Course[]): void {
  const length = courses[0]?.minutes.length ?? 0
  const shown = [1, 2, 3, 5, 10, 20, 30, 40, 50, 60, 90, 120].filter((minute) => minute < length).concat(length)
  console.log(`\n${title}: of each minute the goodput, p50/p99 of the admitted in ms, and the limit`)
  printTable(
    ['minute', ...courses.map(({ policy }) => policy)],
    [
      ...shown.map((minute) => [
        `${minute}`,
        ...courses.map(({ minutes }) => {
          const found = minutes[minute - 1]
          return found === undefined ? '' : cell(found)
        }),
      ]),
      ['critical refused', ...courses.map(({ minutes }) => percent(refusedShare(minutes)))],
    ],
  )
}

function cell({ goodput, p50Ms, p99Ms, limit }: Minute): string {
  const bound = Number.isFinite(limit) ? limit.toFixed(0) : '-'
  return `${percent(goodput)}  ${p50Ms.toFixed(0)}/${p99Ms.toFixed(0)}  ${bound}`
}

/** What section "goodput" of the package promises, of every minute but those in which something has just changed. */
function judge({ title, load }: Scenario, courses: readonly Course[], baseP99Ms: number, report: Report): void {
  const ours = courses.find(({ policy }) => policy === admission.name)?.minutes ?? []
  const slowdown = ({ minute }: Minute) => load.slowdown?.(minute - 1) ?? 1
  const settled = ours.filter((minute, index) => {
    const before = ours[index - 1]
    return before !== undefined && slowdown(before) === slowdown(minute)
  })
  const least = Math.min(...settled.map(({ goodput }) => goodput))
  const worst = Math.max(...settled.map((minute) => minute.p99Ms / slowdown(minute) / baseP99Ms))
  const refused = ours.reduce((sum, { critical }) => sum + critical.refused, 0)
  const lines = [
    [`least goodput of a minute ${percent(least)}`, { what: `${title}: goodput`, figure: least, atLeast: 0.95 }],
    [`worst p99 ${worst.toFixed(2)} x the unloaded one`, { what: `${title}: p99`, figure: worst, atMost: 1.5 }],
    [`${refused} critical calls refused`, { what: `${title}: critical refused`, figure: refused, atMost: 0 }],
  ] as const
  for (const [text, judged] of lines) console.log(`${admission.name}: ${text}: ${report.verdict(judged)}`)
}

function refusedShare(minutes: readonly Minute[]): number {
  const total = (figure: 'offered' | 'refused') => minutes.reduce((sum, { critical }) => sum + critical[figure], 0)
  return total('refused') / total('offered')
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}
