/** The demo's processes: started, watched, killed, and gone when the demo is. */

import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { deferred, ErrorReporter, TypedEmitter } from '@hs/core'
import type { ChildSpec, FromChild, Role } from './messages.js'

export interface Node {
  readonly role: Role
  readonly id: string
  readonly address: string
  /** Shards that run on it now, by key. Workers only. */
  readonly running: ReadonlySet<string>
  readonly alive: boolean
  /** The last manager that said so. */
  readonly leads: boolean
  /** The manager with whom it registered last. Workers only. */
  readonly leader: string | null
}

interface Member extends Node {
  address: string
  alive: boolean
  leads: boolean
  leader: string | null
  readonly running: Set<string>
  readonly process: ChildProcess
}

export interface ClusterEvents extends Record<string, unknown[]> {
  shardStarted: [node: Node, key: string]
  shardFinished: [node: Node, key: string]
  leads: [manager: Node]
  registered: [worker: Node]
  /** What a process wrote to its standard error. */
  said: [node: Node, line: string]
  /** A process ended that nobody had killed. */
  died: [node: Node, why: string]
}

export class Cluster {
  readonly #members: Member[] = []
  readonly #entry: string
  readonly #seed: number
  readonly events = new TypedEmitter<ClusterEvents>('cluster', new ErrorReporter())

  /** @param options.entry the script of the child processes */
  constructor(options: { entry: string; seed: number }) {
    this.#entry = options.entry
    this.#seed = options.seed
    // Whatever ends this process, its children end with it; they also notice the closed channel by themselves.
    process.once('exit', () => this.killAll())
  }

  get nodes(): readonly Node[] {
    return this.#members
  }

  alive(role: Role): number {
    return this.#members.filter((m) => m.role === role && m.alive).length
  }

  /** Starts a process and waits until it can do its work. Rejects with what the child says is wrong. */
  async start(role: Role, id: string, managers: readonly string[] = []): Promise<Node> {
    const spec: ChildSpec = { role, id, managers, seed: this.#seed }
    const child = spawn(process.execPath, ['--enable-source-maps', this.#entry, JSON.stringify(spec)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    const member: Member = {
      role,
      id,
      address: '',
      alive: true,
      leads: false,
      leader: null,
      running: new Set(),
      process: child,
    }
    this.#members.push(member)

    const ready = deferred<Node>()
    if (child.stderr !== null) {
      createInterface({ input: child.stderr }).on('line', (line) => this.events.emit('said', member, line))
    }
    child.on('message', (message: FromChild) => this.#heard(member, message, ready))
    child.once('error', (error) => ready.reject(new Error(`${role} ${id} could not be started: ${error.message}`)))
    child.once('exit', (code, signal) => {
      const expected = !member.alive
      member.alive = false
      const why = signal === null ? `exit code ${code}` : `signal ${signal}`
      ready.reject(new Error(`${role} ${id} ended with ${why} before it was ready`))
      if (!expected) this.events.emit('died', member, why)
    })
    return ready.promise
  }

  /** SIGKILL: the process has no chance to tell anybody. */
  kill(node: Node): void {
    const member = this.#members.find((m) => m === node)
    if (member === undefined || !member.alive) return
    member.alive = false
    member.process.kill('SIGKILL')
  }

  killAll(): void {
    for (const member of this.#members) this.kill(member)
  }

  #heard(member: Member, message: FromChild, ready: { resolve(node: Node): void; reject(error: unknown): void }): void {
    switch (message.type) {
      case 'ready':
        member.address = message.address
        return ready.resolve(member)
      case 'failed':
        return ready.reject(new Error(`${member.role} ${member.id}: ${message.message}`))
      case 'leads':
        for (const one of this.#members) one.leads = one === member
        this.events.emit('leads', member)
        return
      case 'registered':
        member.leader = message.leader
        this.events.emit('registered', member)
        return
      case 'shardStarted':
        member.running.add(message.key)
        this.events.emit('shardStarted', member, message.key)
        return
      case 'shardFinished':
        member.running.delete(message.key)
        this.events.emit('shardFinished', member, message.key)
        return
    }
  }
}
