/** Load from a process of its own: requests of one client, as fast as answers come; says by status how they ended. */
import autocannon from 'autocannon'
import { Command } from 'commander'

const { url, key, amount, connections } = new Command('guarded-server load')
  .requiredOption('--url <url>')
  .requiredOption('--key <key>', 'whose requests they are')
  .requiredOption('--amount <n>', 'how many', Number)
  .option('--connections <n>', 'at the same time', Number, 10)
  .parse()
  .opts<{ url: string; key: string; amount: number; connections: number }>()

const result = await autocannon({ url, amount, connections, headers: { 'x-api-key': key } })
const statuses: Record<string, number> = {}
for (const [status, { count }] of Object.entries(result.statusCodeStats ?? {})) statuses[status] = count ?? 0
console.log(JSON.stringify({ statuses, errors: result.errors }))
