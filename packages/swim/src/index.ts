export type { Member, MemberStatus, Meta } from './member.js'
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
