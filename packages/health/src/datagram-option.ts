/** The field of a schema that takes a datagram transport. */
import type { DatagramTransport } from '@hs/core'
import * as z from 'zod'

export const transportField = () => z.custom<DatagramTransport>(isDatagram, 'expected a DatagramTransport')

function isDatagram(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { send, onMessage } = value as Partial<DatagramTransport>
  return typeof send === 'function' && typeof onMessage === 'function'
}
