import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  generateSeed,
  isPrivate,
  KeyFileError,
  readKeyFile,
  writeKeyFile,
} from '../../node/crypto/keyfile.ts'
import { decryptPkcs8 } from '../../node/crypto/pbes2.ts'
import { fromHex, toHex } from '../../src/bytes.ts'
import { der, derInteger, derOid, TAG } from '../../src/crypto/der.ts'
import { publicKeyToPem } from '../../src/crypto/keys.ts'
import { expandSeed } from '../../src/crypto/noble.ts'
import { fromPem } from '../../src/crypto/pem.ts'
import { seedToPem } from '../../src/crypto/private-keys.ts'
import { FormatError } from '../../src/errors.ts'
import { SEED } from './suite.compliance.ts'

const ALG = 'ML-DSA-65'
const KEY = { alg: ALG, seed: SEED }
const PASSPHRASE = 'correct hörse battery staple'

const failsWith = (code: string, sentence: RegExp) => (error: unknown) => {
  assert.ok(error instanceof KeyFileError, `${error}`)
  assert.equal(error.code, code)
  assert.match(error.message, sentence)
  return true
}

describe('key files', () => {
  let folder: string
  let path: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'qat-keyfile-'))
    path = join(folder, 'node.key')
  })

  afterEach(() => rm(folder, { recursive: true }))

  const write = async (text: string, mode = 0o600) => {
    await writeFile(path, text, { mode })
    await chmod(path, mode)
  }

  it('writes the seed form for its owner alone and leaves nothing else behind', async () => {
    await writeKeyFile(path, ALG, SEED)
    assert.equal(await readFile(path, 'utf8'), seedToPem(ALG, SEED))
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(folder), ['node.key'])
    assert.deepEqual(await readKeyFile(path), KEY)
  })

  it('never overwrites a key', async () => {
    await writeKeyFile(path, ALG, SEED)
    const again = writeKeyFile(path, ALG, generateSeed())
    await assert.rejects(again, failsWith('key-file-exists', /exists already/))
    assert.deepEqual(await readKeyFile(path), KEY)
    assert.deepEqual(await readdir(folder), ['node.key'])
  })

  it('lets one of many writers win and tells the others', async () => {
    const writers = Array.from({ length: 8 }, () => writeKeyFile(path, ALG, generateSeed()))
    const results = await Promise.allSettled(writers)
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.deepEqual(await readdir(folder), ['node.key'])
  })

  it('says why a file could not be written', async () => {
    const nowhere = join(folder, 'missing', 'node.key')
    await assert.rejects(writeKeyFile(nowhere, ALG, SEED), failsWith('key-file-unwritable', /ENOENT/))
  })

  it('refuses a file that group or others may touch', async function () {
    if (process.platform === 'win32') this.skip()
    for (const mode of [0o604, 0o620, 0o660, 0o644, 0o444]) {
      await write(seedToPem(ALG, SEED), mode)
      await assert.rejects(readKeyFile(path), failsWith('key-file-mode', /chmod 600/))
    }
    await chmod(path, 0o400)
    assert.deepEqual(await readKeyFile(path), KEY)
  })

  it('takes what root lends to a group of this process, as Kubernetes mounts secrets, and no more', () => {
    const file = (mode: number, uid: number, gid: number) => ({ mode: 0o100_000 | mode, uid, gid })
    const cases: [ReturnType<typeof file>, number[], boolean][] = [
      [file(0o440, 0, 2_000), [1_000, 2_000], true],
      [file(0o640, 0, 2_000), [1_000, 2_000], true],
      [file(0o440, 0, 2_000), [1_000], false],
      [file(0o440, 1_000, 2_000), [1_000, 2_000], false],
      [file(0o460, 0, 2_000), [2_000], false],
      [file(0o444, 0, 2_000), [2_000], false],
      [file(0o600, 1_000, 1_000), [], true],
    ]
    for (const [found, groups, expected] of cases) assert.equal(isPrivate(found, groups), expected)
  })

  it('reads a secret behind the links that Kubernetes makes', async function () {
    if (process.getuid?.() !== 0) return this.skip()
    await mkdir(join(folder, '..data'))
    const real = join(folder, '..data', 'node.key')
    await writeFile(real, seedToPem(ALG, SEED))
    await chmod(real, 0o440)
    await symlink(join('..data', 'node.key'), path)
    assert.deepEqual(await readKeyFile(path), KEY)
    await chown(real, 1_234, 0)
    await assert.rejects(readKeyFile(path), failsWith('key-file-mode', /mode 440/))
  })

  it('reads a key from a pipe, also where it comes in parts', async function () {
    if (process.platform === 'win32') this.skip()
    execFileSync('mkfifo', [path])
    const pem = seedToPem(ALG, SEED)
    const read = readKeyFile(path)
    const pipe = await open(path, 'w')
    await pipe.write(pem.slice(0, 40))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await pipe.write(pem.slice(40))
    await pipe.close()
    assert.deepEqual(await read, KEY)
  })

  it('judges the file behind a symbolic link', async function () {
    if (process.platform === 'win32') this.skip()
    await write(seedToPem(ALG, SEED), 0o644)
    const alias = join(folder, 'alias.key')
    await symlink(path, alias)
    await assert.rejects(readKeyFile(alias), failsWith('key-file-mode', /alias\.key/))
  })

  it('says what is wrong with a file that is missing, a folder, too long or no key', async () => {
    await assert.rejects(readKeyFile(path), failsWith('key-file-unreadable', /no such file/))
    await assert.rejects(readKeyFile(folder), failsWith('key-file-unreadable', /EISDIR/))
    await write('x'.repeat(20_000))
    await assert.rejects(readKeyFile(path), failsWith('key-file-unreadable', /at most/))
    await write('hello')
    await assert.rejects(readKeyFile(path), failsWith('key-file-unreadable', /Expected PEM/))
    await writeFile(path, Uint8Array.of(0xff, 0xfe))
    await assert.rejects(readKeyFile(path), failsWith('key-file-unreadable', /UTF-8/))
  })

  it('makes seeds that differ', () => {
    assert.equal(generateSeed().length, 32)
    assert.notDeepEqual(generateSeed(), generateSeed())
  })

  describe('under a passphrase', () => {
    it('keeps the seed out of sight and gives it back', async () => {
      await writeKeyFile(path, ALG, SEED, PASSPHRASE)
      const pem = await readFile(path, 'utf8')
      assert.match(pem, /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/)
      assert.ok(!toHex(fromPem('ENCRYPTED PRIVATE KEY', pem)).includes(toHex(SEED)))
      assert.equal((await stat(path)).mode & 0o777, 0o600)
      assert.deepEqual(await readKeyFile(path, PASSPHRASE), KEY)
    })

    it('is what OpenSSL reads as the same key', async () => {
      await writeKeyFile(path, ALG, SEED, PASSPHRASE)
      const key = createPrivateKey({ key: await readFile(path), passphrase: PASSPHRASE })
      const spki = createPublicKey(key).export({ format: 'pem', type: 'spki' })
      assert.equal(spki, publicKeyToPem(expandSeed(ALG, SEED).publicKey))
    })

    it('says which passphrase is missing, wrong, empty or not needed', async () => {
      await writeKeyFile(path, ALG, SEED, PASSPHRASE)
      await assert.rejects(
        readKeyFile(path),
        failsWith('key-file-passphrase', /QAT_PASSPHRASE or QAT_PASSPHRASE_FILE/),
      )
      await assert.rejects(readKeyFile(path, 'guess'), failsWith('key-file-passphrase', /does not open/))
      const other = join(folder, 'other.key')
      await assert.rejects(writeKeyFile(other, ALG, SEED, ''), failsWith('key-file-passphrase', /empty/))
      await writeKeyFile(other, ALG, SEED)
      await assert.rejects(readKeyFile(other, 'x'), failsWith('key-file-passphrase', /not encrypted/))
    })

    it('reads what Node and OpenSSL encrypt with PBKDF2, and AES with keys of any length', async () => {
      const key = createPrivateKey(seedToPem(ALG, SEED))
      for (const cipher of ['aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc']) {
        await write(`${key.export({ format: 'pem', type: 'pkcs8', cipher, passphrase: PASSPHRASE })}`)
        assert.deepEqual(await readKeyFile(path, PASSPHRASE), KEY)
        await assert.rejects(readKeyFile(path, 'guess'), failsWith('key-file-passphrase', /does not open/))
      }
    })

    it('refuses what another tool encrypted in another way, and says how to convert it', async () => {
      const key = createPrivateKey(seedToPem(ALG, SEED))
      await write(`${key.export({ format: 'pem', type: 'pkcs8', cipher: 'des-ede3-cbc', passphrase: 'x' })}`)
      await assert.rejects(
        readKeyFile(path, 'x'),
        failsWith('key-file-unreadable', /openssl pkcs8 -topk8 -scrypt/),
      )
    })
  })
})

