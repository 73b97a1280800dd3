import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { nobleSuite } from '../../src/crypto/noble.ts'
import { BUNDLE_FILES, type Bundle, makeBundle } from '../../src/light/bundle.ts'
import { type Verdict, verifyBundle } from '../../src/light/verify.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { assembleCertificate } from '../../src/notes/certificate.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { parseNote } from '../../src/notes/note.ts'
import { printPolicy } from '../../src/notes/policy.ts'
import { parseTlogProof, printTlogProof } from '../../src/notes/tlog-proof.ts'
import { CI, EVENT, entryOf, exampleEntry } from '../ledger/fixture.ts'
import { certified, ORIGIN, policyOf, TIME, VALIDATORS, type Validator } from '../notes/fixture.ts'

const [ada, bob, cyd, dee] = VALIDATORS
const INDEX = 5

/** A ledger of 11 entries, the proof of one of them, and exactly as many cosigners as the quorum asks for. */
async function bundleOf(cosigners: readonly Validator[] = [ada, bob, cyd], threshold = 3): Promise<Bundle> {
  const ids = Array.from({ length: 11 }, (_, i) => `e${i}`)
  const entries = await Promise.all(ids.map(async (id) => (await entryOf({ id })).bytes))
  entries[INDEX] = (await exampleEntry()).bytes
  const { certificate, path } = await certified(entries, cosigners)
  const proof = { index: INDEX, path: path(INDEX), checkpoint: certificate }
  return makeBundle(entries[INDEX]!, proof, policyOf(threshold))
}

/** The bundle with the lines of these, at the times of `linesOf` but for those that `lie` gives: undefined is the log. */
async function withTimes(
  bundle: Bundle,
  signers: readonly Validator[],
  lie: (name: string | undefined) => number | bigint | undefined,
): Promise<Bundle> {
  const { checkpoint: note, ...proof } = parseTlogProof(fromUtf8(bundle.proof))
  const { extensions: _, ...checkpoint } = parseCheckpoint(parseNote(note).text)
  const lines = await Promise.all([
    signCosignature(ada.signer, ORIGIN, checkpoint, lie(undefined) ?? TIME),
    ...signers.map(({ name, signer }, i) =>
      signCosignature(signer, `${ORIGIN}/${name}`, checkpoint, lie(name) ?? TIME + 1 + i),
    ),
  ])
  const text = printTlogProof({ ...proof, checkpoint: assembleCertificate(checkpoint, lines) })
  return { ...bundle, proof: utf8(text) }
}

const codeOf = (verdict: Verdict) => (verdict.ok ? 'ok' : verdict.code)

