import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { fromUtf8, toHex, utf8 } from '../src/bytes.ts'
import { FormatError, QatError } from '../src/errors.ts'
import {
  array,
  canonicalJson,
  count,
  fields,
  formatInstant,
  instant,
  type Json,
  object,
  oneOf,
  parseCanonicalJson,
  parseJson,
  text,
  texts,
} from '../src/json.ts'
import { JSON_DEPTH_MAX } from '../src/limits.ts'
import { describeShared } from './support/shared.ts'

const MAX = 100_000
const parse = (input: string) => parseJson(input, MAX)
const refused = (code: string) => (error: unknown) => error instanceof FormatError && error.code === code

describe('JSON', () => {
  it('reads what JSON.parse reads', () => {
    const values = [
      'null',
      ' true ',
      '-0.5e-3',
      '"\\u00e9\\n"',
      '[]',
      '{}',
      '{"a":[{"a":1},{"a":2}],"b":"a"}',
      '\t[1 , 2]\r\n',
    ]
    for (const input of values) {
      assert.deepEqual(parse(input), JSON.parse(input), input)
      assert.deepEqual(parseJson(utf8(input), MAX), JSON.parse(input), input)
    }
  })

  it('refuses a name that stands twice, however it is spelled', () => {
    const twice = [
      '{"a":1,"a":1}',
      '{"a":1,"b":2,"a":3}',
      '{"a":1,"\\u0061":2}',
      '{"\\u00e9":1,"é":2}',
      '{"/":1,"\\/":2}',
      '{"x":{"a":[{}],"a":2}}',
      '[{"a":{"b":1},"c":[1,{"d":2}],"a":3}]',
      '{"":1,"":2}',
      '{"__proto__":1,"__proto__":2}',
      '{"a\\\\":1,"a\\\\":2}',
      '{ "a" : 1 , "a" : 2 }',
    ]
    for (const input of twice) assert.throws(() => parse(input), refused('json-duplicate-key'), input)
  })

  it('takes one name in different objects, and values that look like names', () => {
    for (const input of [
      '{"a":{"a":{"a":1}}}',
      '[{"a":1},{"a":1}]',
      '{"a":"a","b":["a","a","b"]}',
      '{"a\\"":1,"a":2}',
      '{"a":"\\",\\"a\\":","b":1}',
      '{"a\\\\":1,"a":2}',
    ]) {
      assert.deepEqual(parse(input), JSON.parse(input))
    }
  })

  it('refuses text that is not JSON', () => {
    for (const input of [
      '',
      ' ',
      '{',
      '}',
      '[1,]',
      '{"a":1,}',
      '{a:1}',
      "'a'",
      '"a',
      '"a\\"',
      '"\\x"',
      '"\u0000"',
      '"a\nb"',
      '01',
      '+1',
      '.5',
      '1.',
      'NaN',
      'Infinity',
      'nul',
      '1 2',
      '{} {}',
      '[}',
      '// a\n1',
      '{"a" "b"}',
      '\ufeff{}',
    ]) {
      assert.throws(() => parse(input), FormatError, JSON.stringify(input))
    }
  })

  it('refuses lone surrogates, written or escaped, in names and values', () => {
    for (const input of ['"\\ud800"', '"\\udc00\\ud800"', '{"\\ud83d":1}', '["a\\udfff"]', '"\ud800"']) {
      assert.throws(() => parse(input), refused('bad-utf8'), input)
    }
    assert.equal(parse('"\\ud83d\\ude00"'), '\u{1f600}')
  })

  it('refuses bytes that are not UTF-8', () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xe2, 0x82],
    ]) {
      assert.throws(() => parseJson(Uint8Array.from(bytes), MAX), refused('bad-utf8'))
    }
  })

  it('refuses numbers beyond IEEE doubles, which JSON.parse makes Infinity', () => {
    for (const input of ['1e309', '-1e309', `[${'9'.repeat(400)}]`, '1e99999999']) {
      assert.throws(() => parse(input), refused('bad-field'), input)
    }
    assert.equal(parse('1.7976931348623157e308'), Number.MAX_VALUE)
    assert.equal(parse('1e-400'), 0)
  })

  it('refuses nesting beyond its limit, and reads what reaches it', () => {
    const nested = (depth: number) => `${'[{"a":'.repeat(depth / 2)}1${'}]'.repeat(depth / 2)}`
    assert.doesNotThrow(() => parse(nested(JSON_DEPTH_MAX)))
    assert.throws(() => parse(nested(JSON_DEPTH_MAX + 2)), refused('json-too-deep'))
    assert.throws(() => parse('['.repeat(MAX)), refused('json-too-deep'))
    assert.deepEqual(
      parse(`[${'[],'.repeat(200)}[]]`),
      Array.from({ length: 201 }, () => []),
    )
  })

  it('refuses input over its bound, counted in bytes', () => {
    assert.equal(parseJson('"aé"', 5), 'aé')
    for (const input of ['"aé"', utf8('"aé"'), '"ab "']) {
      assert.throws(() => parseJson(input, 4), refused('too-large'))
    }
  })

  it('keeps names of the prototype as plain members', () => {
    const value = parse('{"__proto__":{"admin":true},"constructor":1,"toString":2}') as {
      [name: string]: Json
    }
    assert.deepEqual(Object.keys(value), ['__proto__', 'constructor', 'toString'])
    assert.equal(Object.getPrototypeOf(value), Object.prototype)
    assert.equal(value.admin, undefined)
    assert.equal(fromUtf8(canonicalJson(value)), '{"__proto__":{"admin":true},"constructor":1,"toString":2}')
    assert.throws(() => fields(value, 'x', []), refused('unknown-field'))
    assert.throws(() => fields({}, 'x', ['toString']), refused('missing-field'))
  })

  it('takes time linear in the input', () => {
    const hostile = [
      `"${'\\\\'.repeat(200_000)}"`,
      `"${'\\"'.repeat(200_000)}"`,
      `[${'1,'.repeat(200_000)}1]`,
      '1'.repeat(300),
    ]
    const start = process.hrtime.bigint()
    for (const input of hostile) parseJson(input, 1_000_000)
    assert.ok(process.hrtime.bigint() - start < 2_000_000_000n)
  })

  it('agrees with JSON.parse and JSON.stringify on any value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const input = JSON.stringify(value)
        assert.deepEqual(parse(input), JSON.parse(input))
      }),
    )
  })

  it('throws nothing but FormatError, whatever the text', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '\\u',
      'd800',
      '0',
      '-',
      'e',
      '.',
      'a',
      'true',
      'null',
      ' ',
      '\u0000',
      '\ud800',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(token, { maxLength: 40 }).map((t) => t.join('')),
          fc.string({ unit: 'binary' }),
        ),
        (input) => {
          let native: unknown
          try {
            native = JSON.parse(input)
          } catch {
            native = undefined
          }
          try {
            assert.deepEqual(parse(input), native)
          } catch (error) {
            assert.ok(error instanceof FormatError, String(error))
          }
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('canonical JSON (RFC 8785)', () => {
  const canonical = (input: string) => parseCanonicalJson(utf8(input), MAX)

  it('is the one spelling that is read', () => {
    for (const input of [
      '{"a":1,"b":[true,null,"é"]}',
      '"\\u0001\\n"',
      '1e+21',
      '{"\u20ac":1,"\ud83d\ude00":2,"\ufb33":3}',
    ]) {
      assert.equal(fromUtf8(canonicalJson(canonical(input))), input)
    }
    for (const input of [
      ' {}',
      '{}\n',
      '{"a": 1}',
      '{"b":1,"a":2}',
      '1.0',
      '-0',
      '1e21',
      '1E+21',
      '100000000000000000000000',
      '12345678901234567890',
      '"\\u0041"',
      '"\\/"',
      '"\\u000A"',
      '"\\u00e9"',
      // By UTF-16 code units the astral character, d83d, stands before U+FB33; by code points it would not.
      '{"\ufb33":1,"\ud83d\ude00":2}',
    ]) {
      assert.throws(() => canonical(input), refused('json-not-canonical'), input)
    }
  })

  it('does not exist for what JSON cannot say', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, '\ud800', undefined, { a: ['\udc00'] }]) {
      assert.throws(() => canonicalJson(value as Json), refused('bad-field'))
    }
  })

  it('survives a round trip', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const bytes = canonicalJson(value as Json)
        assert.equal(toHex(canonicalJson(parseCanonicalJson(bytes, MAX))), toHex(bytes))
        assert.deepEqual(parseJson(bytes, MAX), JSON.parse(JSON.stringify(value)))
      }),
    )
  })
})

