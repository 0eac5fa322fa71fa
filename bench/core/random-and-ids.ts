/** Seeded dice against those without a seed and against seedrandom; ids against uuid's version 7. */

import seedrandom from 'seedrandom'
import { v7 } from 'uuid'
import { IdGenerator } from '@hs/core'
import { SeededRandom } from '@hs/core/testing'
import type { Workload } from '../harness.js'

const seeded = new SeededRandom(42)
const theirs = seedrandom('42')
const ids = new IdGenerator()

export const workloads: Workload[] = [
  {
    name: 'random-and-ids: next() of dice',
    contenders: [
      {
        name: 'SeededRandom.next',
        ours: true,
        run(n) {
          let sum = 0
          for (let i = 0; i < n; i++) sum += seeded.next()
          return sum
        },
      },
      {
        name: 'Math.random',
        run(n) {
          let sum = 0
          for (let i = 0; i < n; i++) sum += Math.random()
          return sum
        },
      },
      {
        name: 'seedrandom',
        run(n) {
          let sum = 0
          for (let i = 0; i < n; i++) sum += theirs()
          return sum
        },
      },
    ],
    goals: [
      { peer: 'Math.random', ratio: 0.8 },
      { peer: 'seedrandom', ratio: 3 },
    ],
  },
  {
    name: 'random-and-ids: next() of ids',
    contenders: [
      {
        name: 'IdGenerator.next',
        ours: true,
        run(n) {
          let last = ''
          for (let i = 0; i < n; i++) last = ids.next()
          return last
        },
      },
      {
        name: 'uuid v7',
        run(n) {
          let last = ''
          for (let i = 0; i < n; i++) last = v7()
          return last
        },
      },
    ],
    goals: [{ peer: 'uuid v7', ratio: 4 }],
  },
]
