/**
 * A member whose messages can be held, as the paper holds them: nothing that it sends leaves and nothing that is sent
 * to it arrives until it is released, while its timers go on. Then all of it passes at once, in the order in which it
 * came; nothing is lost. What passes outwards is counted.
 */
import { TransportError, type Clock, type DatagramTransport, type RpcTransport } from '@hs/core'

const DEFAULT_TIMEOUT_MS = 30_000

export interface Traffic {
  messages: number
  bytes: number
}

export class Gate {
  #waiting: (() => void)[] | undefined

  hold(): void {
    this.#waiting ??= []
  }

  release(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const pass of waiting) pass()
  }

  /** What waits is lost, as what was sent to a process that is no more. */
  discard(): void {
    this.#waiting = undefined
  }

  get isHeld(): boolean {
    return this.#waiting !== undefined
  }

  /** Runs `fn` now, or at the release. */
  pass(fn: () => void): void {
    if (this.#waiting === undefined) fn()
    else this.#waiting.push(fn)
  }

  /** Resolves now, or at the release. */
  passed(): Promise<void> {
    return new Promise((resolve) => this.pass(resolve))
  }
}

export function gatedDatagram(inner: DatagramTransport, gate: Gate, traffic: Traffic): DatagramTransport {
  const send = (to: string, bytes: Uint8Array) => {
    traffic.messages++
    traffic.bytes += bytes.length
    inner.send(to, bytes)
  }
  return {
    address: inner.address,
    maxMessageBytes: inner.maxMessageBytes,
    send(to, bytes) {
      if (!gate.isHeld) return send(to, bytes)
      // The caller may use its buffer again.
      const copy = bytes.slice()
      gate.pass(() => send(to, copy))
    },
    onMessage(fn) {
      inner.onMessage((from, bytes) => (gate.isHeld ? gate.pass(() => fn(from, bytes)) : fn(from, bytes)))
    },
    close: () => inner.close(),
  }
}

export function gatedRpc(inner: RpcTransport, gate: Gate, traffic: Traffic, clock: Clock): RpcTransport {
  const count = (bytes: Uint8Array) => {
    traffic.messages++
    traffic.bytes += bytes.length
    return bytes
  }
  return {
    address: inner.address,
    request(to, method, body, options = {}) {
      const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options
      const deadline = clock.now() + timeoutMs
      return new Promise((resolve, reject) => {
        // Whether held or not, whoever asks waits no longer.
        const timer = clock.setTimer(timeoutMs, () =>
          reject(new TransportError('DEADLINE_EXCEEDED', `${method} was not answered within ${timeoutMs} ms`)),
        )
        const settle = (fn: () => void) =>
          gate.pass(() => {
            timer.cancel()
            fn()
          })
        const ask = async () => {
          const leftMs = Math.max(0, deadline - clock.now())
          try {
            const asked = inner.request(to, method, count(body), {
              timeoutMs: leftMs,
              ...(signal === undefined ? {} : { signal }),
            })
            const answer = await asked
            settle(() => resolve(answer))
          } catch (error) {
            settle(() => reject(error))
          }
        }
        gate.pass(() => void ask())
      })
    },
    async notify(to, method, body) {
      await gate.passed()
      await inner.notify(to, method, count(body))
    },
    handle(method, fn) {
      inner.handle(method, async (body, from, call) => {
        if (gate.isHeld) await gate.passed()
        const answer = await fn(body, from, call)
        if (gate.isHeld) await gate.passed()
        return count(answer)
      })
    },
    close: () => inner.close(),
  }
}
