/** A line each second, so that a long campaign is seen to live. */

import { systemClock, type Clock, type Timer } from '@hs/core'
import type { CampaignProgress } from '../campaign-options.js'
import { campaignText } from './report-text.js'

const INTERVAL_MS = 1_000

export class Progress {
  readonly #print: (text: string) => void
  readonly #clock: Clock
  #latest: CampaignProgress = { runs: 0, failures: 0, events: 0, virtualMs: 0 }
  #timer: Timer

  constructor(print: (text: string) => void, clock: Clock = systemClock) {
    this.#print = print
    this.#clock = clock
    this.#timer = this.#arm()
  }

  update(latest: CampaignProgress): void {
    this.#latest = latest
  }

  stop(): void {
    this.#timer.cancel()
  }

  #arm(): Timer {
    return this.#clock.setTimer(INTERVAL_MS, () => {
      const { runs, failures } = this.#latest
      this.#print(`${runs} seeds, ${failures} failures, ${campaignText(this.#latest)}\n`)
      this.#timer = this.#arm()
    })
  }
}
