import assert from 'node:assert/strict'
import fc from 'fast-check'
import { QatError } from '../../src/errors.ts'
import { type Policy, parsePolicy, printPolicy, satisfied } from '../../src/notes/policy.ts'
import { policyOf } from './fixture.ts'

// Short keys of a type we do not check keep these texts readable; the rules are the same for all.
const vkey = (n: number) => `k${n}+0000000${n}+AQ${'ABCDEFGH'[n]}A`
const witnesses = (...names: string[]) => names.map((name, i) => `witness ${name} ${vkey(i)}\n`).join('')
const FIVE = witnesses('x1', 'x2', 'x3', 'y1', 'y2')
const TWO_LEVELS = `log ${vkey(7)} https://log.example/\n${FIVE}group x 2 x1 x2 x3
group y 1 y1 y2\ngroup both 2 x y\nquorum both\n`

const verdict = (text: string, ...names: string[]) => satisfied(parsePolicy(text), new Set(names))
const refused = (text: string, code = 'bad-policy') => assert.throws(() => parsePolicy(text), { code }, text)

describe('trust policies', () => {
  it('are read and written line by line', () => {
    const policy = parsePolicy(TWO_LEVELS)
    assert.equal(printPolicy(policy), TWO_LEVELS)
    assert.deepEqual(policy.groups[0], { name: 'x', threshold: 2, members: ['x1', 'x2', 'x3'] })
    assert.equal(policy.logs[0]!.url, 'https://log.example/')
    assert.equal(policy.quorum, 'both')
  })

  it('allow comments, empty lines, tabs, any order and the words all and any', () => {
    const skipped = '# a comment\n\n \t \n  # another\n'
    const text = `${skipped}${witnesses('a', 'b')}\tgroup\tg  all a\tb \ngroup h any g\nquorum h\n`
    const policy = parsePolicy(`${text}log ${vkey(7)}\n`)
    assert.deepEqual(
      policy.groups.map(({ threshold }) => threshold),
      [2, 1],
    )
    assert.equal(policy.logs.length, 1)
    assert.ok(!verdict(text, 'a') && verdict(text, 'a', 'b'))
  })

  it('count a quorum through nested groups', () => {
    assert.ok(verdict(TWO_LEVELS, 'x1', 'x3', 'y2'))
    assert.ok(!verdict(TWO_LEVELS, 'x1', 'x2', 'x3'))
    assert.ok(!verdict(TWO_LEVELS, 'x1', 'y1', 'y2'))
    assert.ok(!verdict(TWO_LEVELS, 'x', 'y', 'both'), 'names of groups are not witnesses')
    assert.ok(!verdict(TWO_LEVELS, 'stranger'))
    assert.ok(verdict(`${witnesses('a')}quorum a\n`, 'a'))
    assert.ok(verdict('quorum none\n'))
  })

  it('agree with counting by hand on flat groups', () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.subarray(names), (k, present) => {
        const text = `${witnesses(...names)}group g ${k} ${names.join(' ')}\nquorum g\n`
        assert.equal(verdict(text, ...present), present.length >= k)
      }),
    )
  })

  it('let several log lines share one origin, and log and witness share one key', () => {
    const policy = policyOf(3)
    const text = printPolicy(policy)
    assert.deepEqual(parsePolicy(text), policy)
    assert.equal(new Set(policy.logs.map(({ key }) => key.name)).size, 1)
    assert.match(
      text,
      /^log audit\.example\/payments\+[0-9a-f]{8}\+B[A-Za-z0-9+/=]+ https:\/\/ada\.example\/\n/,
    )
    assert.match(text, /\ngroup validators 3 ada bob cyd dee\nquorum validators\n$/)
  })

  it('refuse what is ambiguous, circular, unknown or cut short', () => {
    const two = witnesses('a', 'b')
    for (const text of [
      '',
      '\n',
      'quorum\n',
      'quorum none none\n',
      'quorum none\nquorum none\n',
      'quorum none',
    ]) {
      refused(text)
    }
    refused(`${two}quorum c\n`)
    refused(`quorum a\n${two}`)
    refused(`${two}group g any a g\nquorum g\n`)
    refused(`${two}group g any h\ngroup h any g\nquorum g\n`)
    refused(`${two}group g any a a\nquorum g\n`)
    refused(`${two}group g any a\ngroup h any a b\nquorum h\n`)
    refused(`${two}group g any none\nquorum g\n`)
    refused(`${two}group a any b\nquorum a\n`)
    refused(`${two}group none any b\nquorum none\n`)
    refused(`${two}group g any\nquorum none\n`)
    for (const k of ['0', '3']) refused(`${two}group g ${k} a b\nquorum g\n`)
    for (const k of ['01', '-1', '1.5', 'most']) refused(`${two}group g ${k} a b\nquorum g\n`, 'bad-integer')
    refused(`${two}witness a ${vkey(5)}\nquorum a\n`)
    refused(`${two}witness c ${vkey(0)}\nquorum a\n`)
    refused(`log ${vkey(1)}\nlog other+00000001+${vkey(1).split('+')[2]}\nquorum none\n`)
    refused(`log ${vkey(1)} https://a.example/ more\nquorum none\n`)
    refused('log\nquorum none\n')
    refused('witness w\nquorum none\n')
    refused('allow everything\nquorum none\n')
    refused('log nonsense\nquorum none\n', 'bad-key')
    for (const character of ['\r', '\u0000', '\u007f', '\ud800']) refused(`#${character}\nquorum none\n`)
    refused(`#${'x'.repeat(524_288)}\nquorum none\n`, 'too-large')
  })

  it('are not overwhelmed by depth', () => {
    const chain = Array.from({ length: 20_000 }, (_, i) => `group g${i + 1} any g${i}\n`).join('')
    assert.ok(verdict(`${witnesses('a')}group g0 any a\n${chain}quorum g20000\n`, 'a'))
  })

  it('are not printed if they would read differently', () => {
    const policy = policyOf(3)
    const [witness, ...others] = policy.witnesses
    const bads: Policy[] = ['https://a.example/ b', 'https://a.example/\n# c', '', ' x'].map((url) => ({
      ...policy,
      witnesses: [{ ...witness!, url }, ...others],
    }))
    bads.push({ ...policy, quorum: 'nobody' }, { ...policy, groups: [] })
    for (const bad of bads) assert.throws(() => printPolicy(bad), { code: 'bad-policy' })
  })

  it('survive any input', () => {
    const words = fc.constantFrom(
      'log',
      'witness',
      'group',
      'quorum',
      'none',
      'a',
      'b',
      '2',
      'any',
      ' ',
      '\n',
      vkey(0),
    )
    const lines = fc.constantFrom(...TWO_LEVELS.split(/(?<=\n)/))
    const text = fc.array(fc.oneof(words, lines, fc.string({ unit: 'binary', maxLength: 4 })), {
      maxLength: 20,
    })
    fc.assert(
      fc.property(text, (parts) => {
        try {
          const policy = parsePolicy(parts.join(''))
          assert.deepEqual(parsePolicy(printPolicy(policy)), policy)
        } catch (error) {
          if (!(error instanceof QatError)) throw error
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
