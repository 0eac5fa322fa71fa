/** What nodes of `@hs/nodes` need to run in a simulation. */
import type { NodeEnv } from '@hs/sim'

export const addresses = (names: readonly string[]) => names.map((name) => `${name}:1`)

export const runtime = ({ clock, random, logger, datagram, rpc }: NodeEnv) => ({
  clock,
  random,
  logger,
  transport: { datagram, rpc },
  timing: 'local' as const,
})

export async function started<N extends { start(): Promise<void> }>(node: N): Promise<N> {
  await node.start()
  return node
}