describe('PBES2 with PBKDF2', () => {
  const OPENSSL = execFileSync('openssl', ['version'], { encoding: 'utf8' })

  it(`opens what the openssl command writes with each hash (${OPENSSL.trim()})`, async () => {
    const pkcs8 = fromHex(RFC_8410_KEY)
    const der = [
      '-topk8',
      '-inform',
      'DER',
      '-outform',
      'DER',
      '-passout',
      'pass:golden',
      '-v2',
      'aes-256-cbc',
    ]
    for (const prf of ['SHA1', 'SHA256', 'SHA384', 'SHA512']) {
      const args = ['pkcs8', ...der, '-v2prf', `hmacWith${prf}`, '-iter', '4096']
      const encrypted = new Uint8Array(execFileSync('openssl', args, { input: pkcs8 }))
      assert.deepEqual(await decryptPkcs8(encrypted, 'golden'), pkcs8)
      assert.equal(await decryptPkcs8(encrypted, 'Golden'), undefined)
    }
  })

  it('refuses endless iterations before it begins', async () => {
    const sequence = (...contents: Uint8Array[]) => der(TAG.sequence, ...contents)
    const info = (iterations: number) =>
      sequence(
        sequence(
          derOid('1.2.840.113549.1.5.13'),
          sequence(
            sequence(
              derOid('1.2.840.113549.1.5.12'),
              sequence(der(TAG.octetString, SEED.subarray(16)), derInteger(iterations)),
            ),
            sequence(derOid('2.16.840.1.101.3.4.1.42'), der(TAG.octetString, SEED.subarray(16))),
          ),
        ),
        der(TAG.octetString, new Uint8Array(16)),
      )
    const started = performance.now()
    for (const iterations of [0, 10_000_001, 2 ** 31 - 1]) {
      await assert.rejects(decryptPkcs8(info(iterations), 'x'), FormatError)
    }
    assert.ok(performance.now() - started < 100)
    assert.equal(await decryptPkcs8(info(1), 'x'), undefined)
  })
})

