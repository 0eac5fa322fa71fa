/**
 * The id of a job is a function of its cluster and idempotency key: whoever submits the same key twice, to whichever
 * gate, means the same job.
 */
import { sha256 } from '@noble/hashes/sha2.js'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567' // RFC 4648, lower case
const LENGTH = 26

/** 'j' and the first 26 characters of base32 of SHA-256 of cluster, a zero byte and the key. */
export function jobIdOf(cluster: string, idempotencyKey: string): string {
  return `j${base32(sha256(new TextEncoder().encode(`${cluster}\0${idempotencyKey}`))).slice(0, LENGTH)}`
}

/** What tells two submissions under one key apart: SHA-256 of what was submitted, as base32. */
export function fingerprintOf(submission: Uint8Array): string {
  return base32(sha256(submission))
}

function base32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let buffer = 0
  for (const byte of bytes) {
    buffer = ((buffer << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += ALPHABET[(buffer >>> bits) & 31] ?? ''
    }
  }
  if (bits > 0) text += ALPHABET[(buffer << (5 - bits)) & 31] ?? ''
  return text
}
