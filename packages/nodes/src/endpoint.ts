/** A node's place on the network: TCP and UDP on one port number, or the transports it was given. */
import {
  formatAddress,
  HsError,
  parseAddress,
  type DatagramTransport,
  type RpcTransport,
  type RuntimeOptions,
} from '@hs/core'
import { TcpTransport, UdpTransport } from '@hs/transport'
import { MAX_FRAME_BYTES } from './wire/codecs.js'
import { methodPriorities } from './wire/priorities.js'

export interface Endpoint {
  readonly address: string
  readonly rpc: RpcTransport
  readonly datagram: DatagramTransport
}

export interface EndpointOptions {
  readonly listen: string
  readonly cluster: string
  readonly nodeId: string
  readonly runtime: Required<RuntimeOptions>
}

/** A port that is free for TCP may be taken for UDP. */
const MAX_PAIRS = 16
/** What runs was drained by the node itself before its transports close. */
const DRAIN_MS = 500

/** @throws (as a rejection) HsError with the system's code if it cannot listen. */
export async function listenEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const { host, port } = parseAddress(options.listen, { allowZeroPort: true })
  for (let attempt = 1; ; attempt++) {
    const rpc = tcpTransport({ ...options, listen: options.listen })
    await rpc.start()
    const bound = parseAddress(rpc.address)
    const datagram = new UdpTransport({
      ...options.runtime,
      bind: formatAddress(host, bound.port),
      label: options.cluster,
    })
    try {
      await datagram.start()
      return { address: rpc.address, rpc, datagram }
    } catch (error) {
      await Promise.all([rpc.stop(), datagram.stop()])
      if (port !== 0 || attempt === MAX_PAIRS || !HsError.is(error, 'EADDRINUSE')) throw error
    }
  }
}

/** @param options without `listen` for a transport that only dials. */
export function tcpTransport({
  listen,
  cluster,
  nodeId,
  runtime,
}: Omit<EndpointOptions, 'listen'> & { readonly listen?: string }): TcpTransport {
  return new TcpTransport({
    ...runtime,
    listen: listen ?? null,
    label: cluster,
    nodeId,
    priorities: methodPriorities(),
    maxFrameBytes: MAX_FRAME_BYTES,
    drainTimeoutMs: DRAIN_MS,
  })
}

/** Both, whatever the other one says. */
export async function closeEndpoint({ rpc, datagram }: Endpoint): Promise<void> {
  const outcomes = await Promise.allSettled([rpc.close(), datagram.close()])
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}
