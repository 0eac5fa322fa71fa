/** A `NodeView` without a network: what a worker registry looks like to the detector. */
import { ErrorReporter, TypedEmitter } from '@hs/core'
import type { MemberStatus, NodeView } from '@hs/swim'

export class NodeRegistry implements NodeView {
  readonly events = new TypedEmitter<{ memberDead: [{ name: string }]; memberLeft: [{ name: string }] }>(
    'NodeRegistry',
    new ErrorReporter(),
  )
  readonly nodes = new Map<string, { status: MemberStatus; generation: number }>()
  localHealth = 0

  constructor(...names: readonly string[]) {
    for (const name of names) this.nodes.set(name, { status: 'alive', generation: 1 })
  }

  member(name: string): { status: MemberStatus; generation: number } | undefined {
    return this.nodes.get(name)
  }

  set(name: string, status: MemberStatus): void {
    const node = this.nodes.get(name)
    if (node === undefined || node.status === status) return
    this.nodes.set(name, { ...node, status })
    if (status === 'dead') this.events.emit('memberDead', { name })
    if (status === 'left') this.events.emit('memberLeft', { name })
  }

  /** A later process takes the name; `quietly`: and the registry raises no event for the old one. */
  restart(name: string, { quietly = false } = {}): void {
    const generation = (this.nodes.get(name)?.generation ?? 0) + 1
    this.nodes.set(name, { status: 'alive', generation })
    if (!quietly) this.events.emit('memberDead', { name })
  }
}
