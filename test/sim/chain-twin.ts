/**
 * The naive twin of the chain's rules: what may follow a block, read from its leaves with JSON.parse and judged
 * with nothing of src/ledger/chain.ts. Whatever a liar proposes, no honest node may put anything else on its disk.
 */
import { fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import type { PublicKey, SignatureSuite } from '../../src/crypto/suite.ts'
import type { Block } from '../../src/ledger/block.ts'
import type { Membership } from '../../src/ledger/membership.ts'
import { mth } from '../support/naive-tree.ts'
import type { Blocks } from './blocks.ts'
import { LEDGER } from './cast.ts'

/** Beyond the 10 s that the ledger allows, by as much as clocks are off here. */
const FUTURE_MS_MAX = 20_000

interface Told {
  readonly payload: string
  readonly payloadType: string
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[]
}

export interface ChainRules {
  readonly blocks: Blocks
  readonly suite: SignatureSuite
  /** Milliseconds since 1970. */
  now(): number
  /** In force for the block with this hash. */
  membership(hash: string): Membership
  fail(finding: string): void
}

export class ChainTwin {
  readonly #rules: ChainRules
  /** Blocks judged already: their hashes, with the leaves of each but the seal. */
  readonly #judged = new Map<string, ReadonlySet<string>>()

  constructor(rules: ChainRules) {
    this.#rules = rules
  }

  /** `name` puts a block on its disk, above `below`. */
  follows(name: string, block: Block, below: Block | undefined): void {
    const fail = (what: string) => this.#rules.fail(`${name} takes block ${block.seal.height}: ${what}`)
    if (below === undefined) {
      fail('there is nothing below it')
      return
    }
    const { seal } = block
    if (toHex(seal.previous) !== below.id) fail('it follows another than the one below it')
    if (this.#judged.has(block.id)) return
    const entries = block.leaves.slice(0, -1)
    const ids = entries.map((leaf) => toHex(mth([leaf])))
    this.#judged.set(block.id, new Set(ids))
    const end = below.seal.firstIndex + below.seal.count
    if (seal.ledger !== LEDGER) fail('of another ledger')
    if (seal.height !== below.seal.height + 1 || seal.firstIndex !== end + 1) fail('out of place')
    if (seal.count !== entries.length || toHex(seal.entriesRoot) !== toHex(mth(entries))) fail('a wrong root')
    if (seal.term < below.seal.term) fail('its term is older than the one below')
    if (seal.time < below.seal.time) fail('its time is before the one below')
    if (seal.time > this.#rules.now() + FUTURE_MS_MAX) fail('its time is in the future')
    if (new Set(ids).size < ids.length || ids.some((id) => this.#stands(id, below))) fail('an entry twice')
    const members = this.#rules.membership(block.id)
    const proposer = members.validators.find((validator) => validator.name === seal.proposer)
    this.#signed(block.leaves.at(-1)!, proposer?.nodeKey, () => fail('its seal is not signed by a validator'))
    const told = entries.map(read)
    if (told.filter(isChange).length > 1) fail('two changes')
    for (const [i, entry] of told.entries()) {
      if (isChange(entry)) continue
      const [signature] = entry.signatures
      const submitter = members.submitters.find(({ key }) => keyId(key) === signature?.keyid)
      this.#signed(entries[i]!, submitter?.key, () => fail('an entry that no submitter has signed'))
      const events = [JSON.parse(fromUtf8(bytesOf(entry)))].flat() as { source: string; type: string }[]
      for (const { source, type } of events) {
        const may = covers(submitter?.sources, source) && covers(submitter?.types, type)
        if (!may) fail(`its submitter may not log ${type} from ${source}`)
      }
    }
  }

  /** Whether a leaf stands in the chain that ends with `block`. */
  #stands(id: string, block: Block): boolean {
    const { blocks } = this.#rules
    for (let at: Block | undefined = block; at !== undefined; at = blocks.get(toHex(at.seal.previous))) {
      if (this.#judged.get(at.id)?.has(id)) return true
    }
    return false
  }

  /** DSSE with exactly one signature, which verifies; else `bad` is called, perhaps a moment later. */
  #signed(leaf: Uint8Array, key: PublicKey | undefined, bad: () => void): void {
    const { payloadType, payload, signatures } = read(leaf)
    const [signature] = signatures
    if (key === undefined || signature === undefined || signatures.length > 1) {
      bad()
      return
    }
    const body = Buffer.from(payload, 'base64')
    const head = utf8(`DSSEv1 ${payloadType.length} ${payloadType} ${body.length} `)
    const message = new Uint8Array(Buffer.concat([head, body]))
    const sig = new Uint8Array(Buffer.from(signature.sig, 'base64'))
    void this.#rules.suite.verify(key, message, sig).then((good) => good || bad())
  }
}

function read(leaf: Uint8Array): Told {
  return JSON.parse(fromUtf8(leaf)) as Told
}

function bytesOf({ payload }: Told): Uint8Array {
  return new Uint8Array(Buffer.from(payload, 'base64'))
}

function isChange({ payloadType }: Told): boolean {
  return payloadType.endsWith('.change+json')
}

/** `*` stands for anything. */
function covers(patterns: readonly string[] = [], text: string): boolean {
  const escaped = patterns.map((pattern) =>
    pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*'),
  )
  return escaped.some((pattern) => new RegExp(`^${pattern}$`, 's').test(text))
}
