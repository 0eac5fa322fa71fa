/** What the demo and its child processes say to each other over the IPC channel. */

export type Role = 'target' | 'manager' | 'gate' | 'worker'

/** What a child is told on its command line, as JSON. */
export interface ChildSpec {
  readonly role: Role
  readonly id: string
  readonly seed: number
  /** Addresses of managers: for a manager those that were started before it. */
  readonly managers: readonly string[]
}

export type FromChild =
  | { readonly type: 'ready'; readonly address: string }
  | { readonly type: 'failed'; readonly message: string }
  /** The manager leads its datacenter from now on. */
  | { readonly type: 'leads' }
  /** The worker has registered with this manager. */
  | { readonly type: 'registered'; readonly leader: string }
  | { readonly type: 'shardStarted'; readonly key: string }
  | { readonly type: 'shardFinished'; readonly key: string }

export const DATACENTER = 'local'
export const MANAGERS = 3
export const CORES_PER_WORKER = 8
