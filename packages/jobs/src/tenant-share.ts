/** The cores that a tenant's shards hold, and which tenants are still needed. */
import { Tenant } from './tenant.js'
import type { LeaseHolder } from './worker-records.js'

export interface TenantShare {
  readonly tenant: Tenant
  /** Jobs of it that are not over. */
  openJobs: number
  /** What leases name as their holder, so that cores find their way back. */
  readonly ordinary: LeaseHolder
  /** The same for cores of exclusive shards. */
  readonly exclusive: LeaseHolder
}

/** One share a tenant that has open jobs or cores. */
export class TenantShares {
  readonly #shares = new Map<string, TenantShare>()
  #exclusiveCores = 0

  get size(): number {
    return this.#shares.size
  }

  get exclusiveRunning(): boolean {
    return this.#exclusiveCores > 0
  }

  /** A job of it begins. */
  open(name: string): TenantShare {
    let share = this.#shares.get(name)
    if (share === undefined) {
      share = this.#create(name)
      this.#shares.set(name, share)
    }
    share.openJobs++
    return share
  }

  /** A job of it is over. */
  close(share: TenantShare): void {
    share.openJobs--
    this.#dropUnused(share)
  }

  /** Cores of an exclusive shard are in use. */
  useExclusive(cores: number): void {
    this.#exclusiveCores += cores
  }

  #create(name: string): TenantShare {
    const share: TenantShare = {
      tenant: new Tenant(name),
      openJobs: 0,
      ordinary: { released: (cores) => this.#released(share, cores) },
      exclusive: {
        released: (cores) => {
          this.#exclusiveCores -= cores
          this.#released(share, cores)
        },
      },
    }
    return share
  }

  #released(share: TenantShare, cores: number): void {
    share.tenant.use(-cores)
    this.#dropUnused(share)
  }

  #dropUnused(share: TenantShare): void {
    if (share.openJobs === 0 && share.tenant.inUse <= 0) this.#shares.delete(share.tenant.name)
  }
}
