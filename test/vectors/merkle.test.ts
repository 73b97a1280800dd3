import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fromHex, toHex } from '../../src/bytes.ts'
import { Frontier } from '../../src/merkle/frontier.ts'
import { perfectNodes } from '../../src/merkle/geometry.ts'
import { foldNodes, leafHash } from '../../src/merkle/hash.ts'
import { inclusionPath } from '../../src/merkle/proof.ts'
import { rootFromInclusion, verifyConsistency, verifyInclusion } from '../../src/merkle/verify.ts'
import { describeShared } from '../support/shared.ts'

/** JSON.parse would round the integers, which reach 2^64 - 1; only integers that fit become numbers. */
function parse(text: string): Record<string, unknown> {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? BigInt(context!.source!) : value,
  ) as Record<string, unknown>
}

function* cases(folder: URL, kind: string): Generator<[string, Record<string, unknown>]> {
  const root = new URL(`${kind}/`, folder)
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = encodeURIComponent(name).replaceAll('%2F', '/')
    if (name.endsWith('.json')) yield [name, parse(readFileSync(new URL(path, root), 'utf8'))]
  }
}

const bytes = (text: unknown) => new Uint8Array(Buffer.from((text as string | null) ?? '', 'base64'))
const list = (value: unknown) => ((value as string[] | null) ?? []).map(bytes)

function judge(name: string, wantErr: unknown, integers: bigint[], run: (numbers: number[]) => void): void {
  if (wantErr === false) {
    run(integers.map(Number))
    return
  }
  const exact = integers.every((integer) => integer <= BigInt(Number.MAX_SAFE_INTEGER))
  const refusal = exact ? { name: 'ProofError' } : { name: 'FormatError', code: 'bad-integer' }
  assert.throws(() => run(integers.map(Number)), refusal, name)
}

describeShared('vectors/transparency-dev-merkle/testdata', 'vectors of transparency-dev/merkle', (folder) => {
  it('inclusion', () => {
    let count = 0
    for (const [name, test] of cases(folder, 'inclusion')) {
      judge(name, test.wantErr, [test.leafIdx as bigint, test.treeSize as bigint], ([index, size]) => {
        const { leafHash, root } = { leafHash: bytes(test.leafHash), root: bytes(test.root) }
        verifyInclusion({ index: index!, size: size!, leafHash, root, path: list(test.proof) })
      })
      count++
    }
    assert.equal(count, 33)
  })

  it('consistency, where a proof from the empty tree is refused as upstream does', () => {
    let count = 0
    for (const [name, test] of cases(folder, 'consistency')) {
      judge(name, test.wantErr, [test.size1 as bigint, test.size2 as bigint], ([size1, size2]) => {
        const roots = { root1: bytes(test.root1), root2: bytes(test.root2) }
        verifyConsistency({ size1: size1!, size2: size2!, ...roots, path: list(test.proof) })
      })
      count++
    }
    assert.equal(count, 33)
  })
})

describe('reference tree of Certificate Transparency', () => {
  it('has the known roots at sizes 0 to 8', () => {
    const leaves = [
      '',
      '00',
      '10',
      '2021',
      '3031',
      '40414243',
      '5051525354555657',
      '606162636465666768696a6b6c6d6e6f',
    ]
    const roots = [
      'e3b0c442',
      '6e340b9c',
      'fac54203',
      'aeb6bcfe',
      'd37ee418',
      '4e3bbb1f',
      '76e67dad',
      'ddb89be4',
    ]
    roots.push('5dc9da79')
    const tree = new Frontier()
    const got = [toHex(tree.root())]
    for (const leaf of leaves) {
      tree.append(leafHash(fromHex(leaf)))
      got.push(toHex(tree.root()))
    }
    assert.deepEqual(
      got.map((root) => root.slice(0, 8)),
      roots,
    )
  })
})

// Appendix C.1 of draft-ietf-plants-merkle-tree-certs: one rolling SHA-256 over a line for each case, on trees
// of up to 130 leaves of which leaf i is the byte i. The third digest there, over the consistency of subtrees
// that do not begin at 0, is left out: the ledger proves consistency of whole trees only.
describe('accumulated vectors of Merkle Tree Certificates', () => {
  const LEAVES = 130
  const nodes = new Map<string, Uint8Array>()
  const tree = new Frontier()
  for (let i = 0; i < LEAVES; i++) {
    tree.append(leafHash(Uint8Array.of(i)), (level, index, hash) => nodes.set(`${level}/${index}`, hash))
  }
  // A subtree is itself a tree whose leaves begin at `start`, a multiple of the width of all its nodes.
  const reader = (start: number) => (level: number, index: number) =>
    nodes.get(`${level}/${index + start / 2 ** level}`)!

  function* subtrees(): Generator<[start: number, end: number]> {
    for (let end = 0; end <= LEAVES; end++) {
      for (let start = 0; start <= end; start++) {
        let width = 1
        while (width < end - start) width *= 2
        if (start % width === 0) yield [start, end]
      }
    }
  }

  const hashOf = (start: number, end: number) =>
    foldNodes(perfectNodes(0, end - start).map(({ level, index }) => reader(start)(level, index)))

  it('hash of every subtree', () => {
    const sum = createHash('sha256')
    for (const [start, end] of subtrees()) sum.update(`[${start}, ${end}) ${toHex(hashOf(start, end))}\n`)
    assert.equal(sum.digest('hex'), 'b82806ad4265bb151c1119c0f4db437bb4d1a1f887b3a7fba1cd4ebf552e3e81')
  })

  it('inclusion proof of every leaf in every subtree', () => {
    const sum = createHash('sha256')
    for (const [start, end] of subtrees()) {
      for (let index = start; index < end; index++) {
        const path = inclusionPath(index - start, end - start, reader(start))
        sum.update(`${[`${index} [${start}, ${end})`, ...path.map(toHex)].join(' ')}\n`)
        if (start > 0) continue
        const hash = leafHash(Uint8Array.of(index))
        assert.deepEqual(rootFromInclusion({ index, size: end, leafHash: hash, path }), hashOf(0, end))
      }
    }
    assert.equal(sum.digest('hex'), 'ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f')
  })
})
