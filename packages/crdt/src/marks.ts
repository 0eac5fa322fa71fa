/** Which records changed since the last delta, each once: what a mutator pays for deltas is one flag. */

export interface Markable {
  marked: boolean
}

export class Marks<R extends Markable> {
  #records: R[] = []

  add(record: R): void {
    if (record.marked) return
    record.marked = true
    this.#records.push(record)
  }

  /** The records, and none is marked any more. */
  take(): readonly R[] {
    const records = this.#records
    if (records.length === 0) return records
    for (const record of records) record.marked = false
    this.#records = []
    return records
  }

  /**
   * After a record was forgotten. It stays marked, for its last change has not travelled yet; but where nobody takes
   * deltas, forgotten records must not pile up.
   */
  prune(kept: number, isKept: (record: R) => boolean): void {
    if (this.#records.length > 2 * kept + 64) this.#records = this.#records.filter(isKept)
  }
}
