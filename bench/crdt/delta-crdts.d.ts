/** What of the peer the bench uses; it has no types of its own. */
declare module 'delta-crdts' {
  export interface Replica {
    inc(): unknown
    add(value: string): unknown
    remove(value: string): unknown
    write(time: number, value: unknown): unknown
    apply(delta: unknown): unknown
    state(): unknown
    value(): unknown
  }
  export default function deltaCrdts(type: 'gcounter' | 'lwwreg' | 'aworset'): (id: string) => Replica
}
