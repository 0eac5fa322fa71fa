/**
 * A closed loop: so many requests are unanswered at any time, the next one leaves when an answer comes, until the time
 * is over. Latencies are kept in one typed array, so that measuring adds little to what is measured.
 */

export interface LoadPlan {
  readonly body: Uint8Array
  readonly concurrency: number
  readonly durationMs: number
}

export interface LoadResult {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** What a peer is measured by: `drive` keeps the loop going by whatever means cost it least. */
export interface EchoClient {
  drive(plan: LoadPlan): Promise<LoadResult>
  close(): Promise<void> | void
}

const MAX_SAMPLES = 2 ** 20

class Latencies {
  readonly #samples = new Float64Array(MAX_SAMPLES)
  #count = 0

  add(ms: number): void {
    this.#samples[this.#count++ & (MAX_SAMPLES - 1)] = ms
  }

  result(elapsedMs: number): LoadResult {
    const sorted = this.#samples.subarray(0, Math.min(this.#count, MAX_SAMPLES)).sort()
    const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
    const result = { perSecond: (this.#count / elapsedMs) * 1_000, p50Ms: at(0.5), p99Ms: at(0.99) }
    this.#count = 0
    return result
  }
}

const latencies = new Latencies()

/** For peers whose call is a promise: one loop for each unanswered request. */
export async function driveCalls(plan: LoadPlan, call: (body: Uint8Array) => Promise<Uint8Array>): Promise<LoadResult> {
  const start = performance.now()
  const end = start + plan.durationMs
  const loop = async () => {
    for (let now = performance.now(); now < end;) {
      const answer = await call(plan.body)
      if (answer.length !== plan.body.length) throw new Error(`an echo of ${answer.length} bytes`)
      const after = performance.now()
      latencies.add(after - now)
      now = after
    }
  }
  await Promise.all(Array.from({ length: plan.concurrency }, loop))
  return latencies.result(performance.now() - start)
}

/** For peers that call back: `send(id)` starts request `id`, `answered(id)` ends it and starts the next. */
export class CallbackLoop {
  readonly #startedAt: Float64Array
  readonly #end: number
  readonly #start = performance.now()
  readonly #send: (id: number) => void
  readonly #finished: (result: LoadResult) => void
  #inFlight: number

  constructor(plan: LoadPlan, send: (id: number) => void, finished: (result: LoadResult) => void) {
    this.#startedAt = new Float64Array(plan.concurrency).fill(this.#start)
    this.#end = this.#start + plan.durationMs
    this.#send = send
    this.#finished = finished
    this.#inFlight = plan.concurrency
  }

  begin(): void {
    for (let id = 0; id < this.#startedAt.length; id++) this.#send(id)
  }

  answered(id: number): void {
    const now = performance.now()
    latencies.add(now - (this.#startedAt[id] ?? now))
    if (now < this.#end) {
      this.#startedAt[id] = now
      this.#send(id)
      return
    }
    if (--this.#inFlight === 0) this.#finished(latencies.result(now - this.#start))
  }
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
