/**
 * What clients asked and were told, judged against the chain that all nodes agree on in the end.
 *
 * Why these rules are linearizability. The object is a log: `submit` appends an event that occurs nowhere else
 * and returns its index. Let every submission take effect in the order of the final chain. That is a legal
 * sequence of appends if, and only if, each answer names the index at which its event stands, and each event
 * stands there once. It is a linearization if, and only if, it respects real time: when the answer to A came
 * before B was asked, A stands before B. A submission without an answer may have taken effect at any time after
 * it was asked, or never, so it only bounds what stands before it. Wing and Gong's search looks for such an
 * order; here the log itself is the order, because events are unique, so there is nothing to search for.
 *
 * Reads are local to a node: each shows a prefix of that log, and a node's prefixes never shrink. A read flagged
 * `linearizable` must besides show every submission that was answered before it was asked.
 */
import { type EntryView, STAGES, type Stage, type Submission } from '../../node/service.ts'
import { GUEST } from './cast.ts'

export interface Call {
  readonly kind: 'submit' | 'ask' | 'query'
  readonly client: string
  readonly node: string
  /** The life of the node that the request reached. */
  incarnation: number
  readonly invoked: number
  /** Event id of a submission, entry id of a question. */
  readonly key: string
  readonly stage: Stage
  readonly linearizable: boolean
  returned?: number
  answer?: Submission
  entries?: readonly EntryView[]
  /** The answer was that there is no such entry. */
  unknown?: true
}

/** The chain in the end: the entry and the CloudEvents id of each index that holds one. */
export interface FinalChain {
  readonly size: number
  readonly entryAt: ReadonlyMap<number, string>
  readonly eventsAt: ReadonlyMap<number, readonly string[]>
}

export class History {
  readonly calls: Call[] = []
  readonly #now: () => number
  #order = 0

  /** `now` in ms. Two calls of one moment are ordered by their making. */
  constructor(now: () => number) {
    this.#now = now
  }

  submits(client: string, key: string, node: string, stage: Stage): Call {
    return this.#begin({ kind: 'submit', client, node, key, stage })
  }

  asks(client: string, id: string, node: string, linearizable = false): Call {
    return this.#begin({ kind: 'ask', client, node, key: id, stage: 'pending' }, linearizable)
  }

  queries(client: string, node: string, linearizable = false): Call {
    return this.#begin({ kind: 'query', client, node, key: '', stage: 'pending' }, linearizable)
  }

  answered(call: Call, answer: Submission): void {
    call.returned = this.#moment()
    call.answer = answer
  }

  saw(call: Call, entries: readonly EntryView[]): void {
    call.returned = this.#moment()
    call.entries = entries
  }

  missed(call: Call): void {
    call.returned = this.#moment()
    call.unknown = true
  }

  #begin(call: Omit<Call, 'invoked' | 'linearizable' | 'incarnation'>, linearizable = false): Call {
    const made = { ...call, incarnation: 0, invoked: this.#moment(), linearizable }
    this.calls.push(made)
    return made
  }

