/**
 * Where the nonce stands in the bytes of a message. Both messages have it first, and always as a 64-bit float, so that
 * a probe need not be encoded anew each time, nor an answer be decoded that says what the last one said.
 */

/** After the header of a map of less than 16 fields, the key, and the type. */
const HEAD = [0xa5, ...Array.from('nonce', (letter) => letter.charCodeAt(0)), 0xcb]
const NONCE_AT = 1 + HEAD.length
const NONCE_END = NONCE_AT + 8

/** From here to twice as much, numbers are whole, and too large for any form but a float. */
export const MIN_NONCE = 2 ** 52

/** The nonce of a message that begins with it; NaN for any other bytes, which may be a message all the same. */
export function peekNonce(bytes: Uint8Array): number {
  if (bytes.length < NONCE_END || ((bytes[0] ?? 0) & 0xf0) !== 0x80) return NaN
  for (let i = 0; i < HEAD.length; i++) if (bytes[i + 1] !== HEAD[i]) return NaN
  for (let i = 0; i < 8; i++) float.setUint8(i, bytes[NONCE_AT + i] ?? 0)
  return float.getFloat64(0)
}

/** Writes another nonce into a message that begins with one. */
export function writeNonce(bytes: Uint8Array, nonce: number): void {
  float.setFloat64(0, nonce)
  for (let i = 0; i < 8; i++) bytes[NONCE_AT + i] = float.getUint8(i)
}

/** Whether two messages that begin with their nonces say the same but for them. */
export function sameButNonce(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length || a[0] !== b[0]) return false
  for (let i = NONCE_END; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Between bytes and a number: a view onto each message would cost more than all the rest. */
const float = /* @__PURE__ */ new DataView(/* @__PURE__ */ new ArrayBuffer(8))
