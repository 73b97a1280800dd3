/** The longest time without a final entry while a quorum of the nodes was up and connected. */
export class Availability {
  readonly #nodes: number
  readonly #quorum: number
  readonly #now: () => number
  /** By name: under how many faults a node is. */
  readonly #struck = new Map<string, number>()
  /** When the last entry became final or the quorum returned; undefined while there is no quorum. */
  #since: number | undefined
  #longest = { ms: 0, at: 0 }

  /** @param now milliseconds on a clock that never runs backwards */
  constructor(nodes: number, quorum: number, now: () => number) {
    this.#nodes = nodes
    this.#quorum = quorum
    this.#now = now
  }

  /** The load begins. */
  begin(): void {
    this.#resume()
  }

  /** The load ends: from here on nobody waits. */
  end(): void {
    this.#pause()
  }

  /** These nodes are down or cut off. */
  strike(names: readonly string[]): void {
    for (const name of names) this.#struck.set(name, (this.#struck.get(name) ?? 0) + 1)
    if (this.usable < this.#quorum) this.#pause()
  }

  /** One fault of each of these nodes is over: they run and are connected. */
  release(names: readonly string[]): void {
    const before = this.usable
    for (const name of names) {
      const faults = (this.#struck.get(name) ?? 1) - 1
      if (faults === 0) this.#struck.delete(name)
      else this.#struck.set(name, faults)
    }
    if (before < this.#quorum) this.#resume()
  }

  /** A client was told that an entry is final. */
  final(): void {
    if (this.#since === undefined) return
    this.#close()
    this.#since = this.#now()
  }

  /** Nodes under no fault. */
  get usable(): number {
    return this.#nodes - this.#struck.size
  }

  /** How long, and by the clock when it ended. */
  get longest(): { readonly ms: number; readonly at: number } {
    return this.#longest
  }

  #resume(): void {
    if (this.usable >= this.#quorum) this.#since = this.#now()
  }

  #pause(): void {
    this.#close()
    this.#since = undefined
  }

  #close(): void {
    if (this.#since === undefined) return
    const at = this.#now()
    if (at - this.#since > this.#longest.ms) this.#longest = { ms: at - this.#since, at }
  }
}
