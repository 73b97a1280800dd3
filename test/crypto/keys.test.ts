import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { concat, fromHex, toHex } from '../../src/bytes.ts'
import { algorithmIdentifier } from '../../src/crypto/algorithm-id.ts'
import { der, derInteger, TAG } from '../../src/crypto/der.ts'
import {
  keyId,
  publicKeyFromJwk,
  publicKeyFromPem,
  publicKeyToJwk,
  publicKeyToPem,
} from '../../src/crypto/keys.ts'
import { expandSeed } from '../../src/crypto/noble.ts'
import { toPem } from '../../src/crypto/pem.ts'
import {
  privateKeyFromJwk,
  privateKeyToJwk,
  seedFromPem,
  seedFromPkcs8,
  seedToPem,
  seedToPkcs8,
} from '../../src/crypto/private-keys.ts'
import { FormatError } from '../../src/errors.ts'
import { ALGS, SEED } from './suite.compliance.ts'

const ZEROS = new Uint8Array(32)
const code = (expected: string) => (error: unknown) => {
  assert.ok(error instanceof FormatError, `${error}`)
  assert.equal(error.code, expected)
  return true
}

describe('key id', () => {
  it('is the RFC 7638 thumbprint; the first is printed in RFC 9964 as the kid of its example', () => {
    assert.deepEqual(
      ALGS.map((alg) => keyId(expandSeed(alg, ZEROS).publicKey)),
      [
        'T4xl70S7MT6Zeq6r9V9fPJGVn76wfnXJ21-gyo0Gu6o',
        'Suiu29qbfuaBaR4Ats-c6XQBePB_OpAxAwcTR_0KXVM',
        'tRn1JNIkgMsABVQBlXeDHxAIcclh-2IX0UdDEzPt5XU',
      ],
    )
  })

  it('is not given to bytes of the wrong size', () => {
    assert.throws(() => keyId({ alg: 'ML-DSA-65', bytes: new Uint8Array(1312) }), code('bad-key'))
  })
})

describe('AKP JWK', () => {
  const key = expandSeed('ML-DSA-44', ZEROS).publicKey
  const jwk = publicKeyToJwk(key)
  const privateJwk = privateKeyToJwk('ML-DSA-44', ZEROS)

  it('prints the members of RFC 9964', () => {
    assert.deepEqual(Object.keys(jwk), ['kty', 'alg', 'pub'])
    assert.equal(jwk.kty, 'AKP')
    assert.match(jwk.pub, /^unH59k4Ru.*ZgbTP07e7gEWzw4MFRrndjbDQ$/)
    assert.deepEqual(privateJwk, { ...jwk, priv: 'A'.repeat(43) })
  })

  it('is the JWK that OpenSSL imports', () => {
    const theirs = createPublicKey({ key: { ...jwk }, format: 'jwk' })
    assert.equal(theirs.export({ format: 'pem', type: 'spki' }), publicKeyToPem(key))
  })

  it('reads what it prints, and ignores members of others (RFC 7517 section 4)', () => {
    assert.deepEqual(publicKeyFromJwk(jwk), key)
    const others = { kid: 'any name', use: 'sig', key_ops: ['verify'], ext: true, x5c: [], exp: 7 }
    assert.deepEqual(publicKeyFromJwk({ ...others, ...jwk }), key)
    assert.deepEqual(privateKeyFromJwk(privateJwk), { alg: 'ML-DSA-44', seed: ZEROS })
  })

  it('refuses a private key where a public one belongs, and the reverse', () => {
    assert.throws(() => publicKeyFromJwk(privateJwk), /private key/)
    assert.throws(() => privateKeyFromJwk(jwk), code('missing-field'))
  })

  it('refuses a public key that is not that of the seed', () => {
    const other = privateKeyToJwk('ML-DSA-44', SEED)
    assert.throws(() => privateKeyFromJwk({ ...other, pub: jwk.pub }), /contradicts itself/)
  })

  const refused: [string, unknown, string][] = [
    ['null', null, 'bad-key'],
    ['an array', [jwk], 'bad-key'],
    ['a text', JSON.stringify(jwk), 'bad-key'],
    ['a member named __proto__', JSON.parse(`{"__proto__":${JSON.stringify(jwk)}}`), 'missing-field'],
    ['no kty', { alg: jwk.alg, pub: jwk.pub }, 'missing-field'],
    ['another kty', { ...jwk, kty: 'OKP' }, 'bad-field'],
    ['no alg', { kty: 'AKP', pub: jwk.pub }, 'missing-field'],
    ['an alg of the prototype', { ...jwk, alg: 'toString' }, 'bad-field'],
    ['an alg that is not ours', { ...jwk, alg: 'ES256' }, 'bad-field'],
    ['no pub', { kty: 'AKP', alg: jwk.alg }, 'missing-field'],
    ['a pub that is not text', { ...jwk, pub: 7 }, 'bad-field'],
    ['a pub of another parameter set', { ...jwk, alg: 'ML-DSA-65' }, 'bad-key'],
    ['a pub with padding', { ...jwk, pub: `${jwk.pub}==` }, 'bad-base64'],
    ['a pub in plain base64', { ...jwk, pub: `+${jwk.pub.slice(1)}` }, 'bad-base64'],
    ['an endless pub', { ...jwk, pub: 'A'.repeat(5_000) }, 'bad-field'],
    ['a priv that is no seed', { ...privateJwk, priv: 'A'.repeat(44) }, 'bad-key'],
  ]
  for (const [what, value, expected] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => publicKeyFromJwk(value), code(expected))
    })
  }
})

