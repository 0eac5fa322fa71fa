/**
 * npm `swim` 0.6.0, its socket a stub. It installs on Node 20 only with other packages in place of its native ones:
 * `msgpack` → `npm:msgpackr@^1.11.0`, `farmhash` → `npm:farmhash-modern@^1.1.0`.
 */
interface PeerSwim {
  codec: { encode(value: unknown): Uint8Array }
  net: {
    udpSocket: { send(...args: unknown[]): void; close(): void }
    onMessage(buffer: Uint8Array, from: { address: string; port: number }): void
    makeCompoundMessage(buffers: Uint8Array[]): Uint8Array
  }
  membership: { start(): void; onUpdate(data: object): void }
  failureDetector: { swim: unknown; pingListener: unknown; tick(): void; start(): void }
  disseminator: { start(): void; getUpdatesUpTo(bytes: number): unknown[] }
  bootstrap(hosts: readonly string[], done: (error?: Error) => void): void
  members(): readonly unknown[]
  leave(): void
}

type PeerModule = new (options: object) => PeerSwim

export interface Peer {
  pings(n: number): unknown
  pingsWithUpdates(n: number): unknown
}

const PING = 10
const UPDATE = 14
const UPDATES = 6

export async function npmSwim(known: number): Promise<Peer | undefined> {
  const Swim = await load()
  if (Swim === undefined) return undefined
  const swim = new Swim({ local: { host: '10.9.9.9:7946' }, codec: 'msgpack' })
  let sent = 0
  // Its own socket is never bound.
  swim.net.udpSocket.close()
  swim.net.udpSocket = { send: () => sent++, close: () => undefined }
  swim.failureDetector.tick = () => undefined
  swim.failureDetector.start()
  swim.membership.start()
  swim.disseminator.start()
  const hostOf = (i: number) => `10.0.${i >> 8}.${i & 255}:7946`
  const dataOf = (i: number) => ({ host: hostOf(i), state: 0, incarnation: 0 })
  for (let i = 0; i < known; i++) swim.membership.onUpdate(dataOf(i))
  while (swim.disseminator.getUpdatesUpTo(500).length > 0);
  const message = (type: number, data: unknown) => Buffer.concat([Buffer.from([type]), swim.codec.encode(data)])
  const from = Array.from({ length: known }, (_, i) => ({ address: `10.0.${i >> 8}.${i & 255}`, port: 7946 }))
  const bare = Array.from({ length: known }, (_, i) => message(PING, { seq: i }))
  const full = bare.map((ping, i) => {
    const updates = Array.from({ length: UPDATES }, (_, k) => message(UPDATE, dataOf((i + k) % known)))
    return swim.net.makeCompoundMessage([ping, ...updates])
  })
  const run = (packets: readonly Uint8Array[]) => (n: number) => {
    for (let i = 0; i < n; i++)
      swim.net.onMessage(packets[i % known] as Uint8Array, from[i % known] as (typeof from)[0])
    return sent
  }
  return { pings: run(bare), pingsWithUpdates: run(full) }
}

/** One member on loopback UDP. Its timeouts have the proportions of ours: its own of 4 ms would see failures in noise. */
export async function npmSwimMember(
  port: number,
  seedPort: number,
  intervalMs: number,
): Promise<{ known(): number; stop(): void }> {
  const Swim = await load()
  if (Swim === undefined) throw new Error('swim 0.6.0 does not load')
  const swim = new Swim({
    local: { host: `127.0.0.1:${port}` },
    codec: 'msgpack',
    interval: intervalMs,
    pingTimeout: intervalMs / 2,
    pingReqTimeout: intervalMs,
    joinTimeout: 30_000,
  })
  const hosts = port === seedPort ? [] : [`127.0.0.1:${seedPort}`]
  await new Promise<void>((resolve, reject) => {
    swim.bootstrap(hosts, (error) => (error === undefined ? resolve() : reject(error)))
  })
  return { known: () => swim.members().length, stop: () => swim.leave() }
}

export const isNpmSwimHere = async (): Promise<boolean> => (await load()) !== undefined

let isTold = false

async function load(): Promise<PeerModule | undefined> {
  try {
    return (await import('swim')).default as PeerModule
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : 'it does not load'
    if (!isTold) console.log(`swim 0.6.0 is not compared: ${reason}`)
    isTold = true
    return undefined
  }
}
