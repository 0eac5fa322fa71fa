/**
 * The other end of `FederatedHealth`: answers probes from the receive callback, with what its manager says at that
 * moment. It answers to where a probe came from and has neither timers nor a queue. It lives as long as its transport,
 * which is its owner's to close; there is nothing else to stop.
 */
import {
  DecodeError,
  ErrorReporter,
  HsError,
  parseOptions,
  runtimeShape,
  type DatagramTransport,
  type RuntimeOptions,
} from '@hs/core'
import * as z from 'zod'
import { transportField } from './datagram-option.js'
import { ackCodec, probeCodec, reportSchema, type ProbeMessage, type ResponderReport } from './federated-messages.js'

export interface FederatedResponderOptions extends RuntimeOptions {
  /** This protocol's alone; closed by its owner. */
  transport: DatagramTransport
  /** Probes for another one are not answered. */
  datacenter: string
  /** Names this manager: `Member.name`. */
  node: string
  /** Asked for each answer. If it throws there is none, and what it threw is reported. */
  report: () => ResponderReport
}

export interface FederatedResponderSnapshot {
  /** Probes answered. */
  readonly answered: number
  /** Probes that could not be: `report` or the transport threw. */
  readonly failed: number
  /** Datagrams that were no probe of this datacenter. */
  readonly ignored: number
}

const schema = /* @__PURE__ */ (() =>
  z.strictObject({
    ...runtimeShape,
    transport: transportField(),
    datacenter: z.string().min(1),
    node: z.string().min(1),
    report: z.custom<() => ResponderReport>((x) => typeof x === 'function', 'expected a function'),
  }))()

/** On every manager, so that whichever is asked can name the leader. */
export class FederatedResponder {
  readonly #transport: DatagramTransport
  readonly #datacenter: string
  readonly #node: string
  readonly #report: () => ResponderReport
  readonly #reporter: ErrorReporter
  #answered = 0
  #failed = 0
  #ignored = 0

  /**
   * Becomes the handler of `transport`.
   * @throws ConfigError
   */
  constructor(options: FederatedResponderOptions) {
    const { transport, datacenter, node, report, ...runtime } = parseOptions(schema, options, 'FederatedResponder')
    this.#transport = transport
    this.#datacenter = datacenter
    this.#node = node
    this.#report = report
    this.#reporter = new ErrorReporter(runtime)
    transport.onMessage((from, bytes) => this.#receive(from, bytes))
  }

  /** What a dashboard shows. */
  snapshot(): FederatedResponderSnapshot {
    return Object.freeze({ answered: this.#answered, failed: this.#failed, ignored: this.#ignored })
  }

  #receive(from: string, bytes: Uint8Array): void {
    const probe = decodeProbe(bytes)
    if (probe === null || probe.datacenter !== this.#datacenter) {
      this.#ignored++
      return
    }
    try {
      this.#transport.send(from, this.#ack(probe))
      this.#answered++
    } catch (error) {
      this.#failed++
      this.#reporter.report('FederatedResponder.report', error, { datacenter: this.#datacenter, node: this.#node })
    }
  }

  #ack({ nonce }: ProbeMessage): Uint8Array {
    const checked = z.safeParse(reportSchema, this.#report())
    if (!checked.success) throw malformed(checked.error)
    return ackCodec.encode({ nonce, datacenter: this.#datacenter, node: this.#node, ...checked.data })
  }
}

function decodeProbe(bytes: Uint8Array): ProbeMessage | null {
  try {
    return probeCodec.decode(bytes)
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

function malformed(cause: z.ZodError): HsError {
  const [issue] = cause.issues
  const path = issue?.path.map(String).join('.') ?? ''
  return new HsError('INVALID_ARGUMENT', `What report() gave is no report at ${path}: ${issue?.message ?? ''}`, {
    cause,
  })
}
