/** A process that takes the lock of a folder, says so on stdout, and holds it until it is killed or stdin ends. */
import { NodeDisk } from '../src/node/index.js'
import { HsError } from '../src/errors.js'

const [folder = ''] = process.argv.slice(2)
const disk = await NodeDisk.open(folder)
try {
  const release = await disk.lock()
  process.stdout.write('locked\n')
  for await (const _chunk of process.stdin);
  await release()
  process.stdout.write('released\n')
} catch (error) {
  process.stdout.write(`${HsError.is(error) ? error.code : String(error)}\n`)
}
