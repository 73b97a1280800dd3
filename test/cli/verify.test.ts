/** `qat verify` on proofs that hold and on proofs that do not, without a node anywhere. */
import assert from 'node:assert/strict'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { keyId, publicKeyToJwk, publicKeyToPem } from '../../src/crypto/keys.ts'
import { nobleDeterministicSuite } from '../../src/crypto/noble.ts'
import { BUNDLE_FILES, makeBundle } from '../../src/light/bundle.ts'
import { assembleCertificate } from '../../src/notes/certificate.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { parseNote } from '../../src/notes/note.ts'
import { printPolicy } from '../../src/notes/policy.ts'
import { parseTlogProof, printTlogProof } from '../../src/notes/tlog-proof.ts'
import { certified, entriesOf, ORIGIN, policyOf, TIME, VALIDATORS } from '../notes/fixture.ts'
import { ENTRY, EVENT } from '../rpc/fake-service.ts'
import { qat, scratch } from './run-qat.ts'

const INDEX = 3
const key = (fill: number) =>
  nobleDeterministicSuite.signer('ML-DSA-65', new Uint8Array(32).fill(fill)).publicKey
const [SUBMITTER, STRANGER] = [key(0), key(1)]

describe('qat verify', () => {
  const { path } = scratch()
  const [good, trusted] = ['good', 'trusted-policy']
  before(async () => {
    const entries = entriesOf(7).with(INDEX, ENTRY.bytes)
    const { certificate, path: inclusion } = await certified(entries, VALIDATORS.slice(0, 3))
    const proof = { index: INDEX, path: inclusion(INDEX), checkpoint: certificate }
    const bundle = makeBundle(ENTRY.bytes, proof, policyOf(3))
    const forged = ENTRY.bytes.slice()
    forged[40]! ^= 1
    const folders = {
      [good]: bundle,
      'other-entry': { ...bundle, entry: forged },
      'own-policy': {
        ...bundle,
        policy: new TextEncoder().encode(printPolicy(policyOf(1, [VALIDATORS[0]]))),
      },
      'no-policy': { ...bundle, policy: undefined },
    }
    for (const [name, files] of Object.entries(folders)) {
      await mkdir(path(name))
      for (const part of ['entry', 'proof', 'policy'] as const) {
        const content = files[part]
        if (content) await writeFile(path(name, BUNDLE_FILES[part]), content)
      }
    }
    await writeFile(path(trusted), printPolicy(policyOf(3)))
    await writeFile(path('strict-policy'), printPolicy(policyOf(4)))
    await writeFile(path('submitter.jwk'), JSON.stringify(publicKeyToJwk(SUBMITTER)))
    await writeFile(path('submitter.pem'), publicKeyToPem(SUBMITTER))
    await writeFile(path('stranger.jwk'), JSON.stringify(publicKeyToJwk(STRANGER)))
    await writeFile(path('set.json'), JSON.stringify({ keys: [STRANGER, SUBMITTER].map(publicKeyToJwk) }))
    await writeFile(path('list.json'), JSON.stringify([publicKeyToJwk(SUBMITTER)]))
  })
  const verify = (name: string, ...args: string[]) => qat(['verify', path(name), ...args])

  it('says in plain words what a good proof proves, and what not', async () => {
    const { code, stdout, stderr } = await verify(good, '--policy', path(trusted))
    assert.deepEqual([code, stderr], [0, ''])
    for (const line of [
      /^VERIFIED\n/,
      new RegExp(`^Ledger +${ORIGIN}$`, 'm'),
      new RegExp(`^Entry +${ENTRY.id}$`, 'm'),
      /^Index +3, in a tree of 7$/m,
      new RegExp(`^Recorded +by ${new Date(1_000 * (TIME + 2)).toISOString().slice(0, 19)}Z$`, 'm'),
      /^Cosigned +ada at [^\n]+\nCosigned +bob at [^\n]+\nCosigned +cyd at [^\n]+$/m,
      new RegExp(`^Submitter +key ${keyId(SUBMITTER)} \\(signature not checked`, 'm'),
      new RegExp(`^Event +${EVENT.type} on ${EVENT.subject}, from ${EVENT.source}`, 'm'),
      /It does not prove:\n {2}- that what the event says is true/,
    ]) {
      assert.match(stdout, line)
    }
    assert.doesNotMatch(stdout, /came with the proof/)
  })

  it('reads a certificate in which a cosigner has signed a time of no calendar', async () => {
    for (const [lie, said] of [
      [2 ** 53 - 1, /^Cosigned +bob at second 9007199254740991, which is in no calendar$/m],
      [2n ** 64n - 1n, /^Cosigned +bob at a second after 9007199254740991, which is in no calendar$/m],
    ] as const) {
      const proof = parseTlogProof(await readFile(path(good, BUNDLE_FILES.proof), 'utf8'))
      const { text, signatures } = parseNote(proof.checkpoint)
      const { extensions: _, ...checkpoint } = parseCheckpoint(text)
      const line = await signCosignature(VALIDATORS[1].signer, `${ORIGIN}/bob`, checkpoint, lie)
      const lines = signatures.map((before) => (before.name === line.name ? line : before))
      await cp(path(good), path('absurd-time'), { recursive: true })
      const changed = printTlogProof({ ...proof, checkpoint: assembleCertificate(checkpoint, lines) })
      await writeFile(path('absurd-time', BUNDLE_FILES.proof), changed)
      const { code, stdout } = await verify('absurd-time', '--policy', path(trusted))
      assert.equal(code, 0)
      assert.match(stdout, said)
      const recorded = new Date(1_000 * (TIME + 3)).toISOString().slice(0, 19)
      assert.match(stdout, new RegExp(`^Recorded +by ${recorded}Z$`, 'm'))
      const { json } = await verify('absurd-time', '--policy', path(trusted), '--json')
      assert.equal((json() as [{ recordedBy: number }])[0].recordedBy, TIME + 3)
    }
  })

  it('warns that a policy which came with the proof vouches for nothing', async () => {
    const { code, stdout } = await verify('own-policy')
    assert.equal(code, 0)
    assert.match(stdout, /own-policy\/policy is the ledger's policy: it came with the proof/)
  })

  it('gives programs the same as one line of JSON', async () => {
    const { json } = await verify(good, '--policy', path(trusted), '--json', '--keys', path('set.json'))
    const [{ root, ...verdict }] = json() as [Record<string, unknown>]
    assert.match(String(root), /^[0-9a-f]{64}$/)
    const { id, source, type, subject, time } = EVENT
    assert.deepEqual(verdict, {
      ok: true,
      ledger: ORIGIN,
      id: ENTRY.id,
      index: INDEX,
      size: 7,
      cosigners: ['ada', 'bob', 'cyd'].map((name, i) => ({ name, timestamp: TIME + 1 + i })),
      recordedBy: TIME + 2,
      keyids: [keyId(SUBMITTER)],
      kind: 'entry',
      payloadType: 'application/cloudevents+json',
      entrySignature: 'verified',
      events: [{ id, source, type, subject, time }],
      policySequence: 0,
      changes: [],
      policy: path(trusted),
      policyFromBundle: false,
    })
  })

  it("checks the submitter's signature against keys in any form they come in", async () => {
    for (const file of ['submitter.jwk', 'submitter.pem', 'list.json']) {
      const { code, stdout } = await verify(good, '--policy', path(trusted), '--keys', path(file))
      assert.equal(code, 0, file)
      assert.match(stdout, /\(signature verified\)/)
      assert.match(stdout, /the holder of the key named above signed the entry/)
    }
  })

  const BAD: [string, string[], string, RegExp][] = [
    ['another entry', ['other-entry'], 'verification-failed', /"step":"bad-inclusion"/],
    [
      'too few cosigners',
      [good, '--policy', 'strict-policy'],
      'verification-failed',
      /"step":"quorum-not-met"/,
    ],
    ['no policy', ['no-policy'], 'file', /policy could not be read: there is no such file/],
    ['no folder', ['nowhere'], 'file', /entry\.dsse\.json could not be read: there is no such file/],
    [
      'a policy that is none',
      [good, '--policy', 'submitter.jwk'],
      'verification-failed',
      /"step":"bad-policy"/,
    ],
    ['an unknown submitter', [good, '--keys', 'stranger.jwk'], 'verification-failed', /"step":"unknown-key"/],
    ['keys that are none', [good, '--keys', trusted], 'file', /trusted-policy is not usable/],
  ]
  for (const [what, [folder, ...args], code, detail] of BAD) {
    it(`does not accept ${what}`, async () => {
      const files = args.map((arg) => (arg.startsWith('--') ? arg : path(arg)))
      const ended = await verify(folder!, ...files, '--json')
      assert.deepEqual([ended.code, ended.stderr, ended.errorCode()], [1, '', code])
      assert.match(ended.stdout, detail)
    })
  }

  it('says in one sentence why a proof does not hold', async () => {
    const { code, stdout, stderr } = await verify('other-entry')
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^qat: The proof in [^\n]+ does not hold\. [^\n]+\n$/)
  })

  it('reads a folder given by any path', async () => {
    const { code } = await qat(['verify', join('.', good), '--policy', trusted], { cwd: path() })
    assert.equal(code, 0)
  })
})
