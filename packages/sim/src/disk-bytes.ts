/** Bytes that grow by doubling; beyond their end, and in gaps, they read as zeros. */
export class DiskBytes {
  #size = 0
  #bytes = new Uint8Array(0)

  get size(): number {
    return this.#size
  }

  /** A copy; short at the end. */
  read(offset: number, length: number): Uint8Array {
    return this.#bytes.slice(Math.min(offset, this.#size), Math.min(offset + length, this.#size))
  }

  write(offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#reserve(offset + bytes.length)
    this.#bytes.set(bytes, offset)
    this.#size = Math.max(this.#size, offset + bytes.length)
  }

  truncate(size: number): void {
    this.#reserve(size)
    // What is beyond the end must read as zeros when the file grows again.
    if (size < this.#size) this.#bytes.fill(0, size, this.#size)
    this.#size = size
  }

  /** Becomes a copy of `other`. */
  copyFrom(other: DiskBytes): void {
    this.#bytes = other.#bytes.slice(0, other.#size)
    this.#size = other.#size
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(size, this.#bytes.length * 2))
    larger.set(this.#bytes.subarray(0, this.#size))
    this.#bytes = larger
  }
}
