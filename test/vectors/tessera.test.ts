import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { concat, toBase64Url, toHex, utf8 } from '../../src/bytes.ts'
import { nobleSuite } from '../../src/crypto/noble.ts'
import { Frontier } from '../../src/merkle/frontier.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { consistencyPath, inclusionPath, rootNodes } from '../../src/merkle/proof.ts'
import {
  decodeEntryBundle,
  encodeEntryBundle,
  nodeFromTile,
  nodeTile,
  tilePath,
  tileWidth,
} from '../../src/merkle/tiles.ts'
import { verifyConsistency, verifyInclusion } from '../../src/merkle/verify.ts'
import { verifyCertificate } from '../../src/notes/certificate.ts'
import { parseCheckpoint, printCheckpoint } from '../../src/notes/checkpoint.ts'
import { parseNote, printNote } from '../../src/notes/note.ts'
import { noteKeyId, parseVkey } from '../../src/notes/vkey.ts'
import { describeShared } from '../support/shared.ts'

const VKEY = 'example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx'
const SIZES = Array.from({ length: 16 }, (_, size) => size)

describeShared('vectors/tessera-testlog/testdata/log', 'a log written by tessera', (folder) => {
  const read = (path: string) => new Uint8Array(readFileSync(new URL(path, folder)))
  const checkpointNote = (size: number) => readFileSync(new URL(`checkpoint.${size}`, folder), 'utf8')
  const checkpointOf = (size: number) => parseCheckpoint(parseNote(checkpointNote(size)).text)
  const key = parseVkey(VKEY)
  const tile = (size: number) => read(tilePath({ level: 0, index: 0, width: tileWidth(0, 0, size) }))
  const node = (size: number) => (level: number, index: number) =>
    nodeFromTile(tile(size), nodeTile({ level, index }))

  it('has checkpoints that we read, write and find signed by its Ed25519 key', () => {
    assert.equal(noteKeyId(key.name, key.type, key.bytes), key.id)
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(key.bytes) }
    const ed25519 = createPublicKey({ key: jwk, format: 'jwk' })
    for (const size of SIZES) {
      const note = parseNote(checkpointNote(size))
      assert.equal(printNote(note), checkpointNote(size))
      const { extensions, ...checkpoint } = parseCheckpoint(note.text)
      assert.equal(printCheckpoint(checkpoint), note.text)
      assert.deepEqual([checkpoint.origin, checkpoint.size, extensions], [key.name, size, []])
      const [line] = note.signatures
      assert.deepEqual([line!.name, line!.keyId], [key.name, key.id])
      assert.ok(verify(null, utf8(note.text), ed25519, line!.signature))
    }
  })

  it('is signed by a type that is unknown to us, and so proves nothing to us', async () => {
    const policy = { logs: [{ key }], witnesses: [], groups: [], quorum: 'none' }
    await assert.rejects(verifyCertificate(nobleSuite, policy, checkpointNote(15)), {
      code: 'no-log-signature',
    })
  })

  it('has bundles and tiles that we read and would have written', () => {
    const tree = new Frontier()
    assert.equal(toHex(tree.root()), toHex(checkpointOf(0).root))
    for (const size of SIZES.slice(1)) {
      const path = tilePath({ level: 'entries', index: 0, width: tileWidth('entries', 0, size) })
      const bytes = read(path)
      const entries = decodeEntryBundle(bytes)
      assert.equal(entries.length, size)
      assert.deepEqual(encodeEntryBundle(entries), bytes)
      assert.deepEqual(concat(...entries.map(leafHash)), tile(size))
      tree.append(leafHash(entries.at(-1)!))
      assert.equal(toHex(tree.root()), toHex(checkpointOf(size).root))
    }
  })

  it('has roots to which our proofs from its tiles lead', () => {
    const entries = decodeEntryBundle(read('tile/entries/000.p/15'))
    for (const size of SIZES.slice(1)) {
      const { root } = checkpointOf(size)
      const frontier = new Frontier(
        size,
        rootNodes(size).map(({ level, index }) => node(size)(level, index)),
      )
      assert.equal(toHex(frontier.root()), toHex(root))
      for (let index = 0; index < size; index++) {
        const path = inclusionPath(index, size, node(size))
        verifyInclusion({ index, size, leafHash: leafHash(entries[index]!), path, root })
        const size1 = index + 1
        const steps = consistencyPath(size1, size, node(size))
        verifyConsistency({ size1, size2: size, root1: checkpointOf(size1).root, root2: root, path: steps })
      }
    }
  })
})
