/** How large one object may grow, whoever feeds it. */
import { ConfigError, LimitError, type ConfigIssue } from '@hs/core'

export interface CrdtLimits {
  /** Slots, keys, elements or ids in one object, from 1. @default 100_000, for `JobStats` 1_024 datacenters */
  maxEntries?: number
  /** Of a slot, key, element, writer or replica id, in UTF-16 units, from 1. @default 256 */
  maxNameLength?: number
  /** `fromWire` refuses registers with a later time; from 1. @default 2^53 - 1 */
  maxTime?: number
}

const DEFAULTS = { maxEntries: 100_000, maxNameLength: 256, maxTime: Number.MAX_SAFE_INTEGER }

/** Limits that were checked; a delta or a clone shares those of its origin. */
export class Limits implements Required<CrdtLimits> {
  readonly maxEntries: number
  readonly maxNameLength: number
  readonly maxTime: number

  private constructor(limits: Required<CrdtLimits>) {
    this.maxEntries = limits.maxEntries
    this.maxNameLength = limits.maxNameLength
    this.maxTime = limits.maxTime
  }

  static readonly defaults = /* @__PURE__ */ new Limits(DEFAULTS)

  /**
   * @param owner the class whose limits these are
   * @throws ConfigError
   */
  static of(owner: string, given: CrdtLimits | undefined, defaults: Limits = Limits.defaults): Limits {
    if (given === undefined) return defaults
    if (given instanceof Limits) return given
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw new ConfigError(owner, [{ path: '', message: 'expected an object of limits', value: given }])
    }
    const issues: ConfigIssue[] = []
    for (const [path, value] of Object.entries(given)) {
      if (!Object.hasOwn(DEFAULTS, path)) issues.push({ path, message: 'is no limit', value })
      else if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
        issues.push({ path, message: 'expected an integer from 1 to 2^53 - 1', value })
      }
    }
    if (issues.length > 0) throw new ConfigError(owner, issues)
    return new Limits({
      maxEntries: given.maxEntries ?? defaults.maxEntries,
      maxNameLength: given.maxNameLength ?? defaults.maxNameLength,
      maxTime: given.maxTime ?? defaults.maxTime,
    })
  }

  /** Whether names that are within `other` may be too long here. */
  stricterOnNamesThan(other: Limits): boolean {
    return this.maxNameLength < other.maxNameLength
  }

  /** @throws LimitError */
  checkLength(name: string): void {
    if (name.length > this.maxNameLength) throw new LimitError('Length of a name', this.maxNameLength, name.length)
  }

  /** @throws LimitError */
  checkEntries(what: string, entries: number): void {
    if (entries > this.maxEntries) throw new LimitError(what, this.maxEntries, entries)
  }
}
