/** Whether it is a `Uint8Array` (a `Buffer` is one), of whatever realm; a name or a prototype alone does not make one. */
export function isBinary(value: unknown): value is Uint8Array {
  return tag?.call(value) === 'Uint8Array'
}

/** The engine's own answer to what kind of typed array something is; undefined for anything else. */
const tag = /* @__PURE__ */ (() =>
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)?.get)()
