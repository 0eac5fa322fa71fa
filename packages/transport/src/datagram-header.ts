/**
 * How a datagram begins. Its first byte is the form: 0 plain, 1 sealed; the second is reserved and 0.
 * Plain: `u8 0 | u8 0 | labelTag 4 | body`, labelTag the first 4 bytes of SHA-256("hs-label" ‖ label): it keeps clusters
 * apart that were pointed at each other by mistake. It is no protection against anyone who means harm; sealing is.
 */
import { createHash } from 'node:crypto'

export const PLAIN_HEADER_BYTES = 6

/** `u8 1 | u8 0 | keyId 4 | epoch 12 | u48 sequence | u48 wallMs | ciphertext | tag 16`: all but the ciphertext. */
const SEALED_OVERHEAD_BYTES = 46

const PLAIN = 0
const SEALED = 1

/** The six bytes before the body of a plain datagram of the cluster `label`. */
export function plainHeader(label: string): Uint8Array {
  const header = new Uint8Array(PLAIN_HEADER_BYTES)
  header[0] = PLAIN
  header.set(createHash('sha256').update('hs-label').update(label, 'utf8').digest().subarray(0, 4), 2)
  return header
}

/** Which of the two forms the bytes have, however wrong what follows may be; null if neither. */
export function datagramForm(datagram: Uint8Array): 'plain' | 'sealed' | null {
  if (datagram[1] !== 0) return null
  if (datagram[0] === PLAIN) return datagram.length >= PLAIN_HEADER_BYTES ? 'plain' : null
  return datagram[0] === SEALED && datagram.length >= SEALED_OVERHEAD_BYTES ? 'sealed' : null
}

/** Whether a plain datagram carries the label tag of `header`. */
export function hasLabelOf(header: Uint8Array, datagram: Uint8Array): boolean {
  return (
    datagram[2] === header[2] && datagram[3] === header[3] && datagram[4] === header[4] && datagram[5] === header[5]
  )
}
