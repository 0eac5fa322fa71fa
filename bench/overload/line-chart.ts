/** Lines over minutes, as SVG whose colours are the page's: its classes are `grid`, `axis`, `reference` and the looks. */

export interface Series {
  readonly name: string
  /** The class of its line. */
  readonly look: string
  /** Minute and value. */
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface LineChart {
  /** Of the values: stands at the labels of the axis. */
  readonly unit: string
  readonly series: readonly Series[]
  readonly isLogarithmic?: boolean
  /** Highest value of a linear axis. */
  readonly max?: number
  /** A value to compare with. */
  readonly reference?: number
}

const [WIDTH, HEIGHT] = [420, 240]
const [LEFT, RIGHT, TOP, BOTTOM] = [58, 408, 10, 204]

export function lineChart(chart: LineChart): string {
  const lastMinute = Math.max(1, ...chart.series.flatMap(({ points }) => points.map(([x]) => x)))
  const x = (minute: number) => LEFT + ((RIGHT - LEFT) * minute) / lastMinute
  const { y, ticks } = chart.isLogarithmic === true ? logarithmic(chart) : linear(chart.max ?? 100)
  const parts = [
    ...ticks.map((tick) => `<path class="grid" d="M${LEFT} ${y(tick)}H${RIGHT}"/>`),
    ...ticks.map(
      (tick) => `<text x="${LEFT - 6}" y="${y(tick) + 4}" text-anchor="end">${labelOf(tick, chart.unit)}</text>`,
    ),
    `<path class="axis" d="M${LEFT} ${BOTTOM}H${RIGHT}"/>`,
    ...minuteTicks(lastMinute).map(
      (minute) => `<text x="${round(x(minute))}" y="${BOTTOM + 16}" text-anchor="middle">${minute}</text>`,
    ),
    `<text x="${(LEFT + RIGHT) / 2}" y="${HEIGHT - 4}" text-anchor="middle">minutes</text>`,
    ...(chart.reference === undefined ? [] : [`<path class="reference" d="M${LEFT} ${y(chart.reference)}H${RIGHT}"/>`]),
    ...chart.series
      .filter(({ points }) => points.length > 0)
      .map(({ name, look, points }) => {
        const path = points.map(([minute, value]) => `${round(x(minute))} ${y(value)}`).join('L')
        return `<path class="line ${look}" d="M${path}"><title>${name}</title></path>`
      }),
  ]
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">${parts.join('')}</svg>`
}

interface Axis {
  readonly y: (value: number) => number
  readonly ticks: readonly number[]
}

function linear(max: number): Axis {
  const y = (value: number) => round(BOTTOM - ((BOTTOM - TOP) * Math.min(value, max)) / max)
  return { y, ticks: [0, 25, 50, 75, 100] }
}

/** Whole decades, or what the values need of the first and the last. */
function logarithmic({ series, reference }: LineChart): Axis {
  const values = [...series.flatMap(({ points }) => points.map(([, value]) => value)), reference ?? 10]
  const low = Math.log10(Math.max(1, Math.min(...values)) * 0.8)
  const high = Math.log10(Math.max(...values) * 1.25)
  const y = (value: number) => round(BOTTOM - ((BOTTOM - TOP) * (Math.log10(value) - low)) / (high - low))
  const steps = high - low < 2.2 ? [1, 2, 5] : [1]
  const ticks = Array.from({ length: 9 }, (_, power) => steps.map((step) => step * 10 ** power)).flat()
  return { y, ticks: ticks.filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high) }
}

function minuteTicks(last: number): number[] {
  const step = [1, 2, 5, 10, 15, 20, 30, 60].find((each) => last / each <= 8) ?? Math.ceil(last / 8)
  return Array.from({ length: Math.floor(last / step) + 1 }, (_, index) => index * step)
}

function labelOf(value: number, unit: string): string {
  if (unit === 'ms' && value >= 1_000) return `${(value / 1_000).toLocaleString('en')} s`
  return `${value.toLocaleString('en')}${unit === '' ? '' : ` ${unit}`}`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
