/** The upstream: it knows how many there are of everything, as long as it is well. */
import { createServer, type Server } from 'node:http'

export class Stock {
  readonly server: Server
  /** What it does with the next requests. */
  mood: 'well' | 'down' = 'well'
  asked = 0

  constructor() {
    this.server = createServer((_request, response) => {
      this.asked++
      if (this.mood === 'well') response.end('42')
      else response.writeHead(500).end()
    })
  }
}
