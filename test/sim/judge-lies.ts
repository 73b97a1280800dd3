/**
 * Who was told what by liars: an honest node that has verified both sides of a contradiction keeps evidence that
 * names who signed them. It is held to that within one life only, since it keeps statements in memory, and only for
 * statements that came soon after each other, since it keeps so many.
 */
import { toHex } from '../../src/bytes.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { parseNote } from '../../src/notes/note.ts'
import type { Report } from './judge.ts'
import { breaks, type Signed } from './statements.ts'

/** Sizes beyond its tree of which a node keeps what one key has said. */
const AHEAD_MAX = 8
/** Places of one key and kind of which a node surely remembers what was said first. */
const PLACES_MAX = 30

/** A node in one life. */
export interface Witness {
  readonly name: string
  readonly incarnation: number
}

interface Heard {
  /** What was said of each place, the newest places last. */
  readonly said: Map<string, string>
  readonly votes: Map<number, Signed & { kind: 'vote' }>
}

export class LiesJudge {
  /** By witness and liar: sizes beyond the witness's tree. */
  readonly #ahead = new Map<string, Set<number>>()
  /** By witness, key and kind. */
  readonly #heard = new Map<string, Heard>()
  /** By witness: who contradicted itself, and how. */
  readonly #convicted = new Map<string, Map<string, string>>()
  readonly #fail: Report
  /** Liars that some honest node must have named by now. */
  readonly caught = new Set<string>()

  constructor(fail: Report) {
    this.#fail = fail
  }

  /** `witness` has verified a statement of `liar`. */
  saw(witness: Witness, liar: string, key: PublicKey, signed: Signed): void {
    const id = toHex(key.bytes.subarray(0, 32))
    const { votes } = this.#hears(witness, liar, `${id} ${signed.kind}`, signed.place, signed.content)
    if (signed.kind === 'vote') {
      if (votes.get(signed.vote.term) === undefined) votes.set(signed.vote.term, signed)
      return
    }
    if (signed.kind !== 'seal') return
    const stood = this.#of(witness, `${id} vote`).votes.get(signed.seal.term)
    if (stood && breaks(stood.vote, signed.seal))
      this.#convict(witness, liar, `${stood.content} and a seal of height ${signed.seal.height}`)
  }

  /** `witness`, whose tree has `size` leaves, has verified what `liar` cosigned. */
  sawNote(witness: Witness, liar: string, note: string, size: number): void {
    const checkpoint = parseCheckpoint(parseNote(note).text)
    // Of what lies ahead of its tree, which it cannot judge yet, it keeps a few.
    const id = `${idOf(witness)} ${liar}`
    const ahead = new Set([...(this.#ahead.get(id) ?? [])].filter((each) => each > size))
    this.#ahead.set(id, ahead)
    if (checkpoint.size > size && ahead.add(checkpoint.size).size > AHEAD_MAX) return
    this.#hears(witness, liar, `${liar} note`, `${checkpoint.size}`, toHex(checkpoint.root))
  }

  /** At the end: those whom `witness` must have evidence against, and has not. */
  judge(witness: Witness, accused: ReadonlySet<string>): void {
    for (const [liar, how] of this.#convicted.get(idOf(witness)) ?? []) {
      if (!accused.has(liar))
        this.#fail(`${witness.name} has no evidence against ${liar}, who told it two things: ${how}`)
    }
  }

  #of(witness: Witness, what: string): Heard {
    const id = `${idOf(witness)} ${what}`
    const heard = this.#heard.get(id) ?? { said: new Map(), votes: new Map() }
    this.#heard.set(id, heard)
    return heard
  }

  #hears(witness: Witness, by: string, what: string, place: string, content: string): Heard {
    const heard = this.#of(witness, what)
    const known = heard.said.get(place)
    if (known === undefined) {
      heard.said.set(place, content)
      const [oldest] = heard.said.keys()
      if (heard.said.size > PLACES_MAX && oldest !== undefined) {
        heard.said.delete(oldest)
        heard.votes.delete(Number(oldest))
      }
    } else if (known !== content) this.#convict(witness, by, `${what.slice(-16)} ${place}`)
    return heard
  }

  #convict(witness: Witness, liar: string, how: string): void {
    const id = idOf(witness)
    const convicted = this.#convicted.get(id) ?? new Map<string, string>()
    this.#convicted.set(id, convicted.set(liar, how))
    this.caught.add(liar)
  }
}

function idOf({ name, incarnation }: Witness): string {
  return `${name}#${incarnation}`
}
