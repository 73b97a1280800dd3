import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromUtf8, toHex, utf8 } from '../../src/bytes.ts'
import { BUNDLE_FILES, BUNDLE_PARTS, type Bundle, makeBundle } from '../../src/light/bundle.ts'
import { encodeRecords } from '../../src/light/records.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { assembleCertificate } from '../../src/notes/certificate.ts'
import { parseNote, printNote } from '../../src/notes/note.ts'
import { TIME as EXAMPLE_TIME } from '../ledger/fixture.ts'
import { exampleBundle, exampleLeaves, LEAF, recordsIn } from '../light/fixture.ts'
import { certified, entriesOf, linesOf, ORIGIN, policyOf, TIME, VALIDATORS } from '../notes/fixture.ts'
import { describeGo } from '../support/go-module.ts'

const ENTRIES = entriesOf(21)

/** A bundle for the entry at `index`, certified by the first `count` of the four validators, of whom 3 suffice. */
async function bundleOf(index: number, count = 3): Promise<Bundle> {
  const ledger = await certified(ENTRIES, VALIDATORS.slice(0, count))
  const proof = { index, path: ledger.path(index), checkpoint: ledger.certificate }
  return makeBundle(ENTRIES[index]!, proof, policyOf(3))
}

const replaced = (bytes: Uint8Array, search: string, by: string) => {
  const text = fromUtf8(bytes)
  assert.ok(text.includes(search))
  return utf8(text.replace(search, by))
}

describeGo(new URL('go/', import.meta.url), 'the Go libraries of transparency.dev', (judge) => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'qat-interop-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** One verdict for each bundle. */
  const verdictsOn = (bundles: readonly Bundle[]): unknown[] => {
    const dirs = bundles.map((bundle, i) => {
      const dir = mkdtempSync(join(folder, `${i}-`))
      mkdirSync(dir, { recursive: true })
      for (const part of BUNDLE_PARTS) {
        if (bundle[part]) writeFileSync(join(dir, BUNDLE_FILES[part]), bundle[part])
      }
      return dir
    })
    return judge(...dirs)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  }
  const errorOn = (bundle: Bundle) => (verdictsOn([bundle])[0] as { error?: string }).error ?? 'none'

  it('find in our bundles what we say that they prove, for every leaf', async () => {
    const { checkpoint } = await certified(ENTRIES, VALIDATORS.slice(0, 3))
    const lines = parseNote(
      assembleCertificate(checkpoint, await linesOf(checkpoint, VALIDATORS.slice(0, 3))),
    )
    const times = [TIME, TIME + 1, TIME + 2, TIME + 3]
    const bundles = await Promise.all(ENTRIES.map((_, index) => bundleOf(index)))
    for (const [index, verdict] of verdictsOn(bundles).entries()) {
      assert.deepEqual(verdict, {
        origin: ORIGIN,
        size: ENTRIES.length,
        index,
        root: toHex(checkpoint.root),
        leafHash: toHex(leafHash(ENTRIES[index]!)),
        lines: lines.signatures.map(({ name, keyId }, i) => ({ name, keyId, time: times[i] })),
        unknown: 0,
      })
    }
  })

  it('read proofs with an extra line', async () => {
    const bundle = await bundleOf(4)
    const proof = replaced(bundle.proof, 'index 4\n', `extra ${btoa('about')}\nindex 4\n`)
    assert.equal(errorOn({ ...bundle, proof }), 'none')
  })

  it("find in the ledger's records what we say: when it was recorded, and whose signature it bears", async () => {
    const bundle = await exampleBundle()
    const [verdict] = verdictsOn([bundle]) as [{ recorded: unknown; error?: string }]
    const time = new Date(EXAMPLE_TIME + 1_000).toISOString()
    assert.deepEqual(verdict.recorded, { time, height: 1, submitter: 'ci' }, verdict.error)
    const changes = [
      ['"index":3', '"index":2', /^records: .*root/],
      ['"submitter":', '"submitters":', /^records: .*unknown field/],
    ] as const
    for (const [from, to, error] of changes) {
      assert.match(errorOn({ ...bundle, records: replaced(bundle.records!, from, to) }), error)
    }
    const leaves = await exampleLeaves()
    const records = encodeRecords(recordsIn(leaves, LEAF.genesisSeal))
    assert.match(errorOn({ ...bundle, records }), /^records: no submitter/)
    const genesis = recordsIn(leaves, LEAF.genesisSeal)
    const elsewhere = encodeRecords({ ...recordsIn(leaves, LEAF.entry), seal: genesis.seal })
    assert.match(errorOn({ ...bundle, records: elsewhere }), /^records: the seal of another block/)
  })

  it('read the policy of a ledger whose members have changed', () => {
    const file = (name: string) =>
      new Uint8Array(readFileSync(new URL(`../light/example-sequel/${name}`, import.meta.url)))
    const { entry, proof, policy } = BUNDLE_FILES
    const bundle = { entry: file(entry), proof: file(proof), policy: file(policy) }
    assert.match(fromUtf8(bundle.policy), /^quorum validators\/1$/m)
    assert.equal(errorOn(bundle), 'none')
  })

  it('refuse another entry', async () => {
    const bundle = await bundleOf(7)
    assert.match(errorOn({ ...bundle, entry: ENTRIES[8]! }), /^inclusion: /)
  })

  it('refuse another place', async () => {
    const bundle = await bundleOf(7)
    assert.match(errorOn({ ...bundle, proof: replaced(bundle.proof, 'index 7', 'index 6') }), /^inclusion: /)
  })

  it('refuse a certificate below the quorum', async () => {
    assert.match(errorOn(await bundleOf(7, 2)), /quorum of the policy is not satisfied/)
  })

  it('refuse a certificate with one bad signature by a key of the policy', async () => {
    const { certificate, path } = await certified(ENTRIES, VALIDATORS)
    const { text, signatures } = parseNote(certificate)
    for (const spoiled of signatures.keys()) {
      const lines = signatures.map((line, i) => {
        if (i !== spoiled) return line
        const signature = line.signature.slice()
        // The last bit of the timestamp: the signature itself stays well-formed.
        signature[7]! ^= 1
        return { ...line, signature }
      })
      const proof = { index: 3, path: path(3), checkpoint: printNote({ text, signatures: lines }) }
      assert.match(errorOn(makeBundle(ENTRIES[3]!, proof, policyOf(3))), /^checkpoint: .*invalid signature/)
    }
  })

  it('refuse a checkpoint of which the text was changed', async () => {
    const bundle = await bundleOf(7)
    const size = `${ORIGIN}\n${ENTRIES.length}\n`
    const proof = replaced(bundle.proof, size, `${ORIGIN}\n${ENTRIES.length + 1}\n`)
    assert.match(errorOn({ ...bundle, proof }), /^checkpoint: /)
  })
})
