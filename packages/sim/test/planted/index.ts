import { ackBeforeSync } from './ack-before-sync.js'
import { datagramsInOrder } from './datagrams-in-order.js'
import { datagramsOnlyOnce } from './datagrams-only-once.js'
import { deadlineInMonotonicTime } from './deadline-in-monotonic-time.js'
import { leaseWithoutFencing } from './lease-without-fencing.js'
import { lostWakeUp } from './lost-wake-up.js'
import { missingTimeout } from './missing-timeout.js'
import { orderedByWallClock } from './ordered-by-wall-clock.js'
import type { Planted } from './planted.js'
import { quorumOfTheLiving } from './quorum-of-the-living.js'
import { readModifyWrite } from './read-modify-write.js'
import { recordWithoutChecksum } from './record-without-checksum.js'
import { replacedBeforeSync } from './replaced-before-sync.js'
import { retryWithoutKey } from './retry-without-key.js'
import { syncTriedAgain } from './sync-tried-again.js'
import { voteNotPersisted } from './vote-not-persisted.js'
import { walWithoutDirectorySync } from './wal-without-directory-sync.js'

export const allPlanted: readonly Planted[] = [
  leaseWithoutFencing,
  walWithoutDirectorySync,
  ackBeforeSync,
  syncTriedAgain,
  replacedBeforeSync,
  recordWithoutChecksum,
  retryWithoutKey,
  voteNotPersisted,
  lostWakeUp,
  readModifyWrite,
  orderedByWallClock,
  deadlineInMonotonicTime,
  missingTimeout,
  datagramsInOrder,
  datagramsOnlyOnce,
  quorumOfTheLiving,
]
