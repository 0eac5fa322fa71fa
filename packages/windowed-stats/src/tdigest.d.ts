/** The part of the `tdigest` package, which has no types of its own, that is used here. */
declare module 'tdigest' {
  export interface Centroid {
    mean: number
    n: number
  }
  export class TDigest {
    /** @param K 0 turns the package's own recompression off, which rolls dice. */
    constructor(delta: number, K: number, CX?: number)
    readonly n: number
    size(): number
    push(x: number, n?: number): void
    push_centroid(centroids: readonly Centroid[]): void
    percentile(p: number): number | undefined
    /** Ascending by mean; copies. */
    toArray(): Centroid[]
    /** Inserts without looking for a centroid to merge with. */
    _new_centroid(mean: number, n: number, cumulative: number): Centroid
  }
}
