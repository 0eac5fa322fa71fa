/** The parent's side of `server.ts`. */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Order, Reply } from './server.js'

export class OtherProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve: (answer: string) => void; reject: (error: Error) => void }>()
  #next = 1

  constructor() {
    this.#child = fork(fileURLToPath(new URL('./server.ts', import.meta.url)))
    this.#child.on('message', ({ number, answer, error }: Reply) => {
      const waiting = this.#waiting.get(number)
      this.#waiting.delete(number)
      if (error === undefined) waiting?.resolve(answer ?? '')
      else waiting?.reject(new Error(error))
    })
    this.#child.on('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the other process ended with ${code}`))
    })
  }

  /** Has it do what `server.ts` lists under `name`. */
  ask(name: string, argument = ''): Promise<string> {
    const number = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject })
      this.#child.send({ number, name, argument } satisfies Order)
    })
  }

  end(): void {
    if (this.#child.connected) this.#child.disconnect()
  }
}
