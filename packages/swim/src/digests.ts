/**
 * A view in 256 bytes: 64 buckets by name, each the exclusive or of one hash a record. Equal digests mean equal views
 * (but for one in 2³² a bucket), and a changed record changes one bucket in O(1).
 */
import type { MemberRecord } from './member-record.js'
import { hashText } from './text.js'

export const BUCKETS = 64
export const DIGEST_BYTES = BUCKETS * 4

export function bucketOf(name: string): number {
  // The upper bits: an index takes the lower ones.
  return hashText(name) >>> 26
}

export class Digests {
  readonly #buckets = new Int32Array(BUCKETS)

  /** Puts a record in that is not in, or takes one out that is: whoever changes a record does both around it. */
  toggle(record: MemberRecord): void {
    const bucket = bucketOf(record.name)
    this.#buckets[bucket] = (this.#buckets[bucket] as number) ^ record.digest()
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(DIGEST_BYTES)
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < BUCKETS; i++) view.setInt32(i * 4, this.#buckets[i] as number)
    return bytes
  }

  /** The buckets in which another view differs. */
  differences(theirs: Uint8Array): number[] {
    const view = new DataView(theirs.buffer, theirs.byteOffset, theirs.byteLength)
    const differing: number[] = []
    for (let i = 0; i < BUCKETS; i++) if (view.getInt32(i * 4) !== this.#buckets[i]) differing.push(i)
    return differing
  }
}
