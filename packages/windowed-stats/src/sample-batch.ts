/**
 * The samples of a t-digest that are not in it yet: a short array instead of a tree, and as long as there are no others,
 * the exact quantiles. Samples that are equal count as one centroid, as in the digest.
 */
import type { Centroid } from 'tdigest'

const MAX_BATCH = 256
const FIRST_BATCH = 16

export class SampleBatch {
  #samples = new Float64Array(FIRST_BATCH)
  #size = 0
  /** How many of the first are in order. */
  #sorted = 0

  get size(): number {
    return this.#size
  }

  at(i: number): number {
    return this.#samples[i] ?? 0
  }

  /** @returns whether it is full now. */
  add(value: number): boolean {
    if (this.#size === this.#samples.length) {
      const larger = new Float64Array(Math.min(MAX_BATCH, this.#samples.length * 2))
      larger.set(this.#samples)
      this.#samples = larger
    }
    this.#samples[this.#size++] = value
    return this.#size === MAX_BATCH
  }

  clear(): void {
    this.#size = this.#sorted = 0
  }

  clone(): SampleBatch {
    const copy = new SampleBatch()
    copy.#samples = this.#samples.slice()
    copy.#size = this.#size
    copy.#sorted = this.#sorted
    return copy
  }

  /** By ascending mean, each of equal samples. */
  centroids(): Centroid[] {
    const centroids: Centroid[] = []
    this.#sort()
    for (let i = 0; i < this.#size;) {
      const n = this.#equalFrom(i)
      centroids.push({ mean: this.at(i), n })
      i += n
    }
    return centroids
  }

  /** Interpolated between neighbours at their mid-ranks. @param q above 0 and below 1; of one sample at least. */
  quantile(q: number): number {
    this.#sort()
    const rank = q * this.#size
    let below = Number.NaN
    let belowRank = Number.NaN
    for (let i = 0; i < this.#size;) {
      const n = this.#equalFrom(i)
      const mean = this.at(i)
      const meanRank = i + n / 2
      if (meanRank > rank) {
        return i === 0 ? mean : below + ((rank - belowRank) * (mean - below)) / (meanRank - belowRank)
      }
      below = mean
      belowRank = meanRank
      i += n
    }
    return below
  }

  #sort(): void {
    if (this.#sorted === this.#size) return
    this.#samples.subarray(0, this.#size).sort()
    this.#sorted = this.#size
  }

  #equalFrom(i: number): number {
    let end = i + 1
    while (end < this.#size && this.#samples[end] === this.#samples[i]) end++
    return end - i
  }
}
