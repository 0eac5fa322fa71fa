export {
  CircuitBreaker,
  type BreakerPermit,
  type BreakerState,
  type CircuitBreakerEvents,
  type CircuitBreakerSnapshot,
} from './circuit-breaker.js'
export type { CircuitBreakerOptions } from './breaker-options.js'
export { CircuitOpenError } from './circuit-open-error.js'
export { BreakerRegistry, type BreakerRegistryOptions, type BreakerRegistrySnapshot } from './breaker-registry.js'
export type { DatacenterHealth, OverloadState } from '@hs/core'
export type { DatacenterFacts } from './datacenter-facts.js'
export { classifyDatacenter, type DatacenterClass } from './classify-datacenter.js'
export {
  SloHealth,
  type ObservedLatency,
  type SloHealthOptions,
  type SloHealthSnapshot,
  type SloTargets,
} from './slo-health.js'
export {
  FederatedHealth,
  type FederatedHealthEvents,
  type FederatedHealthOptions,
  type FederatedHealthSnapshot,
} from './federated-health.js'
export type { DatacenterStatus, Reachability } from './federated-datacenter.js'
export type { LeaderHint } from './leader-hint.js'
export {
  FederatedResponder,
  type FederatedResponderOptions,
  type FederatedResponderSnapshot,
} from './federated-responder.js'
export type { ResponderReport } from './federated-messages.js'
export {
  CorrelationDetector,
  type CorrelationAssessment,
  type CorrelationDetectorEvents,
  type CorrelationDetectorOptions,
  type CorrelationDetectorSnapshot,
  type PartitionDetected,
  type PartitionHealed,
} from './correlation-detector.js'
export type { CorrelationSeverity } from './correlation-severity.js'
export type { CorrelationState } from './correlation-state.js'
export {
  HealthAlerts,
  type HealthAlert,
  type HealthAlertsEvents,
  type HealthAlertsOptions,
  type HealthAlertsSnapshot,
  type OverloadCounts,
} from './health-alerts.js'
export type { AlertCode, AlertSeverity } from './alert-rules.js'
export { decodeHealthReport, type HealthReport } from './health-report.js'
export type { Progress } from './progress.js'
export type { NodeStatus, NodeVerdict, RoutingAdvice } from './node-verdict.js'
export { NodeHealth, type NodeHealthOptions, type NodeHealthSnapshot } from './node-health.js'
export {
  HealthTracker,
  type Evictions,
  type HealthTrackerOptions,
  type HealthTrackerSnapshot,
} from './health-tracker.js'
export {
  DeadlineExtensions,
  type DeadlineExtensionsOptions,
  type DeadlineExtensionsSnapshot,
  type ExtensionDecision,
  type ExtensionDenial,
  type ExtensionRequest,
} from './deadline-extensions.js'
export {
  ProbeChannel,
  type ProbeChannelOptions,
  type ProbeChannelSnapshot,
  type ProbeOptions,
  type ProbeResult,
} from './probe-channel.js'
export { KalmanFilter, type KalmanFilterOptions, type KalmanFilterSnapshot } from './kalman-filter.js'
export {
  ResourceMonitor,
  type Estimate,
  type ResourceMonitorEvents,
  type ResourceMonitorOptions,
  type ResourceMonitorSnapshot,
  type ResourceSample,
  type ResourceSnapshot,
  type ResourceSource,
} from './resource-monitor.js'
export {
  ResourceGuard,
  type GuardAction,
  type GuardLevel,
  type ResourceGuardOptions,
  type ResourceGuardSnapshot,
} from './resource-guard.js'
export {
  ResourceViews,
  type ClusterResources,
  type ManagerResourceView,
  type ResourceTotals,
  type ResourceViewsOptions,
  type WorkerResourceReport,
} from './resource-views.js'
