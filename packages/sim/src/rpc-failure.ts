/** What a request is rejected with. */

import { TransportError, type TransportErrorCode, type TransportErrorOptions } from '@hs/core'

export function rpcFailure(code: TransportErrorCode, message: string, options?: TransportErrorOptions): TransportError {
  return new TransportError(code, message, options)
}
