import assert from 'node:assert/strict'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { nobleSuite } from '../../src/crypto/noble.ts'
import { assembleCertificate, verifyCertificate, verifyCheckpointNote } from '../../src/notes/certificate.ts'
import {
  cosignatureKey,
  cosignedMessage,
  signCosignature,
  verifyCosignature,
} from '../../src/notes/cosignature.ts'
import type { NoteSignature } from '../../src/notes/note.ts'
import { parseNote, printNote } from '../../src/notes/note.ts'
import { certified, entriesOf, linesOf, ORIGIN, policyOf, TIME, VALIDATORS } from './fixture.ts'

const [ada, bob, cyd, dee] = VALIDATORS

describe('cosignatures', () => {
  const checkpoint = { origin: ORIGIN, size: 9, root: new Uint8Array(32).fill(5) }
  const key = cosignatureKey(`${ORIGIN}/ada`, ada.signer.publicKey)
  const sign = (timestamp = TIME) => signCosignature(ada.signer, key.name, checkpoint, timestamp)

  it('verify with either implementation and say when', async () => {
    const line = await sign()
    for (const suite of [opensslSuite, nobleSuite]) {
      assert.equal(await verifyCosignature(suite, key, checkpoint, line), TIME)
    }
  })

  it('are read with any time of 64 bits that a liar signs', async () => {
    for (const time of [2 ** 53 - 1, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      const line = await signCosignature(ada.signer, key.name, checkpoint, time)
      assert.equal(await verifyCosignature(opensslSuite, key, checkpoint, line), Number(time))
    }
    for (const time of [2 ** 53, 2n ** 64n, -1n]) {
      await assert.rejects(signCosignature(ada.signer, key.name, checkpoint, time), { code: 'bad-integer' })
    }
  })

  it('hold for one name, origin, size, root and time only', async () => {
    const line = await sign()
    const rejects = (given: Partial<typeof checkpoint>, changed: Partial<NoteSignature> = {}, by = key) =>
      assert.rejects(
        verifyCosignature(opensslSuite, by, { ...checkpoint, ...given }, { ...line, ...changed }),
        {
          code: 'bad-signature',
        },
      )
    await rejects({ origin: 'audit.example/other' })
    await rejects({ size: 10 })
    await rejects({ root: new Uint8Array(32).fill(6) })
    for (const at of [3, 7, 8, 2427]) {
      const signature = line.signature.slice()
      signature[at]! ^= 1
      await rejects({}, { signature })
    }
    await rejects({}, { name: `${ORIGIN}/bob` })
    await rejects({}, { keyId: '00000000' })
    const renamed = cosignatureKey(`${ORIGIN}/bob`, ada.signer.publicKey)
    await rejects({}, { name: renamed.name, keyId: renamed.id }, renamed)
    await rejects({}, {}, { ...key, type: 1 })
  })

  it('are refused when malformed', async () => {
    const line = await sign()
    const { signature } = line
    for (const bad of [signature.slice(1), new Uint8Array([...signature, 0]), new Uint8Array(8)]) {
      await assert.rejects(verifyCosignature(opensslSuite, key, checkpoint, { ...line, signature: bad }), {
        code: 'bad-cosignature',
      })
    }
    const at = (timestamp: Uint8Array) => ({
      ...line,
      signature: new Uint8Array([...timestamp, ...signature.slice(8)]),
    })
    await assert.rejects(verifyCosignature(opensslSuite, key, checkpoint, at(new Uint8Array(8))), {
      code: 'bad-cosignature',
    })
  })

  it('are not made of what could not be verified', async () => {
    const signer = opensslSuite.signer('ML-DSA-65', new Uint8Array(32))
    await assert.rejects(signCosignature(signer, 'x', checkpoint, TIME), { code: 'bad-key' })
    await assert.rejects(signCosignature(ada.signer, 'x y', checkpoint, TIME), { code: 'bad-key' })
    await assert.rejects(sign(0), { code: 'bad-cosignature' })
    await assert.rejects(sign(1.5), { code: 'bad-integer' })
    assert.throws(() => cosignedMessage('x'.repeat(256), TIME, checkpoint), { code: 'bad-cosignature' })
    assert.throws(() => cosignedMessage('x', TIME, { ...checkpoint, origin: '' }), {
      code: 'bad-cosignature',
    })
    assert.throws(() => cosignedMessage('x', TIME, { ...checkpoint, root: new Uint8Array(31) }), {
      code: 'bad-cosignature',
    })
    assert.equal(
      cosignedMessage('x'.repeat(255), TIME, checkpoint).length,
      12 + 256 + 8 + 1 + ORIGIN.length + 16 + 32,
    )
  })
})

describe('certificates', () => {
  const policy = policyOf(3)
  const verify = (note: string) => verifyCertificate(opensslSuite, policy, note)

  it('verify with the log line and a quorum, and name the cosigners with their times', async () => {
    const { certificate, checkpoint } = await certified(entriesOf(5), [ada, bob, cyd])
    for (const suite of [opensslSuite, nobleSuite]) {
      assert.deepEqual(await verifyCertificate(suite, policy, certificate), {
        checkpoint,
        cosigners: [
          { name: 'ada', timestamp: TIME + 1 },
          { name: 'bob', timestamp: TIME + 2 },
          { name: 'cyd', timestamp: TIME + 3 },
        ],
        logTimes: [TIME],
      })
    }
  })

  it('accept the log line from any validator', async () => {
    const { certificate } = await certified(entriesOf(5), [dee, cyd, bob, ada])
    assert.equal((await verify(certificate)).cosigners.length, 4)
  })

  it('are assembled in one order, whatever order the lines came in', async () => {
    const { checkpoint, certificate } = await certified(entriesOf(5), [ada, bob, cyd])
    const { signatures } = parseNote(certificate)
    assert.equal(assembleCertificate(checkpoint, [...signatures].reverse()), certificate)
    assert.deepEqual(
      signatures.map(({ name }) => name),
      [ORIGIN, `${ORIGIN}/ada`, `${ORIGIN}/bob`, `${ORIGIN}/cyd`],
    )
    assert.throws(() => assembleCertificate(checkpoint, [...signatures, signatures[0]!]), {
      code: 'bad-note',
    })
    assert.throws(() => assembleCertificate(checkpoint, []), { code: 'bad-note' })
  })

  it('need the quorum, counted once a witness', async () => {
    const { checkpoint, certificate } = await certified(entriesOf(5), [ada, bob])
    await assert.rejects(verify(certificate), { code: 'quorum-not-met' })
    assert.equal((await verifyCheckpointNote(opensslSuite, policy, certificate)).cosigners.length, 2)
    const note = parseNote(certificate)
    const again = await signCosignature(bob.signer, `${ORIGIN}/bob`, checkpoint, TIME + 9)
    const twice = printNote({ ...note, signatures: [...note.signatures, again] })
    await assert.rejects(verify(twice), { code: 'quorum-not-met' })
    const { cosigners } = await verifyCheckpointNote(opensslSuite, policy, twice)
    assert.deepEqual(cosigners[1], { name: 'bob', timestamp: TIME + 2 }, 'the first line of a key counts')
    // The log's line is no cosignature, though the same key made it.
    const logLines = await Promise.all(
      VALIDATORS.map(({ signer }) => signCosignature(signer, ORIGIN, checkpoint, TIME)),
    )
    await assert.rejects(verify(assembleCertificate(checkpoint, logLines)), { code: 'quorum-not-met' })
  })

  it('need a line by the log, and a log that the policy names', async () => {
    const { checkpoint } = await certified(entriesOf(5), [ada, bob, cyd])
    const [, ...cosignatures] = await linesOf(checkpoint, [ada, bob, cyd])
    await assert.rejects(verify(assembleCertificate(checkpoint, cosignatures)), { code: 'no-log-signature' })
    const other = { ...checkpoint, origin: 'audit.example/other' }
    await assert.rejects(verify(assembleCertificate(other, await linesOf(other, [ada, bob, cyd]))), {
      code: 'wrong-origin',
    })
  })

  it('ignore lines by unknown keys, even under a known name or ID', async () => {
    const { certificate } = await certified(entriesOf(5), [ada, bob, cyd])
    const note = parseNote(certificate)
    const line = note.signatures[1]!
    const strangers = [
      { ...line, name: 'stranger' },
      { ...line, keyId: '00000000' },
      { ...line, signature: Uint8Array.of(1), name: 'short' },
    ]
    const more = printNote({ ...note, signatures: [...strangers, ...note.signatures] })
    assert.equal((await verify(more)).cosigners.length, 3)
  })

  it('are refused whole for one bad signature by a known key, also where it is not needed', async () => {
    const { certificate } = await certified(entriesOf(5), [ada, bob, cyd, dee])
    const { text, signatures } = parseNote(certificate)
    for (const [i, line] of signatures.entries()) {
      const signature = line.signature.slice()
      signature[100]! ^= 1
      const bad = printNote({ text, signatures: signatures.with(i, { ...line, signature }) })
      await assert.rejects(verify(bad), { code: 'bad-signature' })
      const more = printNote({ text, signatures: [...signatures, { ...line, signature }] })
      await assert.rejects(verify(more), { code: 'bad-signature' })
    }
  })

  it('are refused with extension lines, which no signature covers', async () => {
    const { certificate } = await certified(entriesOf(5), [ada, bob, cyd])
    const { text, signatures } = parseNote(certificate)
    await assert.rejects(verify(printNote({ text: `${text}extra\n`, signatures })), {
      code: 'bad-checkpoint',
    })
  })

  it('skip keys of types that cannot be checked', async () => {
    const { certificate } = await certified(entriesOf(5), [ada, bob, cyd])
    const { text, signatures } = parseNote(certificate)
    const key = { name: ORIGIN, type: 1, id: '00000009', bytes: new Uint8Array(32) }
    const ed25519 = { name: ORIGIN, keyId: key.id, signature: new Uint8Array(64) }
    const note = printNote({ text, signatures: [ed25519, ...signatures] })
    const mixed = { ...policy, logs: [{ key }, ...policy.logs] }
    assert.equal((await verifyCertificate(opensslSuite, mixed, note)).logTimes[0], TIME)
    const only = { ...policy, logs: [{ key }] }
    await assert.rejects(verifyCertificate(opensslSuite, only, note), { code: 'no-log-signature' })
  })
})

describe('a certificate with several bad signatures', () => {
  it('is refused for the same one whichever is found first', async () => {
    const checkpoint = { origin: ORIGIN, size: 9, root: new Uint8Array(32).fill(5) }
    const note = assembleCertificate(checkpoint, await linesOf(checkpoint, VALIDATORS))
    for (const slowest of [0, 1, 2, 3, 4]) {
      let calls = 0
      const refusing: typeof opensslSuite = {
        ...opensslSuite,
        verify: async () => {
          await new Promise((resolve) => setTimeout(resolve, calls++ === slowest ? 20 : 0))
          return false
        },
      }
      await assert.rejects(verifyCertificate(refusing, policyOf(3), note), {
        message: `The signature of ${ORIGIN} is not valid.`,
      })
    }
  })
})