describeShared('vectors/jcs-rfc8785/testdata', 'the vectors of RFC 8785', (folder) => {
  for (const name of readdirSync(new URL('input/', folder))) {
    it(name, () => {
      const read = (path: string) => readFileSync(new URL(path, folder))
      const canonical = canonicalJson(parseJson(read(`input/${name}`), MAX))
      assert.equal(fromUtf8(canonical), read(`output/${name}`).toString())
      const hex = read(`outhex/${name.replace('.json', '.txt')}`)
        .toString()
        .replace(/\s/g, '')
      assert.equal(toHex(canonical), hex)
      assert.equal(toHex(canonicalJson(parseCanonicalJson(canonical, MAX))), hex)
    })
  }
})

describe('typed access to JSON', () => {
  const bad = (read: () => unknown) => assert.throws(read, refused('bad-field'))

  it('takes objects with the fields asked for and no others', () => {
    assert.deepEqual(fields({ a: 1, b: 2 }, 'x', ['a'], ['b']), { a: 1, b: 2 })
    assert.deepEqual(fields({ a: 1 }, 'x', ['a'], ['b']), { a: 1 })
    assert.throws(() => fields({ b: 2 }, 'x', ['a'], ['b']), refused('missing-field'))
    assert.throws(() => fields({ a: 1, c: 3 }, 'x', ['a'], ['b']), refused('unknown-field'))
    for (const value of [null, [], 'a', 1, true, undefined]) bad(() => object(value, 'x'))
  })

  it('bounds lists', () => {
    assert.deepEqual(array([1, 2], 'x', 1, 2), [1, 2])
    for (const value of [[], [1, 2, 3], { length: 1 }, '1', null]) bad(() => array(value, 'x', 1, 2))
  })

  it('bounds texts in bytes and refuses control characters and noncharacters', () => {
    assert.equal(text('é', 'x', 2), 'é')
    assert.deepEqual(texts(['a', 'b'], 'x', 1, 2, 1), ['a', 'b'])
    for (const value of ['', 'éa', 'abc', 5, null, undefined, ['a']]) bad(() => text(value, 'x', 2))
    for (const code of [0, 9, 10, 0x1f, 0x7f, 0x85, 0x9f, 0xfdd0, 0xfffe, 0xffff, 0x1fffe, 0x10ffff]) {
      bad(() => text(`a${String.fromCodePoint(code)}`, 'x', 10))
    }
    for (const code of [0x20, 0x7e, 0xa0, 0x2028, 0xfffd, 0x1f600]) {
      assert.ok(text(String.fromCodePoint(code), 'x', 10))
    }
    bad(() => texts(['a', 'b\n'], 'x', 1, 2, 10))
  })

  it('counts in whole numbers up to 2^53 - 1', () => {
    for (const value of [0, 1, Number.MAX_SAFE_INTEGER]) assert.equal(count(value, 'x'), value)
    for (const value of [-1, -0, 0.5, 2 ** 53, '1', null, undefined]) bad(() => count(value, 'x'))
  })

  it('takes one of a list of words', () => {
    assert.equal(oneOf('a', 'x', ['a', 'b']), 'a')
    for (const value of ['c', 'constructor', 0, null, undefined]) bad(() => oneOf(value, 'x', ['a', 'b']))
  })

  it('reads instants in their one spelling, from 1970 to 9999', () => {
    for (const value of [
      '1970-01-01T00:00:00.000Z',
      '2026-01-31T12:00:00.123Z',
      '9999-12-31T23:59:59.999Z',
    ]) {
      assert.equal(formatInstant(instant(value, 'x')), value)
    }
    for (const value of [
      '2026-01-31T12:00:00Z',
      '2026-01-31T12:00:00.000+00:00',
      '2026-01-31 12:00:00.000Z',
      '2026-02-30T12:00:00.000Z',
      '2026-01-31T24:00:00.000Z',
      '2026-01-31t12:00:00.000z',
      '+010000-01-01T00:00:00.000Z',
      '-000001-01-01T00:00:00.000Z',
      '1969-12-31T23:59:59.999Z',
      'Sat, 31 Jan 2026 12:00 GMT',
      1_769_860_800_000,
      null,
    ]) {
      bad(() => instant(value, 'x'))
    }
  })

  it('throws only typed errors', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const read of [
          object,
          count,
          instant,
          (v: Json, w: string) => text(v, w, 10),
          (v: Json, w: string) => array(v, w, 0, 3),
        ]) {
          try {
            read(value as Json, 'x')
          } catch (error) {
            assert.ok(error instanceof QatError)
          }
        }
      }),
    )
  })
})