describe('PKCS#8 and SPKI', () => {
  it('writes the seed form of ML-DSA-65 in 54 bytes', () => {
    const golden = `3034020100300b060960864801650304031204228020${toHex(SEED)}`
    assert.equal(toHex(seedToPkcs8('ML-DSA-65', SEED)), golden)
    assert.deepEqual(seedFromPkcs8(fromHex(golden)), { alg: 'ML-DSA-65', seed: SEED })
  })

  it('writes golden PEM', () => {
    assert.equal(
      seedToPem('ML-DSA-65', SEED),
      '-----BEGIN PRIVATE KEY-----\n' +
        'MDQCAQAwCwYJYIZIAWUDBAMSBCKAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ\n' +
        'GhscHR4f\n' +
        '-----END PRIVATE KEY-----\n',
    )
    const spki = publicKeyToPem(expandSeed('ML-DSA-65', SEED).publicKey)
    assert.ok(
      spki.startsWith(
        '-----BEGIN PUBLIC KEY-----\nMIIHsjALBglghkgBZQMEAxIDggehAEhoPZGXjjHrPd24sEc0gtK4il9iWUn9j1il\n',
      ),
    )
  })

  it('returns a seed that outlives the bytes it was read from', () => {
    const bytes = seedToPkcs8('ML-DSA-44', SEED)
    const { seed } = seedFromPkcs8(bytes)
    bytes.fill(0)
    assert.deepEqual(seed, SEED)
  })

  it('refuses to write a seed or a public key of the wrong size', () => {
    assert.throws(() => seedToPem('ML-DSA-65', SEED.subarray(1)), code('bad-key'))
    assert.throws(() => publicKeyToPem({ alg: 'ML-DSA-44', bytes: SEED }), code('bad-key'))
  })

  const id = algorithmIdentifier('ML-DSA-65')
  const version = derInteger(0)
  const octets = (...contents: Uint8Array[]) => der(TAG.octetString, ...contents)
  const sequence = (...contents: Uint8Array[]) => der(TAG.sequence, ...contents)
  const choice = octets(der(TAG.context0, SEED))
  const withNull = der(TAG.sequence, id.subarray(2), der(TAG.null))
  const { expanded } = expandSeed('ML-DSA-65', SEED)
  const both = (...contents: Uint8Array[]) => sequence(version, id, octets(der(TAG.sequence, ...contents)))
  const valid = sequence(version, id, choice)

  it('reads what the refusals below are variations of', () => {
    assert.deepEqual(seedFromPkcs8(valid).seed, SEED)
    assert.deepEqual(seedFromPkcs8(both(octets(SEED), octets(expanded))).seed, SEED)
  })

  const refused: [string, Uint8Array, string][] = [
    ['nothing', new Uint8Array(), 'truncated'],
    ['a byte behind the key', new Uint8Array([...valid, 0]), 'trailing-bytes'],
    ['a key cut short', valid.subarray(0, -1), 'truncated'],
    ['a long length where a short one does', new Uint8Array([0x30, 0x81, ...valid.subarray(1)]), 'bad-key'],
    ['an indefinite length', new Uint8Array([0x30, 0x80, ...valid.subarray(2), 0, 0]), 'bad-key'],
    ['version 2', sequence(derInteger(1), id, choice), 'bad-key'],
    ['a version with a spare zero', sequence(der(TAG.integer, Uint8Array.of(0, 0)), id, choice), 'bad-key'],
    ['attributes', sequence(version, id, choice, der(0xa0)), 'trailing-bytes'],
    ['algorithm parameters', sequence(version, withNull, choice), 'trailing-bytes'],
    ['another algorithm', sequence(version, der(TAG.sequence, fromHex('06032b6570')), choice), 'bad-key'],
    ['a short seed', sequence(version, id, octets(der(TAG.context0, SEED.subarray(1)))), 'bad-key'],
    [
      'bytes behind the seed',
      sequence(version, id, octets(der(TAG.context0, SEED), der(TAG.null))),
      'trailing-bytes',
    ],
    ['a choice that does not exist', sequence(version, id, octets(der(TAG.null))), 'bad-key'],
    ['both, of different keys', both(octets(new Uint8Array(32)), octets(expanded)), 'bad-key'],
    ['both, the expanded key cut short', both(octets(SEED), octets(expanded.subarray(1))), 'bad-key'],
    ['both and something more', both(octets(SEED), octets(expanded), der(TAG.null)), 'trailing-bytes'],
    ['the expanded key alone', sequence(version, id, octets(octets(expanded))), 'bad-key'],
  ]
  for (const [what, bytes, expected] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => seedFromPkcs8(bytes), code(expected))
    })
  }

  it('refuses a public key with unused bits, of another size, with parameters or spare bytes', () => {
    const { bytes } = expandSeed('ML-DSA-65', SEED).publicKey
    const spki = (algorithm: Uint8Array, ...bits: Uint8Array[]) =>
      toPem('PUBLIC KEY', der(TAG.sequence, algorithm, der(TAG.bitString, ...bits)))
    const zero = Uint8Array.of(0)
    assert.deepEqual(publicKeyFromPem(spki(id, zero, bytes)).bytes, bytes)
    assert.throws(() => publicKeyFromPem(spki(id, Uint8Array.of(1), bytes)), code('bad-key'))
    assert.throws(() => publicKeyFromPem(spki(id, zero, bytes.subarray(1))), code('bad-key'))
    assert.throws(() => publicKeyFromPem(spki(id)), code('bad-key'))
    assert.throws(() => publicKeyFromPem(spki(withNull, zero, bytes)), code('trailing-bytes'))
    const inner = [id, der(TAG.bitString, zero, bytes), der(TAG.null)]
    const insideAndBehind = [sequence(...inner), concat(sequence(...inner.slice(0, 2)), der(TAG.null))]
    for (const spare of insideAndBehind) {
      assert.throws(() => publicKeyFromPem(toPem('PUBLIC KEY', spare)), code('trailing-bytes'))
    }
  })
})

