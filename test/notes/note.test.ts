import assert from 'node:assert/strict'
import fc from 'fast-check'
import { QatError } from '../../src/errors.ts'
import { parseCheckpoint, printCheckpoint } from '../../src/notes/checkpoint.ts'
import { parseNote, parseSignatureLine, printNote } from '../../src/notes/note.ts'
import { parseTlogProof, printTlogProof } from '../../src/notes/tlog-proof.ts'
import { checkKeyName, noteKeyId, parseVkey, printVkey } from '../../src/notes/vkey.ts'
import { certified, entriesOf, VALIDATORS } from './fixture.ts'

const refuses = (run: () => unknown, code?: string) =>
  assert.throws(run, (error) => error instanceof QatError && (code === undefined || error.code === code))

/** Runs a parser on random text and on `sample` changed: only typed errors, and prints are equal. */
function fuzz(sample: string, roundTrip: (text: string) => string): void {
  const mutated = fc
    .tuple(fc.nat(), fc.nat({ max: 3 }), fc.string({ unit: 'binary', maxLength: 3 }))
    .map(([at, cut, put]) => {
      const i = at % (sample.length + 1)
      return sample.slice(0, i) + put + sample.slice(i + cut)
    })
  const words = fc.constantFrom(...sample.split(/(?<=\n)/), '\n', '\u2014 ', 'extra AA==\n', '\ud800', '=')
  const built = fc.array(words, { maxLength: 12 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(fc.oneof(mutated, built, fc.string({ unit: 'binary' })), (text) => {
      try {
        assert.equal(roundTrip(text), text)
      } catch (error) {
        if (!(error instanceof QatError)) throw error
      }
    }),
    { numRuns: 2_000 },
  )
}

const NOTE = 'text\n\nmore text\n\n\u2014 example.org/a AAAAAQI=\n\u2014 \u00fcber dcccf9ec\n'

describe('signed notes', () => {
  it('split at the last empty line into text and signatures', () => {
    const note = parseNote(NOTE)
    assert.equal(note.text, 'text\n\nmore text\n')
    assert.deepEqual(note.signatures, [
      { name: 'example.org/a', keyId: '00000001', signature: Uint8Array.of(2) },
      { name: '\u00fcber', keyId: '75c71c7f', signature: Uint8Array.of(0xd7, 0x9c) },
    ])
    assert.equal(printNote(note), NOTE)
  })

  it('have no other spelling', () => {
    const line = '\u2014 a AAAAAQI='
    for (const text of ['', '\n', 'text\n', `text\n${line}\n`, `text\n\n${line}`, 'text\n\n', 'text\n\n\n']) {
      refuses(() => parseNote(text), 'bad-note')
    }
    const lines = [` ${line}`, `${line} `, '- a AAAAAQI=', '\u2014a AAAAAQI=', '\u2014  a AAAAAQI=']
    lines.push('\u2014 a  AAAAAQI=', '\u2014 a', '\u2014 a AAAAAQ==', 'x')
    for (const bad of lines) refuses(() => parseNote(`text\n\n${bad}\n`), 'bad-note')
    for (const bad of [
      '\u2014 a AAAAAQJ=',
      '\u2014 a AAAAAQI',
      '\u2014 a AAAA=AQI',
      '\u2014 a AAA\t',
      `${line}\r`,
    ]) {
      refuses(() => parseNote(`text\n\n${bad}\n`), 'bad-base64')
    }
    for (const name of ['a+b', 'a\u00a0b', 'a\u2003', '\u3000', 'a\u0085']) {
      refuses(() => parseNote(`text\n\n\u2014 ${name} AAAAAQI=\n`), 'bad-key')
    }
    for (const text of ['a\tb\n', 'a\u0000\n', 'a\ud800\n'])
      refuses(() => parseNote(`${text}\n${line}\n`), 'bad-note')
  })

  it('are read with 64 signatures and refused with more, or beyond their length', () => {
    const line = '\u2014 a AAAAAQI=\n'
    assert.equal(parseNote(`text\n\n${line.repeat(64)}`).signatures.length, 64)
    refuses(() => parseNote(`text\n\n${line.repeat(65)}`), 'too-large')
    refuses(() => parseNote(`${'x'.repeat(262_144)}\n\n${line}`), 'too-large')
    refuses(() => parseNote(`${'\u2014'.repeat(100_000)}\n\n${line}`), 'too-large')
  })

  it('are not printed if they could not be read', () => {
    const good = parseSignatureLine('\u2014 a AAAAAQI=')
    refuses(() => printNote({ text: 'text', signatures: [good] }), 'bad-note')
    refuses(() => printNote({ text: 'text\n', signatures: [] }), 'bad-note')
    refuses(() => printNote({ text: 'a\tb\n', signatures: [good] }), 'bad-note')
    refuses(() => printNote({ text: 'text\n', signatures: [{ ...good, name: 'a b' }] }), 'bad-key')
    refuses(() => printNote({ text: 'text\n', signatures: [{ ...good, keyId: 'AAAAAAAA' }] }), 'bad-hex')
  })

  it('survive any input', () => fuzz(NOTE, (text) => printNote(parseNote(text))))
})

describe('verifier keys', () => {
  const ed25519 = 'example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx'
  const { bytes } = VALIDATORS[0]!.signer.publicKey
  const ours = printVkey({ name: 'x', type: 6, id: noteKeyId('x', 6, bytes), bytes })

  it('of other types are carried along', () => {
    const key = parseVkey(ed25519)
    assert.deepEqual([key.name, key.type, key.id], ['example.com/log/testdata', 1, '33d7b496'])
    assert.equal(noteKeyId(key.name, key.type, key.bytes), key.id)
    assert.equal(printVkey(key), ed25519)
    assert.equal(parseVkey('a+00000000+/wE=').type, 0xff)
  })

  it('of type 0x06 have the right ID and length', () => {
    assert.equal(printVkey(parseVkey(ours)), ours)
    const id = ours.slice(2, 10)
    refuses(() => parseVkey(`y+${id}+${ours.slice(11)}`), 'bad-key')
    refuses(() => parseVkey(`x+00000000+${ours.slice(11)}`), 'bad-key')
    const short = new Uint8Array(2)
    refuses(
      () => parseVkey(printVkey({ name: 'x', type: 6, id: noteKeyId('x', 6, short), bytes: short })),
      'bad-key',
    )
  })

  it('have no other spelling', () => {
    for (const bad of [
      '',
      'a',
      'a+00000000',
      'a+00000000+',
      '+00000000+AQE=',
      'a+0000000+AQE=',
      'a+0000000A+AQE=',
    ]) {
      refuses(() => parseVkey(bad), 'bad-key')
    }
    for (const bad of ['a b+00000000+AQE=', 'a\n+00000000+AQE=', 'a+00000000+AQ==']) {
      refuses(() => parseVkey(bad), 'bad-key')
    }
    for (const name of ['', 'a b', 'a+b', 'a\u0001', '\ud800']) refuses(() => checkKeyName(name), 'bad-key')
    refuses(() => parseVkey('a+00000000+AQF='), 'bad-base64')
    fuzz(ed25519, (text) => printVkey(parseVkey(text)))
  })
})

const CHECKPOINT = 'audit.example/payments\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\n'

describe('checkpoints', () => {
  it('are origin, size and root, and what foreign logs add', () => {
    const { extensions, ...checkpoint } = parseCheckpoint(`${CHECKPOINT}one\ntwo\n`)
    assert.deepEqual(extensions, ['one', 'two'])
    assert.equal(checkpoint.origin, 'audit.example/payments')
    assert.equal(checkpoint.size, 15)
    assert.equal(printCheckpoint(checkpoint), CHECKPOINT)
  })

  it('have no other spelling', () => {
    const root = 'rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs='
    for (const bad of [
      '',
      'o\n1\n',
      `o\n1\n${root}`,
      `\n1\n${root}\n`,
      `o\n1\n${root}\n\n`,
      `o\n1\n${root}\n\nx\n`,
    ]) {
      refuses(() => parseCheckpoint(bad), 'bad-checkpoint')
    }
    for (const size of [
      '01',
      '-1',
      '1.0',
      '1e3',
      ' 1',
      '9007199254740992',
      '18446744073709551615',
      '0x1',
      'ten',
    ]) {
      refuses(() => parseCheckpoint(`o\n${size}\n${root}\n`), 'bad-integer')
    }
    refuses(() => parseCheckpoint('o\n1\nAAAA\n'), 'bad-checkpoint')
    refuses(() => parseCheckpoint(`o\n1\n${root.slice(0, -2)}t=\n`), 'bad-base64')
    fuzz(CHECKPOINT, (text) => {
      const { extensions, ...checkpoint } = parseCheckpoint(text)
      return printCheckpoint(checkpoint) + extensions.map((line) => `${line}\n`).join('')
    })
  })

  it('are not printed if they could not be read', () => {
    const checkpoint = parseCheckpoint(CHECKPOINT)
    for (const origin of ['', 'a\nb', '\n', CHECKPOINT.trimEnd(), `${CHECKPOINT}b`]) {
      assert.throws(() => printCheckpoint({ ...checkpoint, origin }), { name: 'FormatError' })
    }
    refuses(() => printCheckpoint({ ...checkpoint, size: 1.5 }), 'bad-integer')
    refuses(() => printCheckpoint({ ...checkpoint, root: new Uint8Array(31) }), 'bad-checkpoint')
  })
})

describe('tlog-proof files', () => {
  const hash = 'gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ='
  const golden = `c2sp.org/tlog-proof@v1\nindex 73894\n${hash}\n${hash}\n\n${CHECKPOINT}\n\u2014 a AAAAAQI=\n`

  it('are read and written as the specification shows them', () => {
    const proof = parseTlogProof(golden)
    assert.equal(proof.index, 73_894)
    assert.equal(proof.path.length, 2)
    assert.equal(proof.checkpoint, `${CHECKPOINT}\n\u2014 a AAAAAQI=\n`)
    assert.ok(!('unauthenticatedExtra' in proof))
    assert.equal(printTlogProof(proof), golden)
    assert.deepEqual(parseTlogProof('c2sp.org/tlog-proof@v1\nindex 0\n\nx').path, [])
  })

  it('may carry extra data, which says so in its name', () => {
    const text = golden.replace('index', 'extra AQID\nindex')
    const proof = parseTlogProof(text)
    assert.deepEqual(proof.unauthenticatedExtra, Uint8Array.of(1, 2, 3))
    assert.equal(printTlogProof(proof), text)
  })

  it('have no other spelling', () => {
    const head = 'c2sp.org/tlog-proof@v1\n'
    const bad = ['', 'x', `${head}index 0\n`, `${head}index 0\n\n`, `${head}\nx`, ` ${head}index 0\n\nx`]
    bad.push(`${head}index 0\nextra AQID\n\nx`, `${head}extra \nindex 0\n\nx`, `${head}index 0\nAAAA\n\nx`)
    bad.push(
      `${head}index 0\n${`${hash}\n`.repeat(64)}\nx`,
      `${head}index 01\n\nx`,
      `${head}index 9007199254740992\n\nx`,
    )
    bad.push(`${head}index 0\r\n\nx`, `${head}index  0\n\nx`, `${head}extra AQI\nindex 0\n\nx`)
    for (const text of bad) refuses(() => parseTlogProof(text))
    refuses(() => parseTlogProof(golden + 'x'.repeat(262_144)), 'too-large')
    fuzz(golden, (text) => printTlogProof(parseTlogProof(text)))
  })

  it('are not printed if they could not be read', async () => {
    const { certificate, path } = await certified(entriesOf(3), VALIDATORS)
    const proof = { index: 1, path: path(1), checkpoint: certificate }
    assert.deepEqual(parseTlogProof(printTlogProof(proof)), proof)
    refuses(() => printTlogProof({ ...proof, index: -1 }))
    refuses(() => printTlogProof({ ...proof, path: [new Uint8Array(31)] }))
    refuses(() => printTlogProof({ ...proof, checkpoint: '' }))
    refuses(() => printTlogProof({ ...proof, unauthenticatedExtra: new Uint8Array(0) }))
  })
})
