export { parseCpuMax, readCgroupLimits, type CgroupLimits } from './cgroup-limits.js'
export { nodeResourceSource, type NodeResourceSource, type NodeResourceSourceOptions } from './node-resource-source.js'
