/** What most shards never need, apart from their record: most succeed at once, and there are very many of them. */
import type { DueEntry } from './due-queue.js'
import { SequenceGate } from './sequence-gate.js'

/** An execution that was told to end and has not confirmed it. */
export interface Abort {
  readonly fence: number
  readonly workerId: string
  readonly reason: 'cancel' | 'stuck'
  /** Whether the shard ends with it; else another execution takes its place. */
  readonly isFinal: boolean
  sends: number
  due: DueEntry | null
}

/** What went wrong with a shard so far. */
export class ShardSetbacks {
  /** Executions whose `run()` failed. */
  runFailures = 0
  /** Refusals in a row. */
  rejections = 0
  /** Of an execution that was told to end without deciding the shard, 0 for none: only its success counts. */
  abandonedFence = 0
  /** Workers to use only if no other could ever run it. */
  avoid: readonly string[] = []
  /** Of its executions that were told to end. */
  aborts: readonly Abort[] = []
  /** Set while it waits before it may be planned again. */
  backoff: DueEntry | null = null
}

/** How a shard's execution moves. */
export class ShardPulse {
  readonly frames = new SequenceGate()
  /** The furthest that any execution of it came. */
  done = 0
  startedAtMs = 0
  /** Of the execution under way, null before its first frame. */
  lastFrameAtMs: number | null = null
  isStalled = false
  watch: DueEntry | null = null
}
