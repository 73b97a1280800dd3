/**
 * Who was told what by liars: an honest node that has verified both sides of a contradiction keeps evidence that
 * names who signed them. It is held to that within one life only, since it keeps statements in memory.
 */
import { toHex } from '../../src/bytes.ts'
import type { Seal } from '../../src/ledger/seal.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { parseNote } from '../../src/notes/note.ts'
import type { Report } from './judge.ts'

/** Sizes beyond its tree of which a node keeps what one key has said. */
const AHEAD_MAX = 8

/** A node in one life. */
export interface Witness {
  readonly name: string
  readonly incarnation: number
}

interface Statements {
  /** What was said of each place: of a height in a term, or of a size. */
  readonly said: Map<string, string>
  /** Who contradicted itself. */
  readonly convicted: Set<string>
}

export class LiesJudge {
  /** By witness and liar: sizes beyond the witness's tree. */
  readonly #ahead = new Map<string, Set<number>>()
  readonly #heard = new Map<string, Statements>()
  readonly #fail: Report

  constructor(fail: Report) {
    this.#fail = fail
  }

  /** `witness` has verified the seal of a block. */
  sawSeal(witness: Witness, seal: Seal): void {
    const { proposer, term, height, previous, entriesRoot, time } = seal
    const content = [toHex(previous), toHex(entriesRoot), time].join(' ')
    this.#hears(witness, proposer, `seal ${term} ${height}`, content)
  }

  /** `witness`, whose tree has `size` leaves, has verified what `liar` cosigned. */
  sawNote(witness: Witness, liar: string, note: string, size: number): void {
    const checkpoint = parseCheckpoint(parseNote(note).text)
    // Of what lies ahead of its tree, which it cannot judge yet, it keeps a few.
    const id = `${idOf(witness)} ${liar}`
    const ahead = new Set([...(this.#ahead.get(id) ?? [])].filter((each) => each > size))
    this.#ahead.set(id, ahead)
    if (checkpoint.size > size && ahead.add(checkpoint.size).size > AHEAD_MAX) return
    this.#hears(witness, liar, `size ${checkpoint.size}`, toHex(checkpoint.root))
  }

  /** At the end: those whom `witness` must have evidence against, and has not. */
  judge(witness: Witness, accused: ReadonlySet<string>): void {
    for (const liar of this.#heard.get(idOf(witness))?.convicted ?? []) {
      if (!accused.has(liar))
        this.#fail(`${witness.name} has no evidence against ${liar}, who told it two things`)
    }
  }

  #hears(witness: Witness, by: string, place: string, content: string): void {
    const id = idOf(witness)
    const statements = this.#heard.get(id) ?? {
      said: new Map<string, string>(),
      convicted: new Set<string>(),
    }
    this.#heard.set(id, statements)
    const known = statements.said.get(`${by} ${place}`)
    if (known === undefined) statements.said.set(`${by} ${place}`, content)
    else if (known !== content) statements.convicted.add(by)
  }
}

function idOf({ name, incarnation }: Witness): string {
  return `${name}#${incarnation}`
}
