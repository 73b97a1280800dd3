/**
 * What honest nodes sign, across all their lives: nobody can hold two of their statements against each other. By key,
 * since new keys promise anew.
 */
import type { BlockRef } from '../../consensus/types.ts'
import { toHex } from '../../src/bytes.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import type { Blocks } from './blocks.ts'
import type { Report } from './judge.ts'
import { breaks, type Signed } from './statements.ts'

export class SignedJudge {
  readonly #said = new Map<string, Signed>()
  /** By key and term: its own candidacy, and the seals of the term. */
  readonly #stood = new Map<string, Signed & { kind: 'vote' }>()
  /** By key and term: the highest. */
  readonly #acknowledged = new Map<string, BlockRef>()
  readonly #fail: Report

  constructor(fail: Report) {
    this.#fail = fail
  }

  signs({ name }: { readonly name: string }, key: PublicKey, signed: Signed, blocks: Blocks): void {
    const id = toHex(key.bytes.subarray(0, 32))
    const place = `${id} ${signed.kind} ${signed.place}`
    const before = this.#said.get(place)
    this.#said.set(place, signed)
    if (before !== undefined && before.content !== signed.content)
      this.#fail(`${name} signs two of a kind: ${before.content} and ${signed.content}`)
    if (signed.kind === 'acknowledgement') this.#acknowledges(name, id, signed.block, blocks)
    if (signed.kind === 'vote' && signed.vote.candidate === name)
      this.#stood.set(`${id} ${signed.vote.term}`, signed)
    const stood = signed.kind === 'seal' ? this.#stood.get(`${id} ${signed.seal.term}`) : undefined
    if (signed.kind === 'seal' && stood && breaks(stood.vote, signed.seal))
      this.#fail(
        `${name} seals block ${signed.seal.height} beside the base of its candidacy: ${stood.content}`,
      )
  }

  /** An acknowledgement covers all blocks below: those of one term are of one chain. */
  #acknowledges(name: string, id: string, block: BlockRef, blocks: Blocks): void {
    const place = `${id} ${block.term}`
    const before = this.#acknowledged.get(place) ?? block
    const [lower, higher] = before.height < block.height ? [before, block] : [block, before]
    if (blocks.ancestor(higher.hash, lower.height)?.id !== lower.hash)
      this.#fail(
        `${name} acknowledges two chains in term ${block.term}, at ${lower.height} and ${higher.height}`,
      )
    this.#acknowledged.set(place, higher)
  }
}
