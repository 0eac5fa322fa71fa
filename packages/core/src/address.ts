/** Network addresses as text: `host:port`, or `[ipv6]:port`. Names are not resolved here. */
import { DecodeError, HsError } from './errors.js'

export interface Address {
  /** An IPv6 address stands without brackets. */
  readonly host: string
  readonly port: number
}

export interface ParseAddressOptions {
  /** Also takes port 0, "any free one": for addresses that are listened on. @default false */
  allowZeroPort?: boolean
}

const hostPattern = /^[A-Za-z0-9._-]+$/
const addressPattern = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/

/** Reads `host:port` or `[ipv6]:port`. @throws DecodeError, saying what is wrong. */
export function parseAddress(text: string, options: ParseAddressOptions = {}): Address {
  if (typeof text !== 'string') throw new DecodeError(`An address is text, found ${typeof text}`)
  const match = addressPattern.exec(text)
  if (match === null) throw invalid(text, 'expected host:port or [ipv6]:port')
  const [, inBrackets, name = '', digits] = match
  const host = inBrackets ?? name
  if (inBrackets === undefined ? !hostPattern.test(host) : !isIpv6(host)) {
    throw invalid(
      text,
      inBrackets === undefined ? 'the host is no name or IPv4 address' : 'no IPv6 address in brackets',
    )
  }
  const port = Number(digits)
  const lowest = options.allowZeroPort === true ? 0 : 1
  if (port < lowest || port > 65_535) throw invalid(text, `the port must be from ${lowest} to 65535`)
  return Object.freeze({ host, port })
}

/**
 * The inverse of `parseAddress`, port 0 included.
 * @throws HsError `'INVALID_ARGUMENT'` for what `parseAddress` could not read back.
 */
export function formatAddress(host: string, port: number): string {
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new HsError('INVALID_ARGUMENT', `A port is an integer from 0 to 65535, found ${String(port)}`)
  }
  if (typeof host === 'string' && isIpv6(host)) return `[${host}]:${port}`
  if (typeof host === 'string' && hostPattern.test(host)) return `${host}:${port}`
  throw new HsError(
    'INVALID_ARGUMENT',
    `Expected a host name or an address without brackets, found ${typeof host === 'string' ? JSON.stringify(host) : typeof host}`,
  )
}

function invalid(text: string, why: string): DecodeError {
  return new DecodeError(`Not an address: ${JSON.stringify(text.slice(0, 120))}: ${why}`)
}

/** RFC 4291, section 2.2, without a zone: eight groups, one run of zeros as `::`, the last two perhaps as IPv4. */
function isIpv6(text: string): boolean {
  const [head = '', tail, ...more] = text.split('::')
  if (more.length > 0) return false
  const before = groupsOf(head, tail === undefined)
  const after = tail === undefined ? 0 : groupsOf(tail, true)
  return tail === undefined ? before === 8 : before + after <= 7
}

/** How many 16-bit groups it holds; NaN if it is not made of groups. */
function groupsOf(text: string, mayEndInIpv4: boolean): number {
  if (text === '') return 0
  const groups = text.split(':')
  const last = groups.at(-1) ?? ''
  const ipv4 = mayEndInIpv4 && isIpv4(last)
  const plain = ipv4 ? groups.slice(0, -1) : groups
  return plain.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group)) ? plain.length + (ipv4 ? 2 : 0) : NaN
}

function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
}
