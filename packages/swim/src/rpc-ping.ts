/** Pings over the reliable transport, for members whose datagrams do not get through. */
import { ClosedError, HsError, msgpackCodec } from '@hs/core'
import * as z from 'zod'
import type { ClusterState } from './cluster-state.js'
import type { MemberRecord } from './member-record.js'

const codecs = () => (cachedCodecs ??= makeCodecs())
let cachedCodecs: ReturnType<typeof makeCodecs> | undefined
const makeCodecs = () => ({
  request: msgpackCodec(z.object({ target: z.string() }), { maxBytes: 1_024 }),
  answer: msgpackCodec(z.object({ id: z.string() }), { maxBytes: 1_024 }),
})

export class RpcPing {
  readonly #state: ClusterState
  readonly #method: string

  constructor(state: ClusterState) {
    this.#state = state
    this.#method = `swim/${state.settings.cluster}/ping`
  }

  /** Answers the pings of others from now on. */
  listen(): void {
    this.#state.rpc.handle(this.#method, (body) => {
      const { self, isActive } = this.#state
      if (!isActive) throw new ClosedError('Cluster')
      const { target } = codecs().request.decode(body)
      if (target !== self.name) throw new HsError('UNKNOWN_MEMBER', `This is ${self.name}, not ${target}`)
      return codecs().answer.encode({ id: self.id })
    })
  }

  /** Calls `onAnswer` if this very process of the member answers. Failure is what the datagrams show already. */
  ask(member: MemberRecord, timeoutMs: number, onAnswer: () => void): void {
    const { id, name, rpcAddress } = member
    const body = codecs().request.encode({ target: name })
    this.#state.requests.send(rpcAddress, this.#method, body, { timeoutMs }).then(
      (answer) => {
        try {
          if (this.#state.isActive && codecs().answer.decode(answer).id === id) onAnswer()
        } catch (error) {
          this.#state.reporter.report('Cluster.rpcPing', error, { member: name })
        }
      },
      () => this.#state.countRpcFailure(),
    )
  }
}
