/**
 * One flat folder of files, and what "durable" means: a write after the file's `sync`, a creation, rename or removal
 * after `syncDirectory`. `NodeDisk` (`@hs/core/node`) is the real one, `MemoryDisk` (`@hs/core/testing`) keeps all at
 * once, `@hs/sim` has one that loses what was not synced.
 */

export interface Disk {
  /**
   * @param name `[A-Za-z0-9_][A-Za-z0-9._-]{0,199}`, else `'INVALID_ARGUMENT'`.
   * @throws an error of code `'ENOENT'` for a missing file, unless `create` is set.
   */
  open(name: string, options?: DiskOpenOptions): Promise<DiskFile>
  /** Names of all files, sorted. */
  list(): Promise<string[]>
  /** Atomic; replaces `to`. */
  rename(from: string, to: string): Promise<void>
  /** An absent file is fine. */
  remove(name: string): Promise<void>
  syncDirectory(): Promise<void>
  /**
   * Makes the caller the one owner of the folder; the result releases it.
   * @throws HsError `'DISK_LOCKED'` while another owner lives.
   */
  lock(): Promise<() => Promise<void>>
}

export interface DiskOpenOptions {
  /** Creates a missing file. @default false */
  create?: boolean
}

export interface DiskFile {
  size(): Promise<number>
  /** Shorter than `length` only at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>
  /**
   * A write beyond the end fills the gap with zeros. `bytes` must stay as they are until it resolves.
   * @throws HsError `'INVALID_ARGUMENT'` for an offset that is no integer of at least 0, or bytes that are none.
   */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** A failure means that what was written may be lost, whatever a later `sync` says. */
  sync(): Promise<void>
  truncate(size: number): Promise<void>
  close(): Promise<void>
}