describe('the light client', () => {
  let bundle: Bundle
  before(async () => {
    bundle = await bundleOf()
  })

  it('says what a bundle proves, with either implementation of ML-DSA', async () => {
    for (const suite of [opensslSuite, nobleSuite]) {
      const verdict = await verifyBundle(suite, bundle)
      assert.ok(verdict.ok)
      const { root, ...proves } = verdict.proves
      assert.deepEqual(proves, {
        origin: ORIGIN,
        index: INDEX,
        size: 11,
        leafHash: toHex(leafHash(bundle.entry)),
        misdated: [],
        cosigners: [ada, bob, cyd].map(({ name }, i) => ({ name, timestamp: TIME + 1 + i })),
        recordedBy: TIME + 2,
        kind: 'entry',
        payloadType: 'application/cloudevents+json',
        keyids: [keyId(CI.key)],
        claims: [
          { id: EVENT.id, source: EVENT.source, type: EVENT.type, subject: EVENT.subject, time: EVENT.time },
        ],
        entrySignature: 'not-checked',
        policySequence: 0,
        changes: [],
      })
      assert.match(root, /^[0-9a-f]{64}$/)
    }
  })

  it('takes the time at which more than half of the cosigners had signed', async () => {
    const verdict = await verifyBundle(opensslSuite, await bundleOf([ada, bob, cyd, dee], 2))
    assert.ok(verdict.ok)
    assert.equal(verdict.proves.recordedBy, TIME + 3)
    assert.equal(verdict.proves.cosigners.length, 4)
  })

  it('is told no other time by one cosigner or log line that lies, whatever it says', async () => {
    const honest = [TIME + 1, TIME + 3]
    for (const lie of [1, TIME - 86_400, TIME + 86_400]) {
      for (const signers of [
        [ada, bob, cyd],
        [ada, bob, cyd, dee],
      ]) {
        const lying = await withTimes(bundle, signers, (name) => (name === bob.name ? lie : undefined))
        const verdict = await verifyBundle(opensslSuite, lying)
        assert.ok(verdict.ok)
        const { recordedBy, cosigners } = verdict.proves
        assert.ok(recordedBy >= honest[0]! && recordedBy <= TIME + signers.length, `${lie}: ${recordedBy}`)
        assert.equal(cosigners[1]!.timestamp, lie)
      }
      const log = await withTimes(bundle, [ada, bob, cyd], (name) => (name === undefined ? lie : undefined))
      const verdict = await verifyBundle(opensslSuite, log)
      assert.ok(verdict.ok)
      assert.equal(verdict.proves.recordedBy, TIME + 2)
    }
  })

  it('counts no cosignature and no log line whose time cannot be', async () => {
    const now = 1_000 * (TIME + 10)
    const [day, later] = [TIME + 10 + 86_400, TIME + 10 + 86_401]
    const cases: [number | bigint, number | undefined, boolean][] = [
      [253_402_300_799, undefined, true],
      [253_402_300_800, undefined, false],
      [2 ** 53 - 1, undefined, false],
      [2n ** 63n, undefined, false],
      [2n ** 64n - 1n, now, false],
      [day, now, true],
      [later, now, false],
    ]
    for (const [time, clock, counts] of cases) {
      const options = clock === undefined ? {} : { now: clock }
      const judge = async (signers: readonly Validator[], liar: string | undefined) => {
        const lying = await withTimes(bundle, signers, (name) => (name === liar ? time : undefined))
        return verifyBundle(opensslSuite, lying, options)
      }
      const needed = counts ? 'ok' : 'bad-time'
      assert.equal(codeOf(await judge([ada, bob, cyd], bob.name)), needed, `${time}`)
      assert.equal(codeOf(await judge([ada, bob, cyd], undefined)), needed, `${time}`)
      const spare = await judge(VALIDATORS, bob.name)
      assert.ok(spare.ok)
      const { cosigners, misdated } = spare.proves
      assert.deepEqual([cosigners.length, misdated.map(({ name }) => name)], counts ? [4, []] : [3, ['bob']])
    }
  })

  it('asks none for the time who cannot count towards the quorum', async () => {
    const outside = { ...policyOf(2, [ada, bob, cyd]), quorum: 'validators' }
    const witnesses = [...outside.witnesses, ...policyOf(1, [dee]).witnesses]
    const policy = utf8(printPolicy({ ...outside, witnesses }))
    const lying = await withTimes(bundle, VALIDATORS, (name) => (name === dee.name ? TIME + 1e6 : undefined))
    const verdict = await verifyBundle(opensslSuite, { ...lying, policy })
    assert.ok(verdict.ok)
    assert.equal(verdict.proves.recordedBy, TIME + 2)
    assert.equal(verdict.proves.cosigners.length, 4)
  })

  it('names the step that fails', async () => {
    const proof = fromUtf8(bundle.proof)
    const cases: [Partial<Bundle>, string][] = [
      [{ entry: (await entryOf({ id: 'another' })).bytes }, 'bad-inclusion'],
      [{ entry: new Uint8Array(65_536) }, 'too-large'],
      [{ proof: new Uint8Array(262_145) }, 'too-large'],
      [{ proof: new Uint8Array(0) }, 'truncated'],
      [{ proof: Uint8Array.of(0xff) }, 'bad-utf8'],
      [{ proof: utf8(proof.replace('index 5', 'index 4')) }, 'bad-inclusion'],
      [{ proof: utf8(proof.replace('index 5', 'index 11')) }, 'out-of-range'],
      [{ proof: utf8(proof.replace('\n11\n', '\n12\n')) }, 'bad-signature'],
      [{ proof: utf8(proof.replace(`\n${ORIGIN}\n`, '\nelsewhere\n')) }, 'wrong-origin'],
      [{ proof: utf8(proof.replace(`\u2014 ${ORIGIN} `, '\u2014 elsewhere ')) }, 'no-log-signature'],
      [{ policy: utf8(printPolicy(policyOf(4))) }, 'quorum-not-met'],
      [{ policy: utf8(printPolicy(policyOf(1, [dee]))) }, 'no-log-signature'],
      [{ policy: new Uint8Array(0) }, 'truncated'],
      [{ policy: utf8('quorum none') }, 'bad-policy'],
    ]
    for (const [changed, code] of cases) {
      assert.equal(codeOf(await verifyBundle(opensslSuite, { ...bundle, ...changed })), code)
    }
  })

  it('names the file that is not in its format, and only then', async () => {
    const add = (part: 'entry' | 'proof' | 'policy') => ({ [part]: utf8(`${fromUtf8(bundle[part])}\n x`) })
    const crlf = (part: 'proof' | 'policy') => ({
      [part]: utf8(fromUtf8(bundle[part]).replaceAll('\n', '\r\n')),
    })
    const cases: [Partial<Bundle>, string | undefined, string][] = [
      [add('entry'), 'entry', 'json-syntax'],
      [{ entry: utf8(`${fromUtf8(bundle.entry)}\n`) }, 'entry', 'json-not-canonical'],
      [{ entry: new Uint8Array(65_536) }, 'entry', 'too-large'],
      [add('proof'), 'proof', 'bad-note'],
      [add('policy'), 'policy', 'bad-policy'],
      [crlf('proof'), 'proof', 'bad-line-end'],
      [crlf('policy'), 'policy', 'bad-line-end'],
      [{ updates: utf8('x') }, 'updates', 'truncated'],
      [{ policy: utf8(printPolicy(policyOf(4))) }, undefined, 'quorum-not-met'],
    ]
    for (const [changed, part, code] of cases) {
      const verdict = await verifyBundle(opensslSuite, { ...bundle, ...changed })
      assert.ok(!verdict.ok)
      assert.deepEqual([verdict.part, verdict.code], [part, code])
    }
  })

  it('refuses a bundle with any byte of the entry or the proof changed', async () => {
    // Every byte of the proof's header, path and checkpoint; every 29th of the entry and of signature lines.
    const lines = fromUtf8(bundle.proof).indexOf('\u2014')
    const start = utf8(fromUtf8(bundle.proof).slice(0, lines)).length + 60
    const sampled = (length: number, dense: number) =>
      Array.from({ length }, (_, at) => at).filter((at) => at < dense || at % 29 === 0 || at > length - 60)
    for (const [part, dense] of [
      ['entry', 100],
      ['proof', start],
    ] as const) {
      for (const at of sampled(bundle[part].length, dense)) {
        const bytes = bundle[part].slice()
        bytes[at]! ^= 1 << (at % 8)
        const verdict = await verifyBundle(opensslSuite, { ...bundle, [part]: bytes })
        assert.ok(!verdict.ok, `${part}, byte ${at}`)
        assert.notEqual(verdict.code, 'internal', `${part}, byte ${at}: ${verdict.reason}`)
      }
    }
  })

  it('is not handed bundles that could not be verified', () => {
    const proof = { index: 0, path: [], checkpoint: 'x' }
    assert.throws(() => makeBundle(new Uint8Array(65_536), proof, policyOf(3)), { code: 'too-large' })
  })

  it('refuses a bundle with a byte missing or added', async () => {
    for (const part of ['entry', 'proof'] as const) {
      const bytes = bundle[part]
      for (const at of [0, 1, 22, 30, 80, bytes.length - 1]) {
        const shorter = new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(at + 1)])
        const longer = new Uint8Array([...bytes.subarray(0, at), 0x0a, ...bytes.subarray(at)])
        for (const changed of [shorter, longer]) {
          assert.ok(
            !(await verifyBundle(opensslSuite, { ...bundle, [part]: changed })).ok,
            `${part}, byte ${at}`,
          )
        }
      }
    }
  })

  it('gives a verdict on any bytes whatever', async () => {
    const noise = fc.uint8Array({ maxLength: 200 })
    const cut = (bytes: () => Uint8Array) => fc.nat().map((n) => bytes().subarray(0, n % bytes().length))
    const bundles = fc.record({
      entry: noise,
      proof: fc.oneof(
        noise,
        cut(() => bundle.proof),
      ),
      policy: fc.oneof(
        noise,
        cut(() => bundle.policy),
      ),
    })
    await fc.assert(
      fc.asyncProperty(bundles, async (given) => {
        const verdict = await verifyBundle(opensslSuite, given)
        assert.ok(!verdict.ok && verdict.code !== 'internal')
      }),
      { numRuns: 500 },
    )
    const broken = { ...opensslSuite, verify: () => Promise.reject(new Error('the key server is away')) }
    assert.deepEqual(await verifyBundle(broken, bundle), {
      ok: false,
      code: 'internal',
      reason: 'the key server is away',
    })
  })

  it('agrees with a verifier that was written from the specifications alone', async function () {
    const tool = fileURLToPath(new URL('../../../shared/tools/verify-bundle.mjs', import.meta.url))
    if (!existsSync(tool)) {
      console.log('    skipped: ../shared/tools/verify-bundle.mjs is not here')
      this.skip()
    }
    const folder = await mkdtemp(join(tmpdir(), 'qat-bundle-'))
    const judge = async (given: Bundle) => {
      for (const part of ['entry', 'proof', 'policy'] as const) {
        await writeFile(join(folder, BUNDLE_FILES[part]), given[part])
      }
      const run = promisify(execFile)(process.execPath, [tool, folder])
      const { stdout } = await run.catch((error: { stdout: string }) => error)
      return JSON.parse(stdout) as { ok: boolean; why?: string; index?: string; cosigners?: string[] }
    }
    try {
      const verdict = await judge(bundle)
      assert.equal(verdict.ok, true, verdict.why)
      assert.equal(verdict.index, String(INDEX))
      assert.deepEqual(verdict.cosigners, ['ada', 'bob', 'cyd'])
      assert.equal((await judge({ ...bundle, policy: utf8(printPolicy(policyOf(4))) })).ok, false)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