  #moment(): number {
    return this.#now() + this.#order++ / 2 ** 32
  }

  /** The first broken promise, as a sentence. */
  check(chain: FinalChain, lost: ReadonlySet<string>): string | undefined {
    return (
      this.#answersHold(chain, lost, this.calls) ??
      this.#eventsOnce(chain) ??
      this.#realTime(chain, this.calls) ??
      this.#readsHold(chain, this.calls, true)
    )
  }

  /** Where somebody forgot what it had promised, only these answers are promises. */
  checkAnswers(
    chain: FinalChain,
    lost: ReadonlySet<string>,
    only: (call: Call) => boolean,
  ): string | undefined {
    return this.#answersHold(chain, lost, this.calls.filter(only))
  }

  /**
   * Among liars the answers of honest nodes hold as ever, but for two things: a leader that lies can record an event
   * twice, and it can confirm to those who ask for the truth of the moment that nothing newer is ordered.
   * @param all whether what was pending must have been ordered by now
   */
  checkAmongLiars(
    chain: FinalChain,
    lost: ReadonlySet<string>,
    honestly: (call: Call) => boolean,
    all: boolean,
  ): string | undefined {
    const calls = this.calls.filter(honestly)
    const ordered = calls.filter(({ answer }) => all || answer?.status !== 'pending')
    return (
      this.#answersHold(chain, lost, ordered) ??
      this.#realTime(chain, calls) ??
      this.#readsHold(chain, calls, false)
    )
  }

  /** Acknowledged means recorded: where the answer says, and for ever. */
  #answersHold(chain: FinalChain, lost: ReadonlySet<string>, calls: readonly Call[]): string | undefined {
    const indexes = new Map([...chain.entryAt].map(([index, id]) => [id, index]))
    const events = eventIndexes(chain)
    for (const { kind, client, node, key, answer } of calls) {
      if (answer === undefined) continue
      const { id, index, status } = answer
      const who = `${node} told ${client} that ${key} is ${status}`
      if (index !== undefined && chain.entryAt.get(index) !== id)
        return `${who} at ${index}; it does not stand there`
      if (kind !== 'submit') continue
      const stands = events.get(key)?.[0]
      if (stands === undefined && status === 'pending' && (lost.has(node) || client === GUEST)) continue
      if (stands === undefined) return `${who}; it is lost`
      if (index !== undefined && stands !== index) return `${who} at ${index}; it stands at ${stands}`
      if (status !== 'pending' && indexes.get(id) === undefined) return `${who} as entry ${id}; that is lost`
    }
    return undefined
  }

  /** A CloudEvent, by source and id, is recorded once however often it was sent. */
  #eventsOnce(chain: FinalChain): string | undefined {
    for (const [key, found] of eventIndexes(chain)) {
      if (found.length > 1) return `event ${key} is recorded twice, at ${found.join(' and ')}`
    }
    return undefined
  }

  /** If A was acknowledged as ordered before B was first sent, A stands before B. */
  #realTime(chain: FinalChain, answered: readonly Call[]): string | undefined {
    const events = eventIndexes(chain)
    const firstSent = new Map<string, number>()
    const moments: { at: number; acknowledged?: number; sent?: string }[] = []
    const counting = new Set(answered)
    for (const call of this.calls) {
      if (call.kind !== 'submit') continue
      if (!firstSent.has(call.key)) {
        firstSent.set(call.key, call.invoked)
        moments.push({ at: call.invoked, sent: call.key })
      }
      const index = counting.has(call) ? call.answer?.index : undefined
      if (index !== undefined) moments.push({ at: call.returned!, acknowledged: index })
    }
    let highest = -1
    for (const { acknowledged, sent } of moments.sort((a, b) => a.at - b.at)) {
      highest = Math.max(highest, acknowledged ?? -1)
      const index = sent === undefined ? undefined : events.get(sent)?.[0]
      if (index !== undefined && index < highest) {
        return `event ${sent} stands at ${index}, before ${highest}, which was acknowledged before it was sent`
      }
    }
    return undefined
  }

  /** Reads show the chain; at one node what was ordered stays ordered, and in one life what was final stays final. */
  #readsHold(chain: FinalChain, calls: readonly Call[], linearizable: boolean): string | undefined {
    const reached = new Map<string, number>()
    const acknowledged: { at: number; index: number; id: string }[] = []
    const told = calls
      .filter(({ returned }) => returned !== undefined)
      .sort((a, b) => a.returned! - b.returned!)
    for (const call of told) {
      if (call.kind === 'submit' && call.answer?.index !== undefined) {
        const { index, id } = call.answer
        acknowledged.push({ at: call.returned!, index, id })
      }
      const seen = shown(call)
      for (const { id, index, status } of seen) {
        if (index !== undefined && chain.entryAt.get(index) !== id) {
          return `${call.node} showed ${id} at ${index}, where it does not stand`
        }
        const name = `${call.node}#${call.incarnation} ${id}`
        const before = reached.get(name)
        // Two answers may overtake each other: only what was asked after the other's answer counts.
        const stage = STAGES.indexOf(status)
        if (before !== undefined && stage < before && this.#askedAfter(call, told, id, before)) {
          return `${call.node} showed ${id} as ${STAGES[before]} and later as ${status}`
        }
        reached.set(name, Math.max(before ?? 0, stage))
      }
      if (!linearizable) continue
      if (call.linearizable && call.kind === 'ask') {
        const due = acknowledged.find(({ at, id }) => at < call.invoked && id === call.key)
        if (due !== undefined && call.answer?.index === undefined) {
          return `a linearizable question at ${call.node} misses entry ${due.index}`
        }
      } else if (call.linearizable) {
        const newest = Math.max(-1, ...seen.map(({ index }) => index ?? -1))
        const due = Math.max(
          -1,
          ...acknowledged.filter(({ at }) => at < call.invoked).map(({ index }) => index),
        )
        if (newest < due) return `a linearizable read at ${call.node} misses entry ${due}`
      }
    }
    return undefined
  }

  /** Whether `call` was made after this life of its node had shown `id` at `stage`. */
  #askedAfter(call: Call, told: readonly Call[], id: string, stage: number): boolean {
    return told.some(
      (earlier) =>
        earlier.node === call.node &&
        earlier.incarnation === call.incarnation &&
        earlier.returned! < call.invoked &&
        shown(earlier).some((seen) => seen.id === id && STAGES.indexOf(seen.status) >= stage),
    )
  }
}

function shown({ entries, answer }: Call): readonly (EntryView | Submission)[] {
  return entries ?? (answer === undefined ? [] : [answer])
}

function eventIndexes(chain: FinalChain): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const [index, keys] of chain.eventsAt) {
    for (const key of keys) found.set(key, [...(found.get(key) ?? []), index])
  }
  return found
}
