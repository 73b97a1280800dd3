/** Answers of a liar to those who ask it: for blocks, for what is committed. */
import { isReadRequest } from '../../node/core/reads.ts'
import {
  decodeSyncAnswer,
  decodeSyncRequest,
  encodeSyncAnswer,
  encodeSyncRequest,
  type SyncAnswer,
  type SyncRequest,
} from '../../node/core/sync.ts'
import { utf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { type Block, decodeBlock } from '../../src/ledger/block.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { nodeHash } from '../../src/merkle/hash.ts'
import { type Checkpoint, parseCheckpoint, printCheckpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { parseNote, printNote } from '../../src/notes/note.ts'
import type { Random } from '../consensus/sim/random.ts'
import { mth } from '../support/naive-tree.ts'
import { sealed } from './bad-blocks.ts'
import { LEDGER, type NodeKeys } from './cast.ts'

export interface FalseWitness {
  readonly name: string
  readonly random: Random
  readonly keys: NodeKeys
  /** What it has cosigned last. */
  readonly newest: Checkpoint | undefined
  /** Milliseconds since 1970. */
  now(): number
}

/** What the liar says in place of the true answer, which `ask` gives to any request. */
export async function falseAnswer(
  witness: FalseWitness,
  request: Uint8Array,
  ask: (request: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const { random } = witness
  if (isReadRequest(request)) return utf8(JSON.stringify({ height: random.pick([0, 1_000_000]) }))
  const truth = await ask(request)
  if (random.chance(0.15)) return garbage(random)
  if (random.chance(0.15)) return truth.subarray(0, random.int(0, truth.length))
  const answer = decodeSyncAnswer(truth)
  const last = lastOf(answer)
  if (last === undefined) {
    const { newest } = witness
    if (newest === undefined || random.chance(0.5)) {
      return beyond(witness, decodeSyncRequest(request), ask, truth)
    }
    return encodeSyncAnswer({ ...answer, certificate: await certificate(witness, newest) })
  }
  const lie = random.pick([aGap, anotherLast, oneMore, noQuorum, ownLinesOnly])
  return encodeSyncAnswer({ ...answer, ...(await lie(witness, answer, last)) })
}

/** Who holds all that is certified gets the next block all the same, with the proof of the one before it. */
async function beyond(
  witness: FalseWitness,
  { from, certified }: SyncRequest,
  ask: (request: Uint8Array) => Promise<Uint8Array>,
  truth: Uint8Array,
): Promise<Uint8Array> {
  const before = decodeSyncAnswer(await ask(encodeSyncRequest({ from: Math.max(from - 1, 1), certified })))
  const last = lastOf(before)
  if (last?.seal.height !== from - 1) return truth
  return encodeSyncAnswer({ ...before, blocks: [await next(witness, last)] })
}

function lastOf({ blocks }: SyncAnswer): Block | undefined {
  const bytes = blocks.at(-1)
  return bytes && decodeBlock(bytes)
}

export function garbage(random: Random): Uint8Array {
  return Uint8Array.from({ length: random.int(0, 200) }, () => random.int(0, 255))
}

type Lie = (witness: FalseWitness, answer: SyncAnswer, last: Block) => Promise<Partial<SyncAnswer>>

const aGap: Lie = async ({ random }, { blocks }) => ({
  blocks: blocks.toSpliced(random.int(0, blocks.length - 1), 1),
})

/** A block of the liar's own in the place of the last, with the path of the true one. */
const anotherLast: Lie = async (witness, { blocks }, last) => ({
  blocks: [...blocks.slice(0, -1), await again(witness, last)],
})

/** Behind the last block, which stands in the certified tree, one that does not. */
const oneMore: Lie = async (witness, { blocks }, last) => ({ blocks: [...blocks, await next(witness, last)] })

/** A chain of its own, proven in a tree of its own, which nobody else has cosigned. */
const noQuorum: Lie = async (witness, { blocks }, last) => {
  const body = await again(witness, last)
  const own = decodeBlock(body)
  const size = own.seal.firstIndex + own.seal.count + 1
  // The last leaf of a tree has a neighbour to its left for each bit of its index, and any will do.
  const bits = (size - 1).toString(2).replaceAll('0', '').length
  const path = Array.from({ length: bits }, (_, i) => mth([utf8(`neighbour ${i}`)]))
  const root = path.reduce((hash, left) => nodeHash(left, hash), own.leafHashes.at(-1)!)
  return {
    certificate: await certificate(witness, { origin: LEDGER, size, root }),
    path,
    blocks: [...blocks.slice(0, -1), body],
  }
}

/** The true tree, by a certificate that nobody but the liar has signed. */
const ownLinesOnly: Lie = async (witness, answer) => {
  const { origin, size, root } = parseCheckpoint(parseNote(answer.certificate).text)
  return { certificate: await certificate(witness, { origin, size, root }) }
}

async function certificate({ name, keys, now }: FalseWitness, checkpoint: Checkpoint): Promise<string> {
  const seconds = Math.floor(now() / 1_000)
  const sign = (key: string, signer: Signer) => signCosignature(signer, key, checkpoint, seconds)
  const names = [LEDGER, cosignerName(LEDGER, name)]
  const signatures = await Promise.all(names.map((key) => sign(key, keys.cosigner)))
  return printNote({ text: printCheckpoint(checkpoint), signatures })
}

async function again({ name, keys }: FalseWitness, { seal, leaves }: Block): Promise<Uint8Array> {
  const said = { ...seal, proposer: name, time: seal.time + 1 }
  return (await sealed(keys.node, said, leaves.slice(0, -1))).body
}

async function next({ name, keys }: FalseWitness, { seal, leafHashes }: Block): Promise<Uint8Array> {
  const place = {
    height: seal.height + 1,
    firstIndex: seal.firstIndex + seal.count + 1,
    previous: leafHashes.at(-1)!,
  }
  const said = { ...seal, ...place, proposer: name, count: 0, entriesRoot: mth([]) }
  return (await sealed(keys.node, said, [])).body
}
