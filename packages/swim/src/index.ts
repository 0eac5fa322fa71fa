export { Cluster, type JoinOptions, type MembersFilter } from './cluster.js'
export type { ClusterOptions, RolePolicy } from './options.js'
export { presets } from './presets.js'
export type { Member, MemberStatus, Meta } from './member.js'
export type { ClusterCounters, ClusterEvents, ClusterSnapshot, ClusterStatus, DeathCause } from './events.js'
export type { PublishOptions } from './entries.js'
export type { RttEstimate } from './rtt.js'
export type { AuditEntry, AuditKind } from './history.js'
export { suspicionBoundsMs, suspicionTimeoutMs, type SuspicionBoundsOptions } from './suspicion.js'
export { retransmitLimit } from './gossip-queue.js'
export { scaledSyncIntervalMs } from './syncer.js'
export { LocalHealth } from './local-health.js'
export { overrides, type RecordVersion } from './record.js'
export {
  coordinateQuality,
  distanceMs,
  rttUpperBoundMs,
  type Coordinate,
  type CoordinateQualityOptions,
  type RttUpperBoundOptions,
} from './coordinate.js'
export { Vivaldi, type VivaldiOptions } from './vivaldi.js'
export {
  HierarchicalDetector,
  type HierarchicalDetectorEvents,
  type HierarchicalDetectorOptions,
  type HierarchicalDetectorSnapshot,
  type NodeView,
  type ScopeEvent,
  type SuspectOutcome,
} from './hierarchical-detector.js'
export {
  LeaderElection,
  type Electorate,
  type ElectionCluster,
  type LeaderElectionEvents,
  type LeaderElectionOptions,
  type LeaderElectionSnapshot,
  type Leadership,
} from './election.js'
export {
  DiskElectionStore,
  MemoryElectionStore,
  type DiskElectionStoreOptions,
  type ElectionState,
  type ElectionStore,
} from './election-store.js'
