/** The header by which an HTTP server says when to come back: RFC 9110, sections 10.2.3 and 5.6.7. */

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const time = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)'
const month = `(?<month>${months.join('|')})`
/** What servers send, and the two obsolete forms that a recipient has to understand. */
const dateForms = [
  new RegExp(`^[A-Z][a-z]{2}, (?<day>\\d\\d) ${month} (?<year>\\d{4}) ${time} GMT$`),
  new RegExp(`^[A-Z][a-z]{5,8}, (?<day>\\d\\d)-${month}-(?<shortYear>\\d\\d) ${time} GMT$`),
  new RegExp(`^[A-Z][a-z]{2} ${month} (?<day>[ \\d]\\d) ${time} (?<year>\\d{4})$`),
]

/**
 * The time to wait that a `Retry-After` names, in milliseconds: a whole number of seconds from 0, or a date, which is 0
 * if it is past. Undefined for anything else, which a client has to ignore.
 * @param wallNow Unix epoch milliseconds, for dates.
 */
export function parseRetryAfter(value: string | null | undefined, wallNow: number): number | undefined {
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  if (/^\d+$/.test(text)) return Number(text) * 1_000
  const date = parseHttpDate(text, wallNow)
  return date === undefined ? undefined : Math.max(0, date - wallNow)
}

/** `Date.parse` takes far more than the three forms, and what it takes differs by engine. */
function parseHttpDate(text: string, wallNow: number): number | undefined {
  for (const form of dateForms) {
    const parts = form.exec(text)?.groups
    if (parts !== undefined) return toEpochMs(parts, wallNow)
  }
  return undefined
}

function toEpochMs(parts: Readonly<Record<string, string | undefined>>, wallNow: number): number | undefined {
  const number = (name: string) => Number(parts[name])
  const year = parts['year'] === undefined ? fullYear(number('shortYear'), wallNow) : number('year')
  const monthIndex = months.indexOf(parts['month'] ?? '')
  const [day, hour, minute, second] = [number('day'), number('hour'), number('minute'), number('second')]
  // Second 60 is a leap second, which Unix time counts as the next one.
  if (hour > 23 || minute > 59 || second > 60) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, monthIndex, day)
  if (date.getUTCMonth() !== monthIndex || date.getUTCDate() !== day) return undefined
  return date.setUTCHours(hour, minute, second)
}

/** Two digits that would lie more than 50 years ahead mean the past century. */
function fullYear(shortYear: number, wallNow: number): number {
  const thisYear = new Date(wallNow).getUTCFullYear()
  const year = thisYear - (thisYear % 100) + shortYear
  return year > thisYear + 50 ? year - 100 : year
}
