/** Evidence on disk: whole, private, and never written over. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keepEvidence, keepReason, readEvidenceFolder } from '../../node/evidence-folder.ts'
import { InvariantError } from '../../src/errors.ts'
import { encodeEvidence } from '../../src/ledger/evidence.ts'
import { evidenceHash } from '../../src/ledger/evidence-event.ts'
import { exampleTwoSeals } from '../ledger/evidence-fixture.ts'

describe('the evidence folder', () => {
  let dir: string
  beforeEach(async () => {
    dir = join(await mkdtemp(join(tmpdir(), 'qat-folder-')), 'evidence')
  })
  afterEach(() => rm(join(dir, '..'), { recursive: true, force: true }))

  it('keeps a piece once, for its owner to read, under a name that says what it is', async () => {
    assert.deepEqual(await readEvidenceFolder(dir), [])
    const evidence = await exampleTwoSeals()
    const accusation = { evidence, accused: 'ada', hash: evidenceHash(evidence) }
    const path = await keepEvidence(dir, accusation)
    assert.equal(path, join(dir, `two-seals-ada-${accusation.hash.slice(0, 32)}.json`))
    assert.deepEqual(new Uint8Array(await readFile(path)), encodeEvidence(evidence))
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.equal((await stat(dir)).mode & 0o777, 0o700)
    await writeFile(path, 'changed by hand')
    assert.equal(await keepEvidence(dir, accusation), path)
    assert.equal(await readFile(path, 'utf8'), 'changed by hand')
    assert.deepEqual(await readEvidenceFolder(dir), [{ path, evidence: undefined, accused: undefined }])
    assert.equal((await readdir(dir)).length, 1)
  })

  it('lets no name lead out of it', async () => {
    const evidence = await exampleTwoSeals()
    const path = await keepEvidence(dir, { evidence, accused: '../../x y', hash: evidenceHash(evidence) })
    assert.equal(join(path, '..'), dir)
    assert.deepEqual(await readEvidenceFolder(dir), [{ path, evidence, accused: '------x-y' }])
  })

  it('says why the node stopped, once for each reason', async () => {
    const error = new InvariantError('The ledger has forked.', { size: 7, certificate: 'note' })
    const path = await keepReason(dir, error, 0)
    assert.equal(await keepReason(dir, error, 1_000), path)
    assert.notEqual(await keepReason(dir, new Error('else'), 0), path)
    assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), {
      time: '1970-01-01T00:00:00.000Z',
      code: 'invariant',
      message: 'The ledger has forked.',
      facts: { size: 7, certificate: 'note' },
    })
    assert.deepEqual(await readEvidenceFolder(dir), [])
  })
})
