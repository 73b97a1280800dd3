import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { fromHex, toHex } from '../../src/bytes.ts'
import { sha256 } from '../../src/crypto/hash.ts'
import { nobleDeterministicSuite, nobleSuite } from '../../src/crypto/noble.ts'
import { verifyCertificate } from '../../src/notes/certificate.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import {
  cosignatureKey,
  cosignedMessage,
  signCosignature,
  verifyCosignature,
} from '../../src/notes/cosignature.ts'
import { parseNote, parseSignatureLine, printSignatureLine } from '../../src/notes/note.ts'
import { printVkey } from '../../src/notes/vkey.ts'
import { describeShared } from '../support/shared.ts'

interface Vector {
  readonly seedHex: string
  readonly cosignerName: string
  readonly timestamp: number
  readonly publicKeySha256: string
  readonly keyIdHex: string
  readonly vkey: string
  readonly signedMessageHex: string
  readonly signatureLine: string
  readonly noteLineBytes: number
  readonly checkpoint: string
}

describeShared('vectors/qat-crosscheck', 'a cosignature made and verified by other programs', (folder) => {
  const vector = JSON.parse(readFileSync(new URL('cosig-mldsa44-0x06.json', folder), 'utf8')) as Vector
  const { cosignerName: name, timestamp } = vector
  const note = parseNote(vector.checkpoint)
  const checkpoint = parseCheckpoint(note.text)
  const signer = nobleDeterministicSuite.signer('ML-DSA-44', fromHex(vector.seedHex))
  const key = cosignatureKey(name, signer.publicKey)

  it('has the key, key ID and verifier key that we derive', () => {
    assert.equal(toHex(sha256(key.bytes)), vector.publicKeySha256)
    assert.equal(key.id, vector.keyIdHex)
    assert.equal(printVkey(key), vector.vkey)
  })

  it('signs the message that we build', () => {
    assert.equal(toHex(cosignedMessage(name, timestamp, checkpoint)), vector.signedMessageHex)
  })

  it('verifies, and is spelled as we spell it', async () => {
    const line = parseSignatureLine(vector.signatureLine.trimEnd())
    assert.deepEqual(line, note.signatures[1])
    assert.equal(printSignatureLine(line), vector.signatureLine.trimEnd())
    for (const suite of [nobleSuite, opensslSuite]) {
      assert.equal(await verifyCosignature(suite, key, checkpoint, line), timestamp)
    }
    const ours = await signCosignature(signer, name, checkpoint, timestamp)
    assert.deepEqual(ours, line)
    assert.equal(Buffer.byteLength(`${printSignatureLine(ours)}\n`), vector.noteLineBytes)
  })

  it('stands beside a line of a type unknown to us in one note', async () => {
    const log = cosignatureKey(checkpoint.origin, signer.publicKey)
    const policy = { logs: [{ key: log }], witnesses: [{ name: 'w', key }], groups: [], quorum: 'w' }
    // Only the Ed25519 line bears the log's name, and it counts for nothing.
    await assert.rejects(verifyCertificate(opensslSuite, policy, vector.checkpoint), {
      code: 'no-log-signature',
    })
  })
})
