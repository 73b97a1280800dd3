/** Native base64 and that of `src/` are one: they write the same texts, and refuse the same ones. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { nativeBase64, useNativeCode } from '../../node/crypto/native.ts'
import {
  type Base64Codec,
  fromBase64,
  fromBase64Url,
  toBase64,
  toBase64Url,
  useBase64,
} from '../../src/base64.ts'
import { toHex } from '../../src/bytes.ts'
import { FormatError } from '../../src/errors.ts'

/** What `read` makes of `text`, in hex, or the code with which it refuses it. */
function outcome(codec: Base64Codec | undefined, read: (text: string) => Uint8Array, text: string): string {
  useBase64(codec)
  try {
    return toHex(read(text))
  } catch (error) {
    assert.ok(error instanceof FormatError)
    return error.code
  }
}

function agree(text: string): string {
  const plain = outcome(undefined, fromBase64, text)
  assert.equal(outcome(nativeBase64, fromBase64, text), plain)
  assert.equal(outcome(nativeBase64, fromBase64Url, text), outcome(undefined, fromBase64Url, text))
  return plain
}

describe('native base64', () => {
  after(useNativeCode)

  it('writes and reads what the plain one does', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        useBase64(undefined)
        const [text, url] = [toBase64(bytes), toBase64Url(bytes)]
        useBase64(nativeBase64)
        assert.deepEqual([toBase64(bytes), toBase64Url(bytes)], [text, url])
        assert.equal(agree(text), toHex(bytes))
        assert.deepEqual(fromBase64Url(url), bytes)
      }),
    )
  })

  it('refuses every other spelling', () => {
    const wrong = [
      'A',
      'AA',
      'AAA',
      'AA=',
      'A===',
      '====',
      'AB==',
      'AAB=',
      'AA=A',
      'AAAA====',
      ' AAA',
      'AAA\n',
    ]
    for (const text of [...wrong, 'AA-_', 'AA\u0141A', '\u2014AAA', 'AA\0A', 'AAAA AAA']) {
      assert.equal(agree(text), 'bad-base64')
    }
  })

  it('agrees on texts that are almost base64', () => {
    const digit = fc.constantFrom('A', 'B', 'Q', 'g', 'w', '8', '+', '/', '-', '_', '=', ' ', '\n', '\u00e9')
    fc.assert(
      fc.property(fc.string({ unit: digit, maxLength: 12 }), (text) => void agree(text)),
      { numRuns: 2_000 },
    )
  })

  it('gives memory of its own', () => assert.equal(fromBase64('AAAA').buffer.byteLength, 3))
})
