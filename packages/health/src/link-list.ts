/** A list whose members carry its links, so that each moves to the end, or leaves, in a few steps. */

export interface Link {
  previous: Link
  next: Link
}

/** Members in the order in which they were appended. */
export class LinkList<T extends Link> implements Iterable<T> {
  /** Before the first and after the last, so that an empty list is no case of its own. */
  readonly #ends: Link = makeEnds()

  get first(): T | undefined {
    return this.#memberAt(this.#ends.next)
  }

  /** Puts it last; it must be in no list. */
  append(member: T): void {
    const last = this.#ends.previous
    member.previous = last
    member.next = this.#ends
    last.next = member
    this.#ends.previous = member
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let link = this.first; link !== undefined; link = this.#memberAt(link.next)) yield link
  }

  #memberAt(link: Link): T | undefined {
    return link === this.#ends ? undefined : (link as T)
  }
}

/** Takes it out of the list it is in, if it is in one. */
export function unlink(link: Link): void {
  link.previous.next = link.next
  link.next.previous = link.previous
  link.previous = link.next = link
}

function makeEnds(): Link {
  const ends = {} as Link
  ends.previous = ends.next = ends
  return ends
}
