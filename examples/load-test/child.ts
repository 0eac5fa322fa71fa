/** The entry of every child process of the demo: one node of the runtime, or the target. */

import { SystemClock } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import { Gate, Manager, Worker } from '@hs/nodes'
import { dieWithParent } from './lifeline.js'
import { CORES_PER_WORKER, DATACENTER, MANAGERS, type ChildSpec, type FromChild } from './messages.js'
import { startTarget } from './target.js'
import { workflows } from './workflows.js'

dieWithParent()
// Ctrl-C reaches the whole process group; the parent decides what it means.
process.on('SIGINT', () => undefined)

const spec = JSON.parse(process.argv[2] ?? '{}') as ChildSpec

try {
  tell({ type: 'ready', address: await start(spec) })
} catch (error) {
  tell({ type: 'failed', message: error instanceof Error ? error.message : String(error) })
}

async function start({ role, id, seed, managers }: ChildSpec): Promise<string> {
  switch (role) {
    case 'target':
      return startTarget(new SystemClock(), new SeededRandom(seed))
    case 'manager': {
      const manager = new Manager({
        id,
        datacenter: DATACENTER,
        peers: managers,
        clusterSize: MANAGERS,
        timing: 'local',
      })
      manager.events.on('leaderChanged', ({ leaderId }) => {
        if (leaderId === id) tell({ type: 'leads' })
      })
      await manager.start()
      return manager.address
    }
    case 'gate': {
      const gate = new Gate({ id, datacenters: { [DATACENTER]: managers }, timing: 'local' })
      await gate.start()
      await gate.ready()
      return gate.address
    }
    case 'worker': {
      const worker = new Worker({
        id,
        datacenter: DATACENTER,
        managers,
        workflows,
        cores: CORES_PER_WORKER,
        timing: 'local',
      })
      worker.events.on('registered', (leader) => tell({ type: 'registered', leader }))
      worker.events.on('shardStarted', (key) => tell({ type: 'shardStarted', key }))
      worker.events.on('shardFinished', (key) => tell({ type: 'shardFinished', key }))
      await worker.start()
      await worker.ready()
      return worker.address
    }
  }
}

function tell(message: FromChild): void {
  process.send?.(message)
}
