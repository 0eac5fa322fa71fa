/**
 * What it costs to probe 1,000 datacenters for an hour: probes sent, answers taken in, time-outs watched, beyond what
 * the clock itself takes to ring as often.
 */
import type { DatagramTransport } from '@hs/core'
import { MemoryLogger, SeededRandom, VirtualClock } from '@hs/core/testing'
import { FederatedHealth, FederatedResponder } from '@hs/health'
import type { Report } from '../swim/report.js'

const ROUNDS = 5
const INTERVAL_MS = 2_000

/** Answers each probe at once with what a responder once said, under the nonce of the probe. */
class AnsweringTransport implements DatagramTransport {
  readonly address = 'gate:1'
  readonly maxMessageBytes = 1_400
  /** Two of each datacenter that take turns, as each datagram has bytes of its own; making them is not what is measured. */
  readonly #answers = new Map<string, [Uint8Array, Uint8Array]>()
  #handler: (from: string, bytes: Uint8Array) => void = () => {}

  send(to: string, bytes: Uint8Array): void {
    const answers = this.#answers.get(to) ?? this.#ask(to, bytes)
    const [answer, before] = answers
    answers[0] = before
    answers[1] = answer
    for (let i = 8; i < 16; i++) answer[i] = bytes[i] ?? 0
    this.#handler(to, answer)
  }

  onMessage(fn: (from: string, bytes: Uint8Array) => void): void {
    this.#handler = fn
  }

  async close(): Promise<void> {}

  #ask(to: string, probe: Uint8Array): [Uint8Array, Uint8Array] {
    let answer = new Uint8Array()
    let ask: (from: string, bytes: Uint8Array) => void = () => {}
    const transport: DatagramTransport = {
      address: to,
      maxMessageBytes: 1_400,
      send: (_to, bytes) => {
        answer = bytes.slice()
      },
      onMessage: (fn) => {
        ask = fn
      },
      close: async () => {},
    }
    const facts = {
      managers: 5,
      managersAlive: 5,
      workers: 100,
      workersHealthy: 98,
      coresAvailable: 300,
      coresTotal: 800,
    }
    const report = () => ({ incarnation: 1, leader: true, term: 1, facts })
    new FederatedResponder({ transport, datacenter: to, node: 'manager-1', report })
    ask('gate:1', probe)
    const answers: [Uint8Array, Uint8Array] = [answer, answer.slice()]
    this.#answers.set(to, answers)
    return answers
  }
}

/** Milliseconds for the probes of so much virtual time, and how many they were. */
async function probing(datacenters: number, virtualMs: number): Promise<{ ms: number; probes: number }> {
  const clock = new VirtualClock()
  const transport = new AnsweringTransport()
  const random = new SeededRandom(1)
  const health = new FederatedHealth({ transport, self: 'gate', clock, random, logger: new MemoryLogger() })
  for (let i = 0; i < datacenters; i++) health.add(`dc-${i}`, { address: `dc-${i}` })
  await health.start()
  const ms = cpuMs(() => clock.advance(virtualMs))
  const { probes, acks, ignored } = health.snapshot()
  if (acks !== probes || ignored > 0) throw new Error(`${probes} probes, ${acks} answers, ${ignored} ignored`)
  await health.stop()
  return { ms, probes }
}

/** What the same clock takes to ring as often. */
function ringing(datacenters: number, virtualMs: number): number {
  const clock = new VirtualClock()
  const random = new SeededRandom(1)
  for (let i = 0; i < datacenters; i++) {
    const ring = () => clock.setTimer(INTERVAL_MS * (0.9 + 0.2 * random.next()), ring)
    clock.setTimer(INTERVAL_MS * random.next(), ring)
  }
  return cpuMs(() => clock.advance(virtualMs))
}

/** CPU time, which does not depend on what else the machine does. */
function cpuMs(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

/** Probes a second of processing; the median of rounds that take turns with the bare clock. */
export async function printDatacenters(report: Report, isSmoke: boolean): Promise<void> {
  const [datacenters, virtualMs] = isSmoke ? [10, 10_000] : [1_000, 3_600_000]
  const rates: number[] = []
  for (let round = 0; round <= (isSmoke ? 0 : ROUNDS); round++) {
    const clockMs = ringing(datacenters, virtualMs)
    const { ms, probes } = await probing(datacenters, virtualMs)
    if (round > 0 || isSmoke) rates.push(probes / Math.max(0.001, (ms - clockMs) / 1_000)) // the first warms up
    if (round > 0) console.log(`  ${probes} probes in ${ms.toFixed(0)} ms, of which the clock ${clockMs.toFixed(0)} ms`)
  }
  const figure = rates.sort((a, b) => a - b)[Math.floor(rates.length / 2)] ?? NaN
  const judged = { what: '1,000 datacenters for an hour: probes a second of processing', figure, atLeast: 1e6 }
  console.log(`${judged.what}: ${(figure / 1e6).toFixed(2)} M, at least 1 M: ${report.verdict(judged)}`)
}
