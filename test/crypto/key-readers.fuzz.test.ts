/** Whatever bytes or values come in, the readers of keys answer with a key or with a FormatError. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { decryptPkcs8 } from '../../node/crypto/pbes2.ts'
import { fromUtf8, utf8 } from '../../src/bytes.ts'
import { DerReader, der, derInteger, TAG } from '../../src/crypto/der.ts'
import { publicKeyFromJwk, publicKeyFromPem, publicKeyToJwk, publicKeyToPem } from '../../src/crypto/keys.ts'
import { expandSeed } from '../../src/crypto/noble.ts'
import {
  privateKeyFromJwk,
  privateKeyToJwk,
  seedFromPem,
  seedFromPkcs8,
  seedToPem,
  seedToPkcs8,
} from '../../src/crypto/private-keys.ts'
import { FormatError } from '../../src/errors.ts'
import { SEED } from './suite.compliance.ts'

const KEY = expandSeed('ML-DSA-44', SEED).publicKey

/** Runs a reader; true if it accepted. Anything thrown but a FormatError fails the test. */
function accepts(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch (error) {
    assert.ok(error instanceof FormatError, `${error}`)
    return false
  }
}

/** `valid` with one byte changed, a stretch cut out, or a stretch doubled: never equal to it. */
function mutants(valid: Uint8Array): fc.Arbitrary<Uint8Array> {
  const at = fc.nat(valid.length - 1)
  const flip = fc.tuple(at, fc.integer({ min: 1, max: 255 })).map(([i, xor]) => {
    const copy = valid.slice()
    copy[i]! ^= xor
    return copy
  })
  const cut = fc
    .tuple(at, fc.integer({ min: 1, max: 8 }))
    .map(([i, n]) => new Uint8Array([...valid.subarray(0, i), ...valid.subarray(i + n)]))
  const double = fc
    .tuple(at, fc.integer({ min: 1, max: 8 }))
    .map(([i, n]) => new Uint8Array([...valid.subarray(0, i + n), ...valid.subarray(i)]))
  return fc.oneof(flip, cut, double)
}

describe('readers of keys under fuzz', () => {
  const readers = [seedFromPem, publicKeyFromPem]

  it('take any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 300 }), (text) => {
        for (const read of readers)
          assert.equal(
            accepts(() => read(text)),
            false,
          )
      }),
    )
  })

  it('take any bytes as DER', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.equal(
          accepts(() => seedFromPkcs8(bytes)),
          false,
        )
      }),
    )
  })

  it('take PKCS#8 with damage, and accept only what they would write', () => {
    const valid = seedToPkcs8('ML-DSA-44', SEED)
    fc.assert(
      fc.property(mutants(valid), (bytes) => {
        accepts(() => {
          const { alg, seed } = seedFromPkcs8(bytes)
          assert.deepEqual(seedToPkcs8(alg, seed), bytes)
        })
      }),
      { numRuns: 1_000 },
    )
  })

  it('take PEM with damage, and accept only what they would write, amid whatever stands around it', () => {
    const cases: [string, (pem: string) => string][] = [
      [publicKeyToPem(KEY), (pem) => publicKeyToPem(publicKeyFromPem(pem))],
      [
        seedToPem('ML-DSA-44', SEED),
        (pem) => {
          const { alg, seed } = seedFromPem(pem)
          return seedToPem(alg, seed)
        },
      ],
    ]
    for (const [valid, rewrite] of cases) {
      fc.assert(
        fc.property(mutants(utf8(valid)), (bytes) => {
          accepts(() => {
            const text = fromUtf8(bytes)
            const bare = (pem: string) => pem.replace(/\s+/g, '')
            assert.ok(bare(text).includes(bare(rewrite(text))))
          })
        }),
        { numRuns: 300 },
      )
    }
  })

  it('take any JSON value as JWK', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.equal(
          accepts(() => publicKeyFromJwk(value)),
          false,
        )
      }),
    )
  })

  it('take a JWK with any one member replaced', () => {
    const publicJwk = publicKeyToJwk(KEY)
    const privateJwk = privateKeyToJwk('ML-DSA-44', SEED)
    fc.assert(
      fc.property(fc.constantFrom('kty', 'alg', 'pub', 'priv'), fc.jsonValue(), (member, value) => {
        assert.equal(
          accepts(() => publicKeyFromJwk({ ...publicJwk, [member]: value })),
          false,
        )
        assert.equal(
          accepts(() => privateKeyFromJwk({ ...privateJwk, [member]: value })),
          false,
        )
      }),
    )
  })

  it('take any bytes as encrypted PKCS#8', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        await assert.rejects(decryptPkcs8(bytes, 'passphrase'), FormatError)
      }),
    )
  })
})

describe('DER under fuzz', () => {
  it('reads back every length it writes, and notices one byte less or more', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 4_900, 65_535]) {
      const bytes = der(TAG.octetString, new Uint8Array(length))
      const reader = new DerReader(bytes)
      assert.equal(reader.read(TAG.octetString).length, length)
      reader.end()
      assert.throws(() => new DerReader(bytes.subarray(0, -1)).read(TAG.octetString), { code: 'truncated' })
    }
    assert.throws(() => der(TAG.octetString, new Uint8Array(65_536)), { code: 'too-large' })
  })

  it('reads back every integer it writes', () => {
    fc.assert(
      fc.property(fc.nat(), (value) => {
        const reader = new DerReader(derInteger(value))
        assert.equal(reader.integer(), value)
        reader.end()
      }),
      { examples: [[0], [127], [128], [255], [256], [32_767], [32_768], [0x7fffffff]] },
    )
  })

  it('refuses integers that are negative, empty, padded or above 2^31 - 1', () => {
    for (const content of [
      [],
      [0x80],
      [0xff, 0xff],
      [0, 0x7f],
      [0, 0x80, 0, 0, 0],
      [0, 0xff, 0xff, 0xff, 0xff],
    ]) {
      const bytes = der(TAG.integer, Uint8Array.from(content))
      assert.throws(() => new DerReader(bytes).integer(), { code: 'bad-key' }, `${content}`)
    }
    assert.equal(new DerReader(der(TAG.integer, Uint8Array.of(0, 0x80))).integer(), 128)
  })
})
