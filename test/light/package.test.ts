/** The package as a program imports it: few names, nothing of Node. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import * as qat from '../../src/index.ts'
import { CI, EVENT_BYTES, submitterSigner } from '../ledger/fixture.ts'
import { exampleBundle } from './fixture.ts'

const INDEX = new URL('../../src/index.ts', import.meta.url)

describe('the package', () => {
  it('offers these names and no others', () => {
    assert.deepEqual(Object.keys(qat).sort(), [
      'BUNDLE_FILES',
      'FormatError',
      'PAYLOAD_TYPES',
      'ProofError',
      'QatError',
      'RefusedError',
      'accusedName',
      'bundleFromTexts',
      'decodeEntry',
      'decodeEvidence',
      'decodePolicyUpdates',
      'encodePolicyUpdates',
      'entryFromJson',
      'evidenceFromEntry',
      'followChanges',
      'followMemberships',
      'followPolicy',
      'keyId',
      'leafHash',
      'makeBundle',
      'nobleSuite',
      'parsePolicy',
      'parseTlogProof',
      'policyOf',
      'policySequence',
      'printPolicy',
      'printTlogProof',
      'privateKeyFromJwk',
      'privateKeyToJwk',
      'publicKeyFromJwk',
      'publicKeyFromPem',
      'publicKeyToJwk',
      'publicKeyToPem',
      'readGenesis',
      'readPolicyUpdate',
      'seedFromPem',
      'seedToPem',
      'signEntry',
      'verifyBundle',
      'verifyCertificate',
      'verifyConsistency',
      'verifyEvidence',
      'verifyGenesis',
      'verifyInclusion',
    ])
  })

  it('is enough to sign an entry and to verify its proof', async () => {
    const entry = await qat.signEntry(qat.PAYLOAD_TYPES.event, EVENT_BYTES, submitterSigner)
    const verdict = await qat.verifyBundle(qat.nobleSuite, await exampleBundle(), { keys: [CI.key] })
    assert.ok(verdict.ok)
    assert.equal(verdict.proves.leafHash, entry.id)
    assert.equal(verdict.proves.entrySignature, 'verified')
  })

  it('loads no module of Node', async () => {
    const program = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({
        resolve: (specifier, context, next) => {
          const found = next(specifier, context)
          loaded.push(found.url)
          return found
        },
      })
      await import(${JSON.stringify(INDEX.href)})
      console.log(JSON.stringify(loaded))
    `
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
    const loaded = JSON.parse(stdout) as string[]
    assert.ok(loaded.some((url) => url.endsWith('/src/light/verify.ts')))
    assert.deepEqual(
      loaded.filter((url) => !url.startsWith('file:')),
      [],
    )
  })
})
