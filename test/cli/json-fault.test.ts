import assert from 'node:assert/strict'
import fc from 'fast-check'
import { jsonFault } from '../../node/cli/json-fault.ts'

const isJson = (text: string) => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('the place at which a text stops being JSON', () => {
  it('is named by line, column and character', () => {
    const cases: [string, string | undefined][] = [
      ['{"a": [1, true, null, "x\\u00e9\\n"], "b": {}, "c": []}', undefined],
      ['{\n  "a": 1,\n}', 'line 3, column 1: "}" is not expected'],
      ['{"a": tru}', 'line 1, column 7: "t" is not expected'],
      ["{'a': 1}", 'line 1, column 2: "\'" is not expected'],
      ['{"a": "two\nlines"}', 'line 1, column 11: "\\n" is not expected'],
      ['[1, 2', 'line 1, column 6: the text ends too early'],
      ['"open', 'line 1, column 6: the text ends too early'],
      ['[01]', 'line 1, column 2: "0" is not expected'],
      ['{}\n{}', 'line 2, column 1: "{" is not expected'],
      ['{"a" 1}', 'line 1, column 6: "1" is not expected'],
      ['', 'line 1, column 1: the text ends too early'],
      ['[1 💥]', 'line 1, column 4: "💥" is not expected'],
    ]
    for (const [text, expected] of cases) assert.equal(jsonFault(text), expected, text)
  })

  it('is somewhere if and only if JSON.parse refuses the text', () => {
    const spaced = fc.tuple(fc.json(), fc.integer({ min: 0, max: 3 })).map(([text, indent]) => {
      return JSON.stringify(JSON.parse(text), undefined, indent)
    })
    const broken = fc
      .tuple(
        spaced,
        fc.nat(),
        fc.nat({ max: 2 }),
        fc.constantFrom('"', '{', ']', ',', ':', '0', '-', '.', 'e', '\\', ' '),
      )
      .map(([text, place, cut, put]) => {
        const at = place % (text.length + 1)
        return text.slice(0, at) + put + text.slice(at + cut)
      })
    fc.assert(
      fc.property(fc.oneof(spaced, broken), (text) => {
        assert.equal(jsonFault(text) === undefined, isJson(text))
      }),
      { numRuns: 2_000 },
    )
  })
})
