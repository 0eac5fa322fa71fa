/** What the election's state machine needs of the world: time, dice, messages, saves, members, and somebody to tell. */
import type { Timer } from '@hs/core'
import type { ElectionMessage } from './election-message.js'
import type { ElectionState } from './election-store.js'

export type LossReason = 'quorum-lost' | 'resigned' | 'superseded' | 'stopped'

export interface ElectionPort {
  readonly self: string
  now(): number
  /** In [0, 1). */
  random(): number
  setTimer(delayMs: number, fn: () => void): Timer
  send(to: string, message: ElectionMessage): void
  save(state: ElectionState): Promise<void>
  /** This node's own score of ill health, 0: well. */
  localHealth(): number
  /** Names of this election's role that are alive, suspect or dead, itself included if it is one. */
  names(): readonly string[]
  /** The score of a member that is alive, else undefined. */
  healthOf(name: string): number | undefined
  readonly tell: ElectionNews
}

/** Called after the step in which it happened, so that a listener may call the machine again. */
export interface ElectionNews {
  leaderElected(name: string, term: number): void
  acquired(term: number): void
  lost(term: number, reason: LossReason): void
  votersChanged(voters: readonly string[]): void
  flapping(changes: number, cooldownMs: number): void
  error(error: unknown): void
}

export interface ElectionSettings {
  /** How many names there are, or which at the first start. */
  readonly electorate: { readonly size: number } | { readonly voters: readonly string[] }
  readonly heartbeatMs: number
  readonly missedHeartbeats: number
  readonly clockDriftTolerance: number
  readonly maxLeaderHealth: number
}
