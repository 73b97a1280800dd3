/** Bytes that other implementations must make as well: the key schedule, a record, the frames of an agreement. */
import assert from 'node:assert/strict'
import { createCipheriv, createHash, createHmac, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { linkSecrets, PROTOCOL, transcriptHash } from '../../node/net/qkd-noise/key-schedule.ts'
import { decodeHandshake, encodeHandshake } from '../../node/net/qkd-noise/messages.ts'
import { RecordOpener, RecordSealer } from '../../node/net/qkd-noise/records.ts'
import { mixedSeed } from '../../node/qkd/mixed-seed.ts'
import { toHex } from '../../src/bytes.ts'
import { QatError } from '../../src/errors.ts'

const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill)
const u32 = (value: number) => {
  const out = Buffer.alloc(4)
  out.writeUInt32BE(value)
  return out
}
const behindLength = (part: Uint8Array) => Buffer.concat([u32(part.length), part])

describe('the key schedule of a link', () => {
  const kem = bytes(32, 1)
  const qkd = bytes(32, 2)
  const chain = bytes(64, 3)
  const transcript = transcriptHash([bytes(3, 4), bytes(0, 0)])

  it('hashes each part behind its length', () => {
    const name = Buffer.concat([Buffer.from([0, PROTOCOL.length]), Buffer.from(PROTOCOL)])
    const input = Buffer.concat([name, behindLength(bytes(3, 4)), behindLength(bytes(0, 0))])
    assert.equal(toHex(transcript), createHash('sha512').update(input).digest('hex'))
  })

  it('is HKDF-SHA-512 over ML-KEM secret, QKD key and chain, in this order', () => {
    const secrets = linkSecrets(transcript, { kem, qkd, chain })
    const material = Buffer.concat([kem, qkd, chain].map(behindLength))
    const derive = (field: string, length: number) =>
      Buffer.from(hkdfSync('sha512', material, transcript, `${PROTOCOL} ${field}`, length)).toString('hex')
    assert.equal(toHex(secrets.fromInitiator.key), derive('initiator key', 32))
    assert.equal(toHex(secrets.fromInitiator.iv), derive('initiator iv', 12))
    assert.equal(toHex(secrets.fromResponder.key), derive('responder key', 32))
    assert.equal(toHex(secrets.fromResponder.iv), derive('responder iv', 12))
    assert.equal(toHex(secrets.confirm), derive('confirm', 64))
    assert.equal(toHex(secrets.chain), derive('chain', 64))
    assert.equal(
      toHex(secrets.fromInitiator.key),
      'a455f784400fd6e31f86eab60cab8a95ab59b48b266284ab8d5f2c766798105f',
    )
  })

  it('changes with each of its inputs, and none can stand for another', () => {
    const inputs = { kem, qkd, chain }
    const keys = [
      linkSecrets(transcript, inputs),
      linkSecrets(bytes(64, 9), inputs),
      linkSecrets(transcript, { ...inputs, kem: bytes(32, 9) }),
      linkSecrets(transcript, { ...inputs, qkd: bytes(0, 0) }),
      linkSecrets(transcript, { ...inputs, chain: bytes(0, 0) }),
      linkSecrets(transcript, { kem: qkd, qkd: kem, chain }),
      linkSecrets(transcript, { kem, qkd: bytes(0, 0), chain: bytes(32, 2) }),
      linkSecrets(transcript, { kem, qkd, chain: bytes(0, 0) }),
    ].map(({ fromInitiator }) => toHex(fromInitiator.key))
    assert.equal(new Set(keys).size, keys.length - 1)
  })
})

describe('a record of a link', () => {
  it('is AES-256-GCM under a nonce that counts, with its head authenticated', () => {
    const [key, iv] = [bytes(32, 5), bytes(12, 6)]
    const sealer = new RecordSealer({ key: key.slice(), iv: iv.slice() })
    sealer.seal('data', bytes(1, 0))
    const second = sealer.seal('handshake', Buffer.from('hello'))
    const head = Buffer.from([0, 2 + 5 + 16, 0, 1])
    const nonce = Buffer.from(iv)
    nonce[11]! ^= 1
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(head)
    const expected = Buffer.concat([head, cipher.update('hello'), cipher.final(), cipher.getAuthTag()])
    assert.equal(toHex(second), expected.toString('hex'))
  })

  it('comes back as it was, over epochs, and zeroes the keys that it was made from', () => {
    const pair = (fill: number) => ({ key: bytes(32, fill), iv: bytes(12, fill) })
    const given = pair(1)
    const sealer = new RecordSealer(given)
    const opener = new RecordOpener(pair(1))
    assert.ok(given.key.every((byte) => byte === 0) && given.iv.every((byte) => byte === 0))
    for (let epoch = 0; epoch < 300; epoch++) {
      for (const length of [0, 1, 1_000]) {
        const { type, content } = opener.open(sealer.seal('data', bytes(length, 7)).subarray(2))
        assert.deepEqual([type, content.length], ['data', length])
      }
      sealer.next(pair(epoch))
      opener.next(pair(epoch))
    }
  })
})

describe('the frames of a key agreement', () => {
  it('have one spelling, and others are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4_600 }), (frame) => {
        try {
          assert.equal(toHex(encodeHandshake(decodeHandshake(frame))), toHex(frame))
        } catch (error) {
          assert.ok(error instanceof QatError, String(error))
        }
      }),
    )
    const hello = encodeHandshake({
      kind: 'hello',
      sae: 'alpha',
      nonce: bytes(32, 1),
      policy: 'require',
      hasKeys: true,
      kemKey: bytes(1_184, 2),
    })
    assert.equal(toHex(hello.subarray(0, 10)), '01010005616c706861' + '01')
    assert.equal(hello.length, 1 + 1 + 2 + 5 + 32 + 1 + 1 + 1_184)
    for (const length of [0, 1, 10, hello.length - 1])
      assert.throws(() => decodeHandshake(hello.subarray(0, length)), QatError)
    assert.throws(() => decodeHandshake(Buffer.concat([hello, Buffer.of(0)])), QatError)
  })
})

describe('a seed of two sources', () => {
  it('is HKDF over both, neither decides it, and both are zeroed', () => {
    const [qkd, local] = [bytes(32, 1), bytes(32, 2)]
    const seed = mixedSeed(qkd, local)
    const material = Buffer.concat([behindLength(bytes(32, 2)), behindLength(bytes(32, 1))])
    const prk = createHmac('sha512', 'quantum-audit-trail/mixed-seed').update(material).digest()
    const expected = createHmac('sha512', prk)
      .update('ML-DSA seed')
      .update(Buffer.of(1))
      .digest()
      .subarray(0, 32)
    assert.equal(toHex(seed), expected.toString('hex'))
    assert.ok([...qkd, ...local].every((byte) => byte === 0))
    const others = [mixedSeed(bytes(32, 3), bytes(32, 2)), mixedSeed(bytes(32, 1), bytes(32, 3))]
    assert.equal(new Set([seed, ...others].map(toHex)).size, 3)
  })
})
