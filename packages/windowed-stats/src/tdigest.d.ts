/** The part of the `tdigest` package, which has no types of its own, that is used here. */
declare module 'tdigest' {
  export interface Centroid {
    mean: number
    n: number
  }
  /** As the package holds it: with the number of samples up to its middle and its end, now and then brought up to date. */
  export interface HeldCentroid extends Centroid {
    cumn: number
    mean_cumn: number
  }
  /** What the package asks of its tree, beyond what `find_nearest` asks. */
  export interface Centroids {
    readonly size: number
    clear(): void
    min(): HeldCentroid | null
    max(): HeldCentroid | null
    insert(centroid: HeldCentroid): boolean
    each(visit: (centroid: HeldCentroid) => unknown): void
    /** The first whose middle lies above that of `than`. */
    upperBound(than: { mean_cumn: number }): Cursor
  }
  export interface Cursor {
    data(): HeldCentroid | null
    prev(): HeldCentroid | null
    next(): HeldCentroid | null
  }
  export class TDigest {
    /** @param K 0 turns the package's own recompression off, which rolls dice. */
    constructor(delta: number, K: number, CX?: number)
    centroids: Centroids
    n: number
    size(): number
    push(x: number, n?: number): void
    push_centroid(centroids: readonly Centroid[]): void
    percentile(p: number): number | undefined
    /** Ascending by mean; copies. */
    toArray(): Centroid[]
    find_nearest(x: number): HeldCentroid | null
    /** What `push` does with one number. */
    _digest(x: number, n: number): void
    /** Inserts without looking for a centroid to merge with. */
    _new_centroid(mean: number, n: number, cumulative: number): HeldCentroid
  }
}
