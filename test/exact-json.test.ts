import assert from 'node:assert/strict'
import fc from 'fast-check'
import { parseExactJson, parseTwice, SpelledNumber, sameJson } from '../src/exact-json.ts'
import { object, parseJson } from '../src/json.ts'

const MAX = 100_000
const again = (text: string) => JSON.stringify(parseExactJson(text, MAX))

describe('JSON with exact numbers', () => {
  it('writes each number as it was spelled', () => {
    const texts = [
      '{"run":12345678901234567890,"z":-0,"p":1.10}',
      '[1e3,1E3,1e+3,0.0,-0.0,100.00,9007199254740993,5e-324,1e-400,0.30000000000000004]',
      '[{"a":[{"b":1.0}]},1.50]',
      '1.0',
    ]
    for (const text of texts) assert.equal(again(text), text)
  })

  it('makes nothing of its own where a double says the same', () => {
    const { value, exact } = parseTwice('[1,-2.5,1e+21,5e-324,"1.10",null]', MAX)
    assert.equal(exact(), value)
    const parsed = parseTwice('[1.10]', MAX)
    assert.deepEqual(parsed.value, [1.1])
    assert.deepEqual(parsed.exact(), [new SpelledNumber('1.10')])
  })

  it('is refused as other JSON is, and names a number that no double holds and its place', () => {
    assert.throws(() => parseExactJson('{"a":1.0,"a":2}', MAX), { code: 'json-duplicate-key' })
    for (const read of [parseExactJson, parseJson]) {
      assert.throws(() => read('{"a":1,\n "b":-1e400}', MAX), {
        code: 'bad-field',
        message: /^The number -1e400 \(line 2, column 6\)/,
        facts: { number: '-1e400', line: 2, column: 6 },
      })
    }
  })

  it('gives no number for an object', () => {
    assert.throws(() => object(parseExactJson('1.10', MAX), 'It'), { code: 'bad-field' })
  })

  it('is the same where each number has the same decimal value', () => {
    const same = [
      ['1.10', '1.1'],
      ['[1e3]', '[1000.0]'],
      ['{"a":1,"b":[2.0]}', '{"b":[2],"a":1}'],
      ['0.0', '0'],
      ['120e-1', '12'],
    ]
    const other = [
      ['12345678901234567890', '12345678901234567891'],
      ['1.1', '1.10000000000000000001'],
      ['-0', '0'],
      ['-1.0', '1'],
      ['1e-400', '0'],
      ['1', '"1"'],
      ['{"a":1}', '{"a":1,"b":1}'],
      ['{"a":1}', '{"b":1}'],
      ['[1]', '[1,1]'],
      ['[]', '{}'],
      ['null', '{}'],
      ['{"a":null}', '{}'],
    ]
    const compare = ([a, b]: string[]) => sameJson(parseExactJson(a!, MAX), parseExactJson(b!, MAX))
    for (const pair of same) assert.ok(compare(pair) && compare(pair.toReversed()), String(pair))
    for (const pair of other) assert.ok(!compare(pair) && !compare(pair.toReversed()), String(pair))
  })

  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        assert.deepEqual(JSON.parse(again(text)), JSON.parse(text))
        assert.ok(sameJson(parseExactJson(text, MAX), parseExactJson(text, MAX)))
      }),
    )
  })
})