describe('PEM', () => {
  const pem = seedToPem('ML-DSA-44', SEED)

  it('may end its lines as Windows does, and may lack the last line end', () => {
    assert.deepEqual(seedFromPem(pem.replaceAll('\n', '\r\n')).seed, SEED)
    assert.deepEqual(seedFromPem(pem.slice(0, -1)).seed, SEED)
  })

  it('may stand amid text, and have lines of any width', () => {
    const base64 = pem.split('\n').slice(1, -2).join('')
    const body = (text: string) => pem.replace(/-\n[^-]*/, `-\n${text}\n`)
    for (const text of [
      `Bag Attributes\n    friendlyName: team\n${pem}\nfrom Ada\n`,
      `\ufeff\r\n${pem.replaceAll('\n', '\r\n')}`,
      body(base64),
      body(base64.replace(/.{76}/g, '$&\n')),
      body(base64.replace(/.{4}/g, '$& \t\n\n')),
      pem.replaceAll('-----\n', '-----  \n'),
    ])
      assert.deepEqual(seedFromPem(text).seed, SEED, text)
  })

  const refused: [string, string, string][] = [
    ['no PEM', 'hello', 'bad-key'],
    ['another label', pem.replaceAll('PRIVATE', 'PUBLIC'), 'bad-key'],
    ['another label at the end', pem.replace('END PRIVATE', 'END PUBLIC'), 'bad-key'],
    ['a second key behind it', pem + pem, 'bad-key'],
    ['a line that does not begin with its dashes', ` ${pem}`, 'bad-key'],
    ['a character too many', pem.replace('MDQC', 'MDQCA'), 'bad-base64'],
    ['a header as in old PEM', pem.replace('\n', '\nProc-Type: 4,ENCRYPTED\n'), 'bad-key'],
    ['no content', '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n', 'truncated'],
    ['a flood', `${pem}${'\n'.repeat(17_000)}`, 'too-large'],
  ]
  for (const [what, text, expected] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => seedFromPem(text), code(expected))
    })
  }
})
