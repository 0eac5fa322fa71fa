/**
 * Which gate takes a submission: the one that owns the job already, or the one that should. Whoever is neither passes it
 * on; if the one that should own it does not answer and is suspected to be dead, the next one in order takes its place.
 */
import type { GateCluster } from './gate-cluster.js'
import type { JobClaims } from './job-claims.js'
import { isLinkFailure } from './link-failure.js'
import type { NodeLife } from './node-life.js'
import { jobSubmit } from './wire/client-gate.js'
import { refuse, type JobOwner } from './wire/fields.js'
import type { Answer, RequestOf } from './wire/method.js'

type Submitted = Answer<{ jobId: string; owner: JobOwner }>

/** Gates that a submission may pass through; beyond, they disagree about who is there. */
const MAX_HOPS = 2

export class JobPlacement {
  readonly #life: NodeLife
  readonly #gates: GateCluster
  readonly #claims: JobClaims
  #forwarded = 0

  constructor(life: NodeLife, gates: GateCluster, claims: JobClaims) {
    this.#life = life
    this.#gates = gates
    this.#claims = claims
  }

  get forwarded(): number {
    return this.#forwarded
  }

  /** What the gate that takes it answers; `'here'`: this one takes it. What was true before the wait may not be now. */
  async place(jobId: string, request: RequestOf<typeof jobSubmit>): Promise<Submitted | 'here'> {
    const { id } = this.#life
    if (request.hops > MAX_HOPS) return this.#loop(jobId)
    const claimed = this.#claims.ownerOf(jobId)
    if (claimed !== undefined && claimed.gateId !== id) {
      const answer = this.#gates.find(claimed.gateId) && (await this.#pass(claimed.address, jobId, request))
      return answer ?? this.#silent(claimed.gateId)
    }
    if (!this.#gates.hasQuorum) return this.noQuorum()
    for (const name of this.#gates.order(jobId)) {
      if (name === id) return this.#gates.hasQuorum ? 'here' : this.noQuorum()
      const address = this.#gates.find(name)?.rpcAddress
      const answer = address === undefined ? null : await this.#pass(address, jobId, request)
      if (answer !== null) return answer
      if (this.#gates.isAlive(name)) return this.#silent(name)
    }
    return this.#silent(id)
  }

  noQuorum(): Submitted {
    return refuse('NO_QUORUM', `${this.#life.id} does not see a majority of the gates`, this.#soon())
  }

  async #pass(to: string, jobId: string, request: RequestOf<typeof jobSubmit>): Promise<Submitted | null> {
    const hops = request.hops + 1
    if (hops > MAX_HOPS) return this.#loop(jobId)
    this.#forwarded++
    const { peer, scope, runtime } = this.#life
    try {
      const answer = await peer.ask(to, jobSubmit, { ...request, hops }, { signal: scope.signal })
      return !answer.ok && answer.code === 'NODE_STOPPED' ? null : answer
    } catch (error) {
      if (!isLinkFailure(error)) throw error
      runtime.logger.debug('a gate did not take a submission', { jobId, gate: to, err: error })
      return null
    }
  }

  #loop(jobId: string): Submitted {
    return refuse('FORWARD_LOOP', `${jobId} was passed on ${MAX_HOPS} times: gates disagree about who is there`)
  }

  #silent(gateId: string): Submitted {
    return refuse('NO_GATE', `${gateId}, which is to own the job, does not answer`, this.#soon())
  }

  #soon(): { retryAfterMs: number } {
    return { retryAfterMs: this.#life.timing.reportMs }
  }
}
