/** The command, and what each of its worker threads runs. */

import process from 'node:process'
import { isMainThread } from 'node:worker_threads'
import { main } from './main.js'
import { serve } from './worker.js'

if (isMainThread) {
  const terminal = {
    out: (text: string) => void process.stdout.write(text),
    err: (text: string) => void process.stderr.write(text),
  }
  // `main` never rejects. The exit code waits for what is written, which `process.exit` would not.
  void main(process.argv.slice(2), terminal, new URL(import.meta.url)).then((code) => {
    process.exitCode = code
  })
} else {
  serve()
}
