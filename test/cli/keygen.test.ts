import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { access, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { readKeyFile } from '../../node/crypto/keyfile.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { keyId, publicKeyFromJwk, publicKeyToJwk } from '../../src/crypto/keys.ts'
import { parseJson } from '../../src/json.ts'
import { qat, scratch } from './run-qat.ts'

describe('qat keygen', () => {
  const { path } = scratch()

  it('writes a key for its owner alone, and hands out the public part', async () => {
    const file = path('team.key')
    const { code, stdout, stderr } = await qat(['keygen', '--out', file, '--public', path('team.jwk')])
    assert.deepEqual([code, stderr], [0, ''])
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    const { alg, seed } = await readKeyFile(file)
    const { publicKey } = opensslSuite.signer(alg, seed)
    assert.equal(alg, 'ML-DSA-65')
    assert.deepEqual(publicKeyFromJwk(parseJson(await readFile(path('team.jwk'), 'utf8'), 8_192)), publicKey)
    assert.match(stdout, new RegExp(`^Key id +${keyId(publicKey)}$`, 'm'))
    assert.match(stdout, /mode 0600, not encrypted/)
    assert.doesNotMatch(stdout, /"pub"/)
  })

  it('prints the public key if it goes into no file, and all of it as one line of JSON', async () => {
    for (const alg of ['ML-DSA-44', 'ML-DSA-87'] as const) {
      const file = path(`${alg}.key`)
      const { json } = await qat(['keygen', '--json', '--out', file, '--alg', alg])
      const { seed } = await readKeyFile(file)
      const { publicKey } = opensslSuite.signer(alg, seed)
      const jwk = publicKeyToJwk(publicKey)
      assert.deepEqual(json(), [{ file, encrypted: false, alg, keyid: keyId(publicKey), jwk }])
    }
    const { stdout } = await qat(['keygen', '--out', path('plain.key')])
    assert.match(stdout, /^\{"kty":"AKP","alg":"ML-DSA-65","pub":"[^"]+"\}$/m)
  })

  it('encrypts it if QAT_PASSPHRASE is set, and does not take an empty one for none', async () => {
    const file = path('secret.key')
    const { stdout } = await qat(['keygen', '--out', file], { env: { QAT_PASSPHRASE: 'open sesame' } })
    assert.match(stdout, /mode 0600, encrypted/)
    const pem = await readFile(file, 'utf8')
    assert.equal(createPrivateKey({ key: pem, passphrase: 'open sesame' }).asymmetricKeyType, 'ml-dsa-65')
    const empty = await qat(['keygen', '--out', path('none.key')], { env: { QAT_PASSPHRASE: '' } })
    assert.equal(empty.code, 1)
    await assert.rejects(access(path('none.key')))
  })

  it('takes the passphrase from a file, for making a key and for opening it', async () => {
    const file = path('filed.key')
    await writeFile(path('phrase'), 'open sesame\n')
    const env = { QAT_PASSPHRASE_FILE: path('phrase') }
    assert.match((await qat(['keygen', '--out', file], { env })).stdout, /mode 0600, encrypted/)
    const key = createPrivateKey({ key: await readFile(file, 'utf8'), passphrase: 'open sesame' })
    assert.equal(key.asymmetricKeyType, 'ml-dsa-65')
    const log = ['log', '--source', '//s', '--type', 't', '--subject', 'u', '--key', file]
    const opened = await qat([...log, '--rpc', 'http://127.0.0.1:9', '--timeout', '0.01'], { env })
    assert.match(opened.stderr, /cannot be reached/)
    const closed = await qat(log)
    assert.match(closed.stderr, /is encrypted\. Give its passphrase by QAT_PASSPHRASE or QAT_PASSPHRASE_FILE/)
    const twice = await qat(log, { env: { ...env, QAT_PASSPHRASE: 'x' } })
    assert.match(twice.stderr, /either QAT_PASSPHRASE or QAT_PASSPHRASE_FILE/)
    await writeFile(path('empty'), '\n')
    const empty = await qat(['keygen', '--out', path('e.key')], {
      env: { QAT_PASSPHRASE_FILE: path('empty') },
    })
    assert.deepEqual([empty.code, /QAT_PASSPHRASE_FILE names, is empty/.test(empty.stderr)], [1, true])
    const asked = await qat(['keygen', '--out', path('e.key'), '--encrypt'])
    assert.equal(asked.code, 2)
    assert.match(asked.stderr, /--encrypt needs a terminal/)
  })

  it('overwrites neither file, and makes no key that it could not hand out', async () => {
    await qat(['keygen', '--out', path('one.key'), '--public', path('one.jwk')])
    const before = await readFile(path('one.key'), 'utf8')
    const again = await qat(['keygen', '--out', path('one.key'), '--public', path('two.jwk')])
    assert.equal(again.code, 5)
    assert.match(again.stderr, /^qat: [^\n]*one\.key exists already[^\n]*\n$/)
    assert.equal(await readFile(path('one.key'), 'utf8'), before)
    const taken = await qat(['keygen', '--out', path('two.key'), '--public', path('one.jwk'), '--json'])
    assert.equal(taken.code, 5)
    assert.match(taken.stdout, /"code":"file".*one\.jwk could not be written: it exists already/)
    const left = await readdir(path())
    assert.ok(!left.includes('two.key') && !left.includes('two.jwk'), left.join(' '))
  })
})
