/** How loaded the managers of a datacenter are, by what each says of itself to the one that leads; and alerts. */
import type { OverloadState, RuntimeOptions } from '@hs/core'
import { HealthAlerts } from '@hs/health'
import { MAX_TIER } from './tier-cluster.js'

export class ManagersHealth {
  readonly alerts: HealthAlerts
  readonly #self: string
  /** The others, by address. */
  readonly #others = new Map<string, { readonly name: string; readonly overload: OverloadState }>()

  constructor(runtime: Required<RuntimeOptions>, self: string) {
    this.#self = self
    this.alerts = new HealthAlerts({ ...runtime, maxPeers: MAX_TIER })
  }

  /** How the leader is. */
  leads(overload: OverloadState): void {
    this.alerts.update(this.#self, overload, { leader: true })
  }

  heard(address: string, name: string, overload: OverloadState): void {
    const known = this.#others.get(address)
    if (known !== undefined && known.name !== name) this.alerts.forget(known.name)
    this.#others.set(address, { name, overload })
    this.alerts.update(name, overload)
  }

  /** Forgets those that are not there any more. */
  keep(addresses: readonly string[]): void {
    for (const [address, { name }] of this.#others) {
      if (addresses.includes(address)) continue
      this.#others.delete(address)
      this.alerts.forget(name)
    }
  }

  /** The leader included. */
  get overloaded(): number {
    return this.alerts.counts().overloaded
  }
}
