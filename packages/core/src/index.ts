export { SystemClock, sleepOn, systemClock, type Clock, type Timer } from './clock.js'
export { systemRandom, type Random } from './random.js'
export {
  consoleLogger,
  defaultLogger,
  fromPino,
  type ConsoleLoggerOptions,
  type LogFields,
  type Logger,
  type LogLevel,
  type PinoLike,
} from './logger.js'
export { resolveRuntime, runtimeShape, type RuntimeOptions } from './runtime.js'
export * from './errors.js'
export { parseOptions } from './options.js'
export { assertNever } from './assert.js'
export { deepFreeze } from './deep-freeze.js'
export * from './error-reporter.js'
export * from './typed-emitter.js'
export {
  TaskScope,
  type EveryOptions,
  type SpawnOptions,
  type TaskScopeOptions,
  type TaskScopeSnapshot,
} from './task-scope.js'
export type { Task, TaskOutcome, TaskState } from './task.js'
export type { RestartPolicy } from './restart-policy.js'
export { unwatchAbort, watchAbort, type AbortWatcher } from './abort-watch.js'
export { withTimeout, type WithTimeoutOptions } from './with-timeout.js'
export { deferred, type Deferred } from './deferred.js'
export * from './words.js'
export * from './brand.js'
export { newNodeId, parseNodeId, supersedes, type NewNodeIdOptions, type NodeId, type ParsedNodeId } from './node-id.js'
export { IdGenerator, type IdGeneratorOptions } from './id-generator.js'
export { formatAddress, parseAddress, type Address, type ParseAddressOptions } from './address.js'
export {
  observeSnapshot,
  type MeterLike,
  type ObservableGaugeLike,
  type ObservableResultLike,
} from './observe-snapshot.js'
export * from './transport.js'
export * from './datagram-channels.js'
export * from './disk.js'
export { msgpackCodec, type Codec, type MsgpackCodecOptions } from './codec.js'
export { TimingWheel, type TimingWheelOptions, type TimingWheelSnapshot, type WheelTimer } from './timing-wheel.js'
export type { Release, WaitOptions } from './wait.js'
export { KeyedMutex, type KeyedMutexOptions } from './keyed-mutex.js'
export { Semaphore, type SemaphoreOptions } from './semaphore.js'
export { Condition, type ConditionOptions } from './condition.js'
export { BoundedQueue, type BoundedQueueOptions, type BoundedQueueSnapshot } from './bounded-queue.js'
export { RingBuffer } from './ring-buffer.js'
export { BoundedMap, type BoundedMapOptions, type BoundedMapSnapshot, type EvictionReason } from './bounded-map.js'
export { Sequence } from './sequence.js'
