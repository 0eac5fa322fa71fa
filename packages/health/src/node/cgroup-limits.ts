/**
 * What a Linux control group allows this process: version 2, or else version 1. Node 20's `availableParallelism` does
 * not look at CPU quotas. A process is bound by its own group and by all above it, so the least of them counts.
 * Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface CgroupLimits {
  /** Cores, also parts of one. Absent: no limit. */
  readonly cpus?: number
  /** Absent: no limit. */
  readonly memoryBytes?: number
}

const DEFAULT_PERIOD_US = 100_000
/** Version 1 writes "no limit" as the largest multiple of a page below 2^63. */
const UNLIMITED_BYTES = 2 ** 60

/**
 * The cores that a line of `cpu.max` allows: `'150000 100000'` is one and a half. Undefined for `'max'`, for 0, and for
 * whatever is no such line.
 */
export function parseCpuMax(text: string | undefined): number | undefined {
  const [quota, period] = (text ?? '').trim().split(/\s+/)
  return cores(toNumber(quota), period === undefined ? DEFAULT_PERIOD_US : toNumber(period))
}

/**
 * The limits under `root`; what is missing or unreadable limits nothing.
 * @param root where the groups are mounted. @default '/sys/fs/cgroup'
 */
export function readCgroupLimits(root = '/sys/fs/cgroup'): CgroupLimits {
  const groups = ownGroups()
  const cpus =
    least(root, groups.get(''), (folder) => parseCpuMax(read(folder, 'cpu.max'))) ??
    leastOfVersion1(root, 'cpu', groups, (folder) =>
      cores(toNumber(read(folder, 'cpu.cfs_quota_us')), toNumber(read(folder, 'cpu.cfs_period_us'))),
    )
  const memoryBytes =
    least(root, groups.get(''), (folder) => bytes(read(folder, 'memory.max'))) ??
    leastOfVersion1(root, 'memory', groups, (folder) => bytes(read(folder, 'memory.limit_in_bytes')))
  return Object.freeze({
    ...(cpus === undefined ? {} : { cpus }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  })
}

/** The paths of this process's groups by controller; version 2 has one, without a name. */
function ownGroups(): ReadonlyMap<string, string> {
  const paths = new Map<string, string>()
  for (const line of (read('/proc/self', 'cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (controllers === undefined || path === undefined) continue
    for (const controller of controllers.split(',')) paths.set(controller, path)
  }
  return paths
}

/** Version 1 has a tree for each controller; some are mounted together, under both names. */
function leastOfVersion1(
  root: string,
  controller: 'cpu' | 'memory',
  groups: ReadonlyMap<string, string>,
  limitOf: (folder: string) => number | undefined,
): number | undefined {
  const mounts = controller === 'cpu' ? ['cpu', 'cpu,cpuacct', 'cpuacct,cpu'] : ['memory']
  for (const mount of mounts) {
    const limit = least(join(root, mount), groups.get(controller), limitOf)
    if (limit !== undefined) return limit
  }
  return undefined
}

/** The least limit of the group at `path` under `root` and of those above. In a container `root` is the own group. */
function least(
  root: string,
  path: string | undefined,
  limitOf: (folder: string) => number | undefined,
): number | undefined {
  let folder = root
  let limit = limitOf(folder)
  for (const name of (path ?? '').split('/')) {
    // A path that leads out of what is mounted here says nothing.
    if (name === '..') break
    if (name === '') continue
    folder = join(folder, name)
    const own = limitOf(folder)
    if (own !== undefined) limit = Math.min(own, limit ?? own)
  }
  return limit
}

function cores(quotaUs: number | undefined, periodUs: number | undefined): number | undefined {
  return quotaUs !== undefined && quotaUs > 0 && periodUs !== undefined && periodUs > 0 ? quotaUs / periodUs : undefined
}

function bytes(text: string | undefined): number | undefined {
  const limit = toNumber(text)
  return limit !== undefined && limit > 0 && limit < UNLIMITED_BYTES ? limit : undefined
}

function toNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*-?\d+\s*$/.test(text) ? Number(text) : undefined
}

function read(folder: string, file: string): string | undefined {
  try {
    return readFileSync(join(folder, file), 'utf8')
  } catch {
    // Most of these files exist on some machines only.
    return undefined
  }
}
