/** A gate that probes datacenters over a network that does what it is told. */
import type { DatagramTransport } from '@hs/core'
import { MemoryLogger, MemoryNetwork, SeededRandom, VirtualClock } from '@hs/core/testing'
import {
  FederatedHealth,
  FederatedResponder,
  type DatacenterFacts,
  type FederatedHealthOptions,
  type ResponderReport,
} from '@hs/health'

export const facts: DatacenterFacts = {
  managers: 3,
  managersAlive: 3,
  workers: 10,
  workersHealthy: 10,
  coresAvailable: 20,
  coresTotal: 80,
}

export interface Datagram {
  readonly from: string
  readonly to: string
  readonly bytes: Uint8Array
}

export interface Manager {
  readonly address: string
  readonly transport: DatagramTransport
  readonly responder: FederatedResponder
  /** What it says of itself; the test changes it. */
  report: ResponderReport
}

export interface FederationOptions extends Partial<FederatedHealthOptions> {
  latencyMs?: number
}

export class Federation {
  readonly clock = new VirtualClock({ startMs: 1_000 })
  readonly logger = new MemoryLogger()
  readonly health: FederatedHealth
  readonly transport: DatagramTransport
  /** What the gate has told, as text. */
  readonly told: string[] = []
  /** All that was sent and not dropped. */
  readonly sent: Datagram[] = []
  /** Whether a datagram is lost; none at first. */
  isLost: (datagram: Datagram) => boolean = () => false
  /** How much longer it takes than the others, in milliseconds. */
  delayMs: (datagram: Datagram) => number = () => 0
  readonly #network: MemoryNetwork

  constructor({ latencyMs = 50, ...options }: FederationOptions = {}) {
    const { clock, logger } = this
    this.#network = new MemoryNetwork({ clock, latencyMs, logger })
    this.transport = this.#at('gate')
    const random = new SeededRandom(7)
    this.health = new FederatedHealth({ transport: this.transport, self: 'gate-1', clock, random, logger, ...options })
    const { events } = this.health
    events.on('reachability', (dc, now, was) => this.told.push(`${dc}: ${was} -> ${now}`))
    events.on('health', (dc, now, was) => this.told.push(`${dc}: ${was} -> ${now}`))
    events.on('leader', (dc, leader) => this.told.push(`${dc}: leader ${leader.address} of term ${leader.term}`))
  }

  manager(address: string, datacenter: string, report: Partial<ResponderReport> = {}): Manager {
    const transport = this.#at(address)
    const manager: Manager = {
      address,
      transport,
      responder: new FederatedResponder({
        transport,
        datacenter,
        node: address,
        report: () => manager.report,
        clock: this.clock,
        logger: this.logger,
      }),
      report: { incarnation: 1, leader: true, term: 1, facts, ...report },
    }
    return manager
  }

  /** A transport of its own, for whoever is no manager. */
  endpoint(address: string): DatagramTransport {
    return this.#at(address)
  }

  heard(): string[] {
    return this.told.splice(0)
  }

  #at(address: string): DatagramTransport {
    const inner = this.#network.datagram(address)
    return {
      address,
      maxMessageBytes: inner.maxMessageBytes,
      send: (to, bytes) => {
        const datagram = { from: address, to, bytes: bytes.slice() }
        if (this.isLost(datagram)) return
        this.sent.push(datagram)
        const delayMs = this.delayMs(datagram)
        if (delayMs === 0) inner.send(to, bytes)
        else this.clock.setTimer(delayMs, () => inner.send(to, datagram.bytes))
      },
      onMessage: (fn) => inner.onMessage(fn),
      close: () => inner.close(),
    }
  }
}
