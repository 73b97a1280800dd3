/** `qat verify` on proofs that hold and on proofs that do not, without a node anywhere. */
import assert from 'node:assert/strict'
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { utf8 } from '../../src/bytes.ts'
import { keyId, publicKeyToJwk, publicKeyToPem } from '../../src/crypto/keys.ts'
import { nobleDeterministicSuite } from '../../src/crypto/noble.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { memberToJson } from '../../src/ledger/member.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { BUNDLE_FILES, BUNDLE_PARTS, type Bundle, makeBundle } from '../../src/light/bundle.ts'
import { assembleCertificate } from '../../src/notes/certificate.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { parseNote } from '../../src/notes/note.ts'
import { printPolicy } from '../../src/notes/policy.ts'
import { parseTlogProof, printTlogProof } from '../../src/notes/tlog-proof.ts'
import { cosigner, exampleGenesis, LEDGER, signerOf } from '../ledger/fixture.ts'
import { bundleIn, COSIGNED, exampleBundle, exampleLeaves, LEAF, recordsIn } from '../light/fixture.ts'
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
    forged[40] = forged[40] === 0x41 ? 0x42 : 0x41 // another letter of the payload's base64
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
  })

  /** The good proof, its certificate signed anew at these times by cosigners; others sign as before. */
  async function signedAt(folder: string, times: Readonly<Record<string, number | bigint>>): Promise<void> {
    const proof = parseTlogProof(await readFile(path(good, BUNDLE_FILES.proof), 'utf8'))
    const { text, signatures } = parseNote(proof.checkpoint)
    const { extensions: _, ...checkpoint } = parseCheckpoint(text)
    const lines = new Map(signatures.map((line) => [line.name, line]))
    for (const [name, time] of Object.entries(times)) {
      const { signer } = VALIDATORS.find((validator) => validator.name === name)!
      const key = `${ORIGIN}/${name}`
      lines.set(key, await signCosignature(signer, key, checkpoint, time))
    }
    await cp(path(good), path(folder), { recursive: true })
    const changed = printTlogProof({
      ...proof,
      checkpoint: assembleCertificate(checkpoint, [...lines.values()]),
    })
    await writeFile(path(folder, BUNDLE_FILES.proof), changed)
  }

  const year4000 = Date.UTC(4000) / 1_000
  for (const time of [year4000, 2 ** 53 - 1, 2n ** 63n, 2n ** 64n - 1n]) {
    it(`refuses a proof that needs a cosignature of second ${time}`, async () => {
      await signedAt(`absurd-${time}`, { bob: time })
      const { code, stderr, json } = await verify(`absurd-${time}`, '--policy', path(trusted), '--json')
      assert.deepEqual([code, stderr], [1, ''])
      const [{ error }] = json() as unknown as [{ error: { code: string; facts: object } }]
      assert.deepEqual([error.code, error.facts], ['verification-failed', { step: 'bad-time' }])
      const said = await verify(`absurd-${time}`, '--policy', path(trusted))
      assert.match(
        said.stderr,
        /does not hold\. It does not hold without the signature of bob, whose time cannot be: /,
      )
    })
  }

  it('leaves a cosignature out whose time cannot be where the quorum holds without it, and says so', async () => {
    await signedAt('spare', { bob: year4000, dee: TIME + 4 })
    const { code, stdout } = await verify('spare', '--policy', path(trusted))
    assert.equal(code, 0)
    assert.match(stdout, /^Left out +bob at 4000-01-01T00:00:00Z, which cannot be$/m)
    assert.doesNotMatch(stdout, /^Cosigned +bob/m)
    const { json } = await verify('spare', '--policy', path(trusted), '--json')
    const [{ cosigners, misdated }] = json() as unknown as [Record<string, { name: string }[]>]
    assert.deepEqual(
      [cosigners, misdated].map((list) => list!.map(({ name }) => name)),
      [['ada', 'cyd', 'dee'], ['bob']],
    )
  })

  it('verifies nothing under a policy that came with the proof', async () => {
    const own = path(good, BUNDLE_FILES.policy)
    await symlink(own, path('link-to-own'))
    for (const [folder, ...args] of [
      [good],
      ['own-policy'],
      ['no-policy'],
      [good, '--policy', own],
      [good, '--policy', path('link-to-own')],
    ] as const) {
      const { code, stdout, stderr } = await verify(folder, ...args)
      assert.deepEqual([code, stdout], [6, ''], folder)
      assert.match(stderr, /^qat: Nothing is verified\. [^\n]*qat verify [^\n]+ --policy FILE\n$/)
      const told = await verify(folder, ...args, '--json')
      assert.deepEqual([told.code, told.errorCode()], [6, 'no-trusted-policy'])
      assert.doesNotMatch(told.stdout, /"ok"/)
    }
  })

  it('calls a false proof false, whatever policy came with it', async () => {
    const { code, errorCode } = await verify('other-entry', '--json')
    assert.deepEqual([code, errorCode()], [1, 'verification-failed'])
  })

  it('names the file that is damaged, and calls no proof false for it', async () => {
    const policy = await readFile(path(trusted), 'utf8')
    const entry = await readFile(path(good, BUNDLE_FILES.entry), 'utf8')
    const proof = await readFile(path(good, BUNDLE_FILES.proof), 'utf8')
    const crlf = (text: string) => text.replaceAll('\n', '\r\n')
    const cases: [keyof typeof BUNDLE_FILES, string | Buffer, RegExp][] = [
      ['policy', crlf(policy), /Line 1 has a Windows line end/],
      ['policy', '', /It is empty/],
      ['policy', `\ufeff${policy}`, /byte order mark/],
      ['policy', Buffer.from(`\ufeff${policy}`, 'utf16le'), /UTF-16/],
      ['policy', policy.slice(0, -1), /last line of the policy does not end/],
      ['entry', `${entry}\n`, /White space stands behind the envelope/],
      ['entry', '', /It is empty/],
      ['entry', entry.slice(0, -9), /./],
      ['proof', crlf(proof), /Line 1 has a Windows line end/],
      ['proof', '', /It is empty/],
      ['proof', proof.slice(0, -300), /./],
      ['updates', '', /./],
    ]
    for (const [part, content, sentence] of cases) {
      await rm(path('damaged'), { recursive: true, force: true })
      await cp(path(good), path('damaged'), { recursive: true })
      await writeFile(
        path(part === 'policy' ? 'damaged-policy' : join('damaged', BUNDLE_FILES[part])),
        content,
      )
      const given = part === 'policy' ? 'damaged-policy' : trusted
      const { code, stdout, stderr } = await verify('damaged', '--policy', path(given))
      const file = part === 'policy' ? path(given) : path('damaged', BUNDLE_FILES[part])
      assert.deepEqual([code, stdout], [5, ''], `${part}: ${stderr}`)
      assert.ok(stderr.startsWith(`qat: ${file} is not usable: `), stderr)
      assert.match(stderr, sentence)
      assert.match(stderr, /Nothing was judged\.\n$/)
    }
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
      misdated: [],
      cosigners: ['ada', 'bob', 'cyd'].map((name, i) => ({ name, timestamp: TIME + 1 + i })),
      recordedBy: TIME + 2,
      keyids: [keyId(SUBMITTER)],
      kind: 'entry',
      payloadType: 'application/cloudevents+json',
      payload: EVENT,
      entrySignature: 'verified',
      events: [{ id, source, type, subject, time }],
      policySequence: 0,
      changes: [],
      policy: path(trusted),
    })
  })

  describe('with the records of the ledger', () => {
    before(async () => {
      const write = async (name: string, bundle: Bundle) => {
        await mkdir(path(name))
        for (const part of BUNDLE_PARTS) {
          if (bundle[part]) await writeFile(path(name, BUNDLE_FILES[part]), bundle[part])
        }
      }
      const bundle = await exampleBundle()
      await write('recorded', bundle)
      await writeFile(path('example-policy'), bundle.policy)
      const leaves = await exampleLeaves()
      await write(
        'late',
        await bundleIn(leaves, LEAF.entry, recordsIn(leaves, LEAF.entry), cosigner, COSIGNED + 90),
      )
      const said = `{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"u","datacontenttype":"application/json",
        "time":"2026-01-31T12:00:00Z","authtype":"api_key","authid":"north-token",
        "data":{"run":12345678901234567890,"p":1.10,"z":-0,"evil":"\u202eexe.\u200b\\u001b[2J\u009b","big":"${'x'.repeat(9_000)}"}}`
      const { bytes } = await signEntry(PAYLOAD_TYPES.event, utf8(said), signerOf('ML-DSA-65', 77))
      await write('hostile', await bundleIn([bytes], 0))
    })
    const checked = (name: string, ...args: string[]) =>
      verify(name, '--policy', path('example-policy'), ...args)

    it('says when it was recorded, by the seal, and who submitted it, by the record of its key', async () => {
      const { code, stdout } = await checked('recorded')
      assert.equal(code, 0)
      assert.match(
        stdout,
        /^Recorded +at 2026-01-31T12:00:01\.000Z, in block 1, within 10 s of the clocks of ada$/m,
      )
      assert.match(
        stdout,
        /^Submitter +ci, team payments, by the ledger's record: key .{43} \(signature verified\)$/m,
      )
      assert.match(stdout, /\n {4}"outcome": "success"\n/)
      assert.doesNotMatch(stdout, /not checked/)
      const [{ recorded, submitter, entrySignature, payload }] = (
        await checked('recorded', '--json')
      ).json() as [Record<string, Record<string, unknown>>]
      assert.deepEqual(recorded, {
        height: 1,
        proposer: 'ada',
        time: '2026-01-31T12:00:01.000Z',
        withinMs: 10_000,
      })
      assert.deepEqual([submitter!.name, submitter!.team, entrySignature], ['ci', 'payments', 'verified'])
      assert.deepEqual(payload!.data, { outcome: 'success' })
    })

    it('says the same time by a late certificate, and how far that may be from the clocks', async () => {
      const { stdout } = await checked('late')
      assert.match(
        stdout,
        /^Recorded +at 2026-01-31T12:00:01\.000Z, in block 1, within 92 s of the clocks of ada$/m,
      )
    })

    it('names the file of records if it is damaged, and refuses one of another entry as false', async () => {
      await cp(path('recorded'), path('bad-records'), { recursive: true })
      const file = path('bad-records', BUNDLE_FILES.records)
      await writeFile(file, `${await readFile(file, 'utf8')}\n`)
      const damaged = await checked('bad-records')
      assert.equal(damaged.code, 5)
      assert.ok(damaged.stderr.startsWith(`qat: ${file} is not usable: `))
      await cp(path('late', BUNDLE_FILES.proof), path('bad-records', BUNDLE_FILES.proof))
      await writeFile(
        file,
        (await readFile(path('recorded', BUNDLE_FILES.records), 'utf8')).replace('"index":3', '"index":2'),
      )
      const { code, errorCode } = await checked('bad-records', '--json')
      assert.deepEqual([code, errorCode()], [1, 'verification-failed'])
    })

    it('shows what an event says and who sent it, as it was signed, and lets it deceive nobody', async () => {
      const { code, stdout } = await checked('hostile')
      assert.equal(code, 0)
      assert.match(stdout, /^Sent by +north-token \(api_key\), as the submitter says$/m)
      for (const line of ['"run": 12345678901234567890,', '"p": 1.10,', '"z": -0,'])
        assert.ok(stdout.includes(line), line)
      assert.ok(stdout.includes('"evil": "\\u202eexe.\\u200b\\u001b[2J\\u009b"'))
      assert.match(stdout, /\n… and \d+ further characters: give --json\n/)
      assert.ok(stdout.length < 8_000)
      const programs = await checked('hostile', '--json')
      assert.ok(programs.stdout.includes('"run":12345678901234567890,"p":1.10,"z":-0'))
      assert.doesNotMatch(programs.stdout + stdout, /[^\n\P{C}]/u)
      const [{ events, payload }] = programs.json() as [
        { events: object[]; payload: { data: { evil: string } } },
      ]
      assert.deepEqual(events, [
        {
          source: 's',
          type: 't',
          subject: 'u',
          id: '1',
          time: '2026-01-31T12:00:00Z',
          authtype: 'api_key',
          authid: 'north-token',
        },
      ])
      assert.equal(payload.data.evil, '\u202eexe.\u200b\u001b[2J\u009b')
    })

    it('takes the members of a ledger for the submitters that may have signed', async () => {
      const { membership } = await exampleGenesis()
      const members = membership.members.map(memberToJson)
      const list = { ledger: LEDGER, sequence: 0, cosigners: 1, adminQuorum: 1, members }
      await writeFile(path('members.json'), JSON.stringify(list))
      assert.equal((await checked('recorded', '--keys', path('members.json'))).code, 0)
      const refused = await checked('hostile', '--keys', path('members.json'), '--json')
      assert.deepEqual([refused.code, refused.errorCode()], [1, 'verification-failed'])
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

  const BAD: [string, string[], [number, string], RegExp][] = [
    [
      'another entry',
      ['other-entry', '--policy', trusted],
      [1, 'verification-failed'],
      /"step":"bad-inclusion"/,
    ],
    [
      'too few cosigners',
      [good, '--policy', 'strict-policy'],
      [1, 'verification-failed'],
      /"step":"quorum-not-met"/,
    ],
    [
      'no such policy',
      [good, '--policy', 'nothing'],
      [5, 'file'],
      /nothing could not be read: there is no such file/,
    ],
    ['no folder', ['nowhere'], [5, 'file'], /entry\.dsse\.json could not be read: there is no such file/],
    ['a policy that is none', [good, '--policy', 'submitter.jwk'], [5, 'file'], /"step":"bad-policy"/],
    [
      'an unknown submitter',
      [good, '--keys', 'stranger.jwk'],
      [1, 'verification-failed'],
      /"step":"unknown-key"/,
    ],
    ['keys that are none', [good, '--keys', trusted], [5, 'file'], /trusted-policy is not usable/],
  ]
  for (const [what, [folder, ...args], ending, detail] of BAD) {
    it(`does not accept ${what}`, async () => {
      const files = args.map((arg) => (arg.startsWith('--') ? arg : path(arg)))
      const ended = await verify(folder!, ...files, '--json')
      assert.deepEqual([ended.code, ended.stderr, ended.errorCode()], [ending[0], '', ending[1]])
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
