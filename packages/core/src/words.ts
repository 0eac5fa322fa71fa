/** Words that packages of one layer share; each list goes from best (or most important) to worst. */

export const messagePriorities = Object.freeze(['critical', 'high', 'normal', 'low'] as const)
/** How much a message matters when not all can be sent. */
export type MessagePriority = (typeof messagePriorities)[number]

export const overloadStates = Object.freeze(['healthy', 'busy', 'stressed', 'overloaded'] as const)
/** How loaded a node is. */
export type OverloadState = (typeof overloadStates)[number]

export const backpressureLevels = Object.freeze(['none', 'throttle', 'batch', 'reject'] as const)
/** What a receiver asks of its senders. */
export type BackpressureLevel = (typeof backpressureLevels)[number]

export const datacenterHealths = Object.freeze(['healthy', 'busy', 'degraded', 'unhealthy'] as const)
/** How a datacenter is doing as a whole. */
export type DatacenterHealth = (typeof datacenterHealths)[number]
