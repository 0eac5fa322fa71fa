/**
 * The curves of the goodput experiment as one page that needs nothing else: SVG in the text, no network, readable in
 * light and dark.
 */
import { lineChart, type Series } from './line-chart.js'
import type { Minute } from './goodput.js'
import type { Course, Scenario } from './goodput-scenarios.js'

export interface ScenarioResult {
  readonly scenario: Scenario
  readonly courses: readonly Course[]
}

/** By place, so that a policy has the same look everywhere. */
const looks = new Map([
  ['unprotected', 'unprotected'],
  ['Gradient2, max 200', 'gradient'],
  ['Gradient2, max 1,000', 'gradient-wide'],
  ['Admission + GradientLimit', 'ours'],
])

const COLOURS = `
  :root { color-scheme: light dark; --page: #fcfcfb; --ink: #1a1a19; --soft: #5f5e5a; --grid: #e4e3df; --axis: #b5b4ae;
    --ours: #1f6fd0; --unprotected: #c93a2b; --gradient: #0b8a6f; --gradient-wide: #8a55c9 }
  @media (prefers-color-scheme: dark) {
    :root { --page: #1a1a19; --ink: #f1f0ec; --soft: #b3b2ab; --grid: #33322f; --axis: #63625c;
      --ours: #5ea3f2; --unprotected: #f07a6a; --gradient: #3fc4a4; --gradient-wide: #bd93f0 } }
  svg text { font: 11px system-ui, sans-serif; fill: var(--soft) }
  .grid { stroke: var(--grid) } .axis { stroke: var(--axis) } .reference { stroke: var(--soft); stroke-dasharray: 2 3 }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round }
  .ours { stroke: var(--ours); stroke-width: 2.6 } .unprotected { stroke: var(--unprotected) }
  .gradient { stroke: var(--gradient); stroke-dasharray: 6 3 } .gradient-wide { stroke: var(--gradient-wide) }`

const STYLE = `${COLOURS}
  body { font: 16px/1.5 system-ui, sans-serif; background: var(--page); color: var(--ink); max-width: 76rem; margin: 2rem auto; padding: 0 1rem }
  h1 { font-size: 1.6rem; margin-bottom: .3rem } h2 { font-size: 1.2rem; margin: 2.6rem 0 .2rem } h3 { font-size: .95rem; margin: 0 }
  p { margin: .4rem 0; max-width: 62rem } .soft, figcaption { color: var(--soft) }
  .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(21rem, 1fr)); gap: 1.4rem; margin-top: .8rem }
  figure { margin: 0 } figcaption { font-size: .85rem; line-height: 1.4; margin-top: .2rem }
  svg { width: 100%; height: auto; display: block }
  .legend { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; margin: .5rem 0 0; padding: 0; list-style: none; font-size: .9rem }
  .legend svg { width: 2rem; height: .8rem; display: inline-block; vertical-align: middle; margin-right: .4rem }
  table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; margin-top: .6rem }
  th, td { text-align: right; padding: .15rem .8rem; border-bottom: 1px solid var(--grid) } th { font-weight: 600 } th:first-child { text-align: left; padding-left: 0 }
  details { margin-top: .8rem } summary { cursor: pointer; color: var(--soft) }
`

export function goodputPage(results: readonly ScenarioResult[], unloadedP99Ms: number): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Goodput under overload</title>
<style>${STYLE}</style>
<h1>Goodput under overload</h1>
<p>A server of 40 cores, whose calls take 20 ms of work on average (exponential), can do 2,000 calls a second. It is
offered several times that by callers that give up after a second, and do not slow down because others wait (Poisson).
Work for a caller that gave up is done all the same, for nobody. All of it on virtual time: the figures depend on the
seed, not on the machine. Where nothing waits, the 99th percentile of the latency is ${unloadedP99Ms.toFixed(0)} ms.</p>
<p class="soft">2 % of the calls are critical, 18 % high, 50 % normal, 30 % low. Only Admission knows of that; it has no
setting but its defaults. Gradient2 is Netflix's limit as published, with its defaults and two upper bounds.</p>
${results.map((result) => section(result, unloadedP99Ms)).join('\n')}
</html>
`
}

function section({ scenario, courses }: ScenarioResult, unloadedP99Ms: number): string {
  return `<section>