describe('PBES2 with scrypt', () => {
  const oid = (dotted: string) => derOid(dotted)
  const sequence = (...contents: Uint8Array[]) => der(TAG.sequence, ...contents)
  const octets = (...contents: Uint8Array[]) => der(TAG.octetString, ...contents)
  const encryptedInfo = (
    cost: number[],
    encrypted: Uint8Array,
    salt = SEED.subarray(16),
    iv = SEED.subarray(0, 16),
  ) =>
    sequence(
      sequence(
        oid('1.2.840.113549.1.5.13'),
        sequence(
          sequence(oid('1.3.6.1.4.1.11591.4.11'), sequence(octets(salt), ...cost.map(derInteger))),
          sequence(oid('2.16.840.1.101.3.4.1.42'), octets(iv)),
        ),
      ),
      octets(encrypted),
    )

  it('opens golden bytes, with the key length that scrypt parameters may state or without', async () => {
    const golden = fromHex(GOLDEN)
    assert.deepEqual(await decryptPkcs8(encryptedInfo([1024, 1, 1], golden), 'golden'), sequence(SEED))
    assert.deepEqual(await decryptPkcs8(encryptedInfo([1024, 1, 1, 32], golden), 'golden'), sequence(SEED))
    assert.equal(await decryptPkcs8(encryptedInfo([1024, 1, 2], golden), 'golden'), undefined)
    assert.equal(await decryptPkcs8(encryptedInfo([1024, 1, 1], golden), 'Golden'), undefined)
  })

  it('opens what the openssl command wrote', async () => {
    const encrypted = fromPem('ENCRYPTED PRIVATE KEY', OPENSSL_ENCRYPTED)
    assert.deepEqual(await decryptPkcs8(encrypted, 'golden'), fromHex(RFC_8410_KEY))
  })

  it('is not deceived by a wrong passphrase whose padding happens to fit', async () => {
    const encrypted = encryptedInfo([2, 1, 1], fromHex(GOLDEN))
    // About four of a thousand wrong keys decrypt to something with valid padding.
    const answers = Array.from({ length: 2_000 }, (_, i) => decryptPkcs8(encrypted, `guess ${i}`))
    assert.ok((await Promise.all(answers)).every((answer) => answer === undefined))
  })

  it('refuses costs above its bounds at once, and impossible ones', async () => {
    const started = performance.now()
    const costs = [
      [2 ** 17, 8, 1],
      [2 ** 30, 1, 1],
      [2 ** 14, 8, 17],
      [2, 33, 1],
      [0, 8, 1],
      [1, 8, 1],
      [1000, 8, 1],
      [1024, 0, 1],
      [1024, 8, 0],
      [1024, 8, 1, 16],
    ]
    for (const cost of costs) {
      await assert.rejects(decryptPkcs8(encryptedInfo(cost, new Uint8Array(16)), 'x'), FormatError, `${cost}`)
    }
    assert.ok(performance.now() - started < 100)
  })

  it('pays the highest cost it accepts', async () => {
    assert.equal(await decryptPkcs8(encryptedInfo([2 ** 16, 8, 1], new Uint8Array(16)), 'x'), undefined)
    assert.equal(await decryptPkcs8(encryptedInfo([2 ** 14, 32, 1], new Uint8Array(16)), 'x'), undefined)
    assert.equal(await decryptPkcs8(encryptedInfo([2, 32, 16], new Uint8Array(16)), 'x'), undefined)
  })

  it('refuses an endless salt, a short IV and half a cipher block', async () => {
    const block = new Uint8Array(16)
    const bad = [
      encryptedInfo([1024, 1, 1], block, new Uint8Array(65)),
      encryptedInfo([1024, 1, 1], block, SEED, SEED.subarray(0, 12)),
      encryptedInfo([1024, 1, 1], block.subarray(1)),
      encryptedInfo([1024, 1, 1], new Uint8Array()),
    ]
    for (const bytes of bad) await assert.rejects(decryptPkcs8(bytes, 'x'), FormatError)
  })
})

/** AES-256-CBC, under scrypt(N 1024, r 1, p 1) of "golden", of a SEQUENCE that holds SEED. */
const GOLDEN =
  '348557cf877545866dac191f82bc5cf0c6d3def29eb701c267412794181177bc41a7fa0f00721a17add4e75e69998bf8'

/** The Ed25519 example key of RFC 8410, and what `openssl pkcs8 -topk8 -scrypt -v2 aes-256-cbc` (3.0.19) made of it. */
const RFC_8410_KEY =
  '302e020100300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842'
const OPENSSL_ENCRYPTED = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAiDvJS7gV1BWQICQAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBC3lNOGkpPU+MZddJLSFp2/BECnx3CFGBpLV+Fa
LmbDep4E1TI0G89fD+rY+hUArWt9V0QOWguKZvy6Ezy+isKYuYdPN1rcGnfOGN5V
4t+kWJaq
-----END ENCRYPTED PRIVATE KEY-----
`
