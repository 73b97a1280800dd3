import assert from 'node:assert/strict'
import fc from 'fast-check'
import { matches } from '../../src/ledger/pattern.ts'

/** The definition, word by word: exponential, and the twin against which `matches` is judged. */
function naive(pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  if (pattern[0] !== '*')
    return text !== '' && pattern[0] === text[0] && naive(pattern.slice(1), text.slice(1))
  return naive(pattern.slice(1), text) || (text !== '' && naive(pattern, text.slice(1)))
}

describe('permission patterns', () => {
  it('match literal text, and any run of characters where a star stands', () => {
    const yes: [string, string][] = [
      ['/ci/payments', '/ci/payments'],
      ['*', ''],
      ['*', 'anything\nat all'],
      ['/ci/*', '/ci/'],
      ['/ci/*', '/ci/a/b'],
      ['*.failed', 'build.failed'],
      ['a*b*a', 'aba'],
      ['a*b*a', 'axbxbxa'],
      ['*ab*', 'aab'],
      ['**', ''],
      ['a**b', 'ab'],
    ]
    const no: [string, string][] = [
      ['/ci/*', '/ci'],
      ['/ci/*', 'x/ci/'],
      ['/ci', '/ci/'],
      ['', 'a'],
      ['a*a', 'a'],
      ['ab*ba', 'aba'],
      ['a*b*a', 'abab'],
      ['*ab*ab*', 'aab'],
      ['A', 'a'],
      ['é', 'e\u0301'],
    ]
    for (const [pattern, text] of yes) assert.ok(matches(pattern, text), `${pattern} on ${text}`)
    for (const [pattern, text] of no) assert.ok(!matches(pattern, text), `${pattern} on ${text}`)
  })

  it('give no character but the star a meaning', () => {
    for (const character of '.?+[]()|^$\\{}%_') {
      assert.ok(matches(`a${character}b*`, `a${character}b`))
      assert.ok(!matches(`a${character}b`, 'axb'))
      assert.ok(!matches(`a${character}b`, 'ab'))
    }
  })

  it('agree with the definition', () => {
    const word = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), maxLength: 8 })
    fc.assert(
      fc.property(word('ab*'), word('ab'), (pattern, text) => {
        assert.equal(matches(pattern, text), naive(pattern, text))
      }),
      { numRuns: 5_000 },
    )
  })

  it('are quick on patterns made to be slow', () => {
    const start = process.hrtime.bigint()
    assert.ok(!matches(`${'a*'.repeat(500)}b`, 'a'.repeat(1_024)))
    assert.ok(!matches(`*${'ab*'.repeat(300)}c*`, 'ab'.repeat(512)))
    assert.ok(process.hrtime.bigint() - start < 500_000_000n)
  })
})