<h2>${escaped(scenario.title)}</h2>
<p>${escaped(scenario.text)}</p>
<ul class="legend">${courses.map(({ policy }) => `<li>${sample(policy)}${escaped(policy)}</li>`).join('')}</ul>
<div class="charts">
${chartsOf(scenario, courses, unloadedP99Ms).map(figure).join('\n')}
</div>
${criticalTable(courses)}
</section>`
}

interface Chart {
  readonly title: string
  readonly text: string
  readonly svg: string
}

function chartsOf(scenario: Scenario, courses: readonly Course[], unloadedP99Ms: number): Chart[] {
  return [
    {
      title: 'Goodput, % of what the server can do',
      text: 'Calls that were done while their caller still waited. A server that refuses nobody works as hard as the others, on calls whose callers are gone. In the first minute the limits grow from 20.',
      svg: lineChart({ unit: '%', max: 110, series: seriesOf(courses, ({ goodput }) => 100 * goodput) }),
    },
    {
      title: 'p99 of admitted calls (logarithmic)',
      text: 'Each minute’s 99th percentile, from arrival to answer. The dotted line is where nothing waits. A limit that drifts lets a queue grow in front of the cores.',
      svg: lineChart({
        unit: 'ms',
        isLogarithmic: true,
        reference: unloadedP99Ms,
        series: seriesOf(courses, ({ p99Ms }) => p99Ms),
      }),
    },
    {
      title: 'Limit of calls inside (logarithmic)',
      text: 'The dotted line is the number of cores. Gradient2 learns what is normal from its own queue, so its limit rises without end; the mended limit looks at the bare latency every minute. A server that refuses nobody has no limit.',
      svg: lineChart({
        unit: '',
        isLogarithmic: true,
        reference: scenario.load.cores,
        series: seriesOf(courses, ({ limit }) => limit),
      }),
    },
  ]
}

function figure({ title, text, svg }: Chart): string {
  return `<figure><h3>${escaped(title)}</h3>${svg}<figcaption>${escaped(text)}</figcaption></figure>`
}

const [CHART_WIDTH, CHART_HEIGHT] = [420, 240]

/** The curves of one scenario as a picture of its own, side by side under their titles. */
export function goodputPicture({ scenario, courses }: ScenarioResult, unloadedP99Ms: number): string {
  const charts = chartsOf(scenario, courses, unloadedP99Ms)
  const parts = charts.map(({ title, svg }, i) => {
    const size = `x="${i * CHART_WIDTH}" y="54" width="${CHART_WIDTH}" height="${CHART_HEIGHT}"`
    const head = `<text class="head" x="${i * CHART_WIDTH + 12}" y="48">${escaped(title)}</text>`
    return head + svg.replace('<svg ', `<svg ${size} `)
  })
  const legend = courses.map(({ policy }, i) => {
    const x = 12 + i * 250
    const line = `<path class="line ${looks.get(policy) ?? ''}" d="M${x} 16H${x + 32}"/>`
    return `${line}<text class="head" x="${x + 40}" y="20">${escaped(policy)}</text>`
  })
  const [width, height] = [charts.length * CHART_WIDTH, CHART_HEIGHT + 60]
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escaped(scenario.title)}</title>
<style>${COLOURS}
  .head { font-size: 14px; fill: var(--ink) }</style>
<rect width="${width}" height="${height}" fill="var(--page)"/>
${[...legend, ...parts].join('\n')}
</svg>
`
}

function seriesOf(courses: readonly Course[], figure: (minute: Minute) => number): Series[] {
  return courses.map(({ policy, minutes }) => ({
    name: policy,
    look: looks.get(policy) ?? '',
    points: minutes.map((minute) => [minute.minute, figure(minute)] as const).filter(([, y]) => Number.isFinite(y)),
  }))
}

function criticalTable(courses: readonly Course[]): string {
  const rows = courses.map(({ policy, minutes }) => {
    const total = (figure: (minute: Minute) => number) => minutes.reduce((sum, minute) => sum + figure(minute), 0)
    const refused = total(({ critical }) => critical.refused) / total(({ critical }) => critical.offered)
    const last = minutes.at(-1)
    const cells = [
      `${((100 * total(({ goodput }) => goodput)) / minutes.length).toFixed(1)} %`,
      `${(100 * Math.min(...minutes.slice(1).map(({ goodput }) => goodput))).toFixed(1)} %`,
      `${(100 * refused).toFixed(1)} %`,
      duration(last?.p50Ms),
      duration(last?.critical.p99Ms),
    ]
    return `<tr><th>${escaped(policy)}</th>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
  })
  const heads = ['goodput of all minutes', 'least after the first', 'critical refused', 'p50, last minute', 'critical p99, last minute'] // prettier-ignore
  return `<table><tr><th></th>${heads.map((head) => `<th>${head}</th>`).join('')}</tr>${rows.join('')}</table>`
}

function sample(policy: string): string {
  return `<svg viewBox="0 0 32 12" aria-hidden="true"><path class="line ${looks.get(policy) ?? ''}" d="M1 6H31"/></svg>`
}

function duration(ms = NaN): string {
  return ms < 10_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(0)} s`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
