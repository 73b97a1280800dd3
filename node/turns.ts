/**
 * Whose work is done next: entries to verify, questions to answer. Anyone can send signatures that do not verify, and
 * it takes as long to find that out as with good ones; so sources take turns, and within a source its connections do.
 * A source that sends much waits for itself, and where there is no more room, the one with the most waiting loses its
 * newest.
 */

export interface Source {
  /** A peer, the holder of a token, or an address. */
  readonly name: string
  /** One of several connections, or keys, of that source. */
  readonly part?: string | undefined
  /** Of others there can be any number: where all is full, they give way. */
  readonly known: boolean
}

export interface TurnLimits {
  /** Under way at the same time. */
  readonly atOnce: number
  /** Waiting for their turn: of one source, and in all. */
  readonly perSource: { readonly entries: number; readonly bytes: number }
  readonly total: { readonly entries: number; readonly bytes: number }
}

interface Job {
  readonly bytes: number
  start(): Promise<unknown>
  refuse(): void
}

/** Jobs of one source or part, first in first out. */
interface Queue {
  readonly known: boolean
  readonly parts: Map<string, Job[]>
  entries: number
  bytes: number
}

export class Turns {
  readonly #limits: TurnLimits
  readonly #overloaded: () => Error
  /** In the order of their turns: a source that had one goes to the end. */
  readonly #queues = new Map<string, Queue>()
  #entries = 0
  #bytes = 0
  #running = 0

  /** @param overloaded makes the error for a job for which there is no room */
  constructor(overloaded: () => Error, limits: TurnLimits) {
    this.#overloaded = overloaded
    this.#limits = limits
  }

  /** Waiting and not begun. */
  get waiting(): number {
    return this.#entries
  }

  /** Runs `work` when its turn has come. Rejects with `overloaded` if its source has too much waiting. */
  run<T>({ name, part = '', known }: Source, bytes: number, work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const job: Job = {
        bytes,
        start: () => work().then(resolve, reject),
        refuse: () => reject(this.#overloaded()),
      }
      const queue = this.#queues.get(name) ?? { known, parts: new Map<string, Job[]>(), entries: 0, bytes: 0 }
      this.#queues.set(name, queue)
      const jobs = queue.parts.get(part) ?? []
      queue.parts.set(part, jobs)
      jobs.push(job)
      this.#count(queue, 1, bytes)
      if (exceeds(queue, this.#limits.perSource)) this.#dropFrom(queue)
      if (exceeds({ entries: this.#entries, bytes: this.#bytes }, this.#limits.total)) {
        const all = [...this.#queues.values()]
        const strangers = all.filter((of) => !of.known)
        this.#dropFrom(most(strangers.length > 0 ? strangers : all, ({ entries }) => entries)!)
      }
      this.#next()
    })
  }

  #next(): void {
    while (this.#running < this.#limits.atOnce) {
      const job = this.#take()
      if (!job) return
      this.#running++
      void job.start().finally(() => {
        this.#running--
        this.#next()
      })
    }
  }

  /** The oldest job of the part whose turn it is, of the source whose turn it is. */
  #take(): Job | undefined {
    const [next] = this.#queues
    if (!next) return undefined
    const [name, queue] = next
    const [part, jobs] = queue.parts.entries().next().value!
    const job = jobs.shift()!
    this.#count(queue, -1, -job.bytes)
    queue.parts.delete(part)
    if (jobs.length > 0) queue.parts.set(part, jobs)
    this.#queues.delete(name)
    if (queue.parts.size > 0) this.#queues.set(name, queue)
    return job
  }

  /** The part with the most loses its newest. */
  #dropFrom(queue: Queue): void {
    const [part, jobs] = most([...queue.parts], ([, waiting]) => waiting.length)!
    const job = jobs.pop()!
    if (jobs.length === 0) queue.parts.delete(part)
    this.#count(queue, -1, -job.bytes)
    if (queue.parts.size === 0)
      for (const [name, of] of this.#queues) if (of === queue) this.#queues.delete(name)
    job.refuse()
  }

  #count(queue: Queue, entries: number, bytes: number): void {
    queue.entries += entries
    queue.bytes += bytes
    this.#entries += entries
    this.#bytes += bytes
  }
}

type Held = { readonly entries: number; readonly bytes: number }

function exceeds(held: Held, max: Held): boolean {
  return held.entries > max.entries || held.bytes > max.bytes
}

/** The last of equal ones: of several parts with one job each, the newcomer gives way. */
function most<T>(items: readonly T[], size: (item: T) => number): T | undefined {
  let found: T | undefined
  for (const item of items) if (found === undefined || size(item) >= size(found)) found = item
  return found
}
