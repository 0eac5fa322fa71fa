/**
 * Between the texts that protocols know peers by (`10.0.0.6:7000`, `[::1]:7000`) and what a socket of one family wants.
 * Both directions remember what they have seen, because a protocol talks to the same peers packet after packet.
 * On an IPv6 socket IPv4 peers appear as `::ffff:10.0.0.6`; the texts say `10.0.0.6` all the same, so that a peer has
 * one name whatever the socket.
 */
import { isIP, isIPv4 } from 'node:net'
import { DecodeError, parseAddress } from '@hs/core'

export interface IpEndpoint {
  /** As the socket's family writes it. */
  readonly host: string
  readonly port: number
}

/** Peers remembered; at more the memory starts afresh, which costs only time. */
const MAX_REMEMBERED = 4_096
const MAPPED_IPV4 = '::ffff:'
/** The interface that a link-local address belongs to, as in `[fe80::1%eth0]:7000`; it is part of no name but of the source. */
const ZONE = /(?<=^\[[^%\]]*)%[^\]%]+(?=\])/

export class IpEndpoints {
  readonly #family: 4 | 6
  readonly #byText = new Map<string, IpEndpoint>()
  #lastText = ''
  #lastEndpoint: IpEndpoint | null = null
  #lastSource = { address: '', port: 0, text: '' }

  constructor(family: 4 | 6) {
    this.#family = family
  }

  /** @throws DecodeError if `text` is not an IP literal with a port. */
  parse(text: string): IpEndpoint {
    if (text === this.#lastText && this.#lastEndpoint !== null) return this.#lastEndpoint
    const endpoint = this.#byText.get(text) ?? this.#remember(text)
    this.#lastText = text
    this.#lastEndpoint = endpoint
    return endpoint
  }

  /** The text for a source that the socket reports. */
  textOf(address: string, port: number): string {
    const last = this.#lastSource
    if (port === last.port && address === last.address) return last.text
    const text = endpointText(address, port)
    this.#lastSource = { address, port, text }
    return text
  }

  #remember(text: string): IpEndpoint {
    const [zone = ''] = ZONE.exec(text) ?? []
    const { host, port } = parseAddress(text.replace(zone, ''))
    if (isIP(host) === 0) throw new DecodeError(`"${host}" is a name: expected an IP address, look names up first`)
    const endpoint = { host: this.#family === 6 && isIPv4(host) ? MAPPED_IPV4 + host : host + zone, port }
    if (this.#byText.size >= MAX_REMEMBERED) this.#byText.clear()
    this.#byText.set(text, endpoint)
    return endpoint
  }
}

/** The inverse of `parse`. */
export function endpointText(address: string, port: number): string {
  if (!address.includes(':')) return `${address}:${port}`
  const ipv4 = address.slice(MAPPED_IPV4.length)
  if (address.startsWith(MAPPED_IPV4) && isIPv4(ipv4)) return `${ipv4}:${port}`
  return `[${address}]:${port}`
}
