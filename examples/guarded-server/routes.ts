/** What matters how much, and who asks: the part that is different in every service. */
import type { IncomingHttpHeaders } from 'node:http'
import type { MessagePriority } from '@hs/overload'

const priorities: readonly (readonly [prefix: string, MessagePriority])[] = [
  ['/health', 'critical'],
  ['/checkout/', 'high'],
  ['/browse/', 'normal'],
]

export function priorityOf(path: string): MessagePriority {
  return priorities.find(([prefix]) => path.startsWith(prefix))?.[1] ?? 'low'
}

/** Whose rate it counts towards: a key if there is one, else the address. */
export function clientOf(headers: IncomingHttpHeaders, address: string | undefined): string {
  const key = headers['x-api-key']
  return typeof key === 'string' && key !== '' ? `key ${key}` : `address ${address ?? 'unknown'}`
}

/** `/checkout/lamp` asks for a lamp. */
export function articleOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
