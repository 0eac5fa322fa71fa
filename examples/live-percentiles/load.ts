/** Users who ask, wait for the answer, and ask again. */
import { setTimeout as wait } from 'node:timers/promises'

export const ROUTES: readonly string[] = ['/search', '/cart', '/checkout']

export async function sendLoad(url: string, users: number, forMs: number): Promise<void> {
  const until = performance.now() + forMs
  const user = async () => {
    while (performance.now() < until) {
      const route = ROUTES[Math.floor(Math.random() * ROUTES.length)] ?? ''
      const answer = await fetch(url + route)
      await answer.arrayBuffer()
    }
  }
  await Promise.all([wait(forMs), ...Array.from({ length: users }, user)])
}
