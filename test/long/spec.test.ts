import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { TraceLine } from '../../consensus/spec/trace.ts'
import { toQuint } from '../../consensus/spec/trace.ts'
import { judge, quintIsThere, SPEC, sample } from '../consensus/quint.ts'
import { mutated, SPEC_MUTANTS } from '../consensus/spec-mutants.ts'

const NODES = ['a', 'b', 'c', 'd']
const block = (hash: string, parent: string, term: number, proposer: string) => ({
  hash,
  parent,
  term,
  proposer,
})
const begin: TraceLine = { do: 'begin', voters: NODES, liars: ['d'], quorum: 3, genesis: 'g' }
const X = block('x', 'g', 1, 'a')
const Y = block('y', 'x', 2, 'b')

/** Node a leads, and decides a block with b and the liar d; then b leads, and builds on it. */
const STORY: readonly TraceLine[] = [
  begin,
  { do: 'stand', node: 'a', term: 1, base: 'g' },
  { do: 'vote', node: 'b', term: 1, candidate: 'a', base: 'g' },
  { do: 'elect', node: 'a' },
  { do: 'follow', node: 'b', term: 1, leader: 'a', base: 'g' },
  { do: 'propose', node: 'a', block: X },
  { do: 'write', node: 'a' },
  { do: 'accept', node: 'b', blocks: [X] },
  { do: 'write', node: 'b' },
  { do: 'acknowledge', node: 'b', block: 'x' },
  { do: 'lock', node: 'a', block: 'x' },
  { do: 'say-locked', node: 'a', block: 'x' },
  { do: 'lock', node: 'b', block: 'x' },
  { do: 'say-locked', node: 'b', block: 'x' },
  { do: 'decide', node: 'a', block: 'x' },
  { do: 'restart', node: 'a', term: 1, voted: 1, tip: 'x', lock: 'x' },
  { do: 'stand', node: 'b', term: 2, base: 'x' },
  { do: 'heed', node: 'c', term: 2, candidate: 'b', base: 'x' },
  { do: 'vote', node: 'c', term: 2, candidate: 'b', base: 'x' },
  { do: 'elect', node: 'b' },
  { do: 'follow', node: 'c', term: 2, leader: 'b', base: 'x' },
  { do: 'propose', node: 'b', block: Y },
  { do: 'accept', node: 'c', blocks: [X, Y] },
  { do: 'write', node: 'c' },
  { do: 'acknowledge', node: 'c', block: 'y' },
]

/** The story up to the given line, and then one line that breaks a rule. */
const WRONG: readonly { readonly why: string; readonly after: number; readonly line: TraceLine }[] = [
  {
    why: 'votes twice in a term',
    after: 3,
    line: { do: 'vote', node: 'b', term: 1, candidate: 'd', base: 'g' },
  },
  { why: 'leads with two votes', after: 2, line: { do: 'elect', node: 'a' } },
  {
    why: 'follows without a term certificate',
    after: 2,
    line: { do: 'follow', node: 'c', term: 1, leader: 'a', base: 'g' },
  },
  { why: 'acknowledges before the disk', after: 8, line: { do: 'acknowledge', node: 'b', block: 'x' } },
  { why: 'locks without a certificate', after: 9, line: { do: 'lock', node: 'a', block: 'x' } },
  { why: 'decides with two lock statements', after: 12, line: { do: 'decide', node: 'a', block: 'x' } },
  {
    why: 'loses its vote',
    after: 15,
    line: { do: 'restart', node: 'a', term: 1, voted: 0, tip: 'x', lock: 'x' },
  },
  {
    why: 'loses its lock',
    after: 15,
    line: { do: 'restart', node: 'a', term: 1, voted: 1, tip: 'x', lock: 'g' },
  },
  {
    why: 'votes below its lock',
    after: 16,
    line: { do: 'vote', node: 'a', term: 2, candidate: 'd', base: 'g' },
  },
  { why: 'stands below its lock', after: 16, line: { do: 'stand', node: 'b', term: 2, base: 'g' } },
  { why: 'says so of an earlier term', after: 17, line: { do: 'say-locked', node: 'b', block: 'x' } },
  {
    why: 'shows a block that its honest proposer never made',
    after: 5,
    line: { do: 'accept', node: 'b', blocks: [X] },
  },
  {
    why: 'builds beside its base',
    after: 21,
    line: { do: 'propose', node: 'b', block: block('z', 'g', 2, 'b') },
  },
  {
    why: 'takes blocks of one that it does not follow',
    after: 21,
    line: { do: 'accept', node: 'c', blocks: [X, block('z', 'x', 2, 'd')] },
  },
]

describe('the specification of the ordering', function () {
  this.timeout(60_000)

  before(function () {
    if (quintIsThere()) return
    console.log('    skipped: Quint is not installed')
    this.skip()
  })

  it('holds its invariants in some samples', async () => {
    const { violated, text } = await sample(readFileSync(SPEC, 'utf8'), { samples: 20, steps: 40, seed: '1' })
    assert.deepEqual(violated, [], text)
  })

  it('notices a mistake', async () => {
    const mutant = SPEC_MUTANTS.find(({ why }) => why === 'votes for a base below its lock')!
    const { violated } = await sample(mutated(mutant, readFileSync(SPEC, 'utf8')), {
      samples: 60,
      steps: 40,
      seed: mutant.seed ?? '1',
    })
    assert.deepEqual(violated, ['bases'])
  })

  it('has the place of every mistake once', () => {
    const spec = readFileSync(SPEC, 'utf8')
    for (const mutant of SPEC_MUTANTS) assert.notEqual(mutated(mutant, spec), spec, mutant.why)
  })

  it('accepts a trace of honest nodes, and refuses each that breaks a rule at its line', async () => {
    const traces = [STORY, ...WRONG.map(({ after, line }) => [...STORY.slice(0, after), line])]
    const ends = traces.map((_, index) => traces.slice(0, index + 1).flat().length - 1)
    const { refused, safe } = await judge(traces.flat())
    const verdicts = ends.slice(1).map((end) => refused.includes(end))
    assert.deepEqual(
      WRONG.filter((_, index) => verdicts[index] === false).map(({ why }) => why),
      [],
    )
    assert.deepEqual(refused, ends.slice(1))
    assert.ok(safe)
  })

  it('refuses traces that it cannot read', () => {
    const code = (trace: TraceLine[]) => () => toQuint(trace, './ordering')
    assert.throws(code([]), { code: 'bad-field' })
    assert.throws(code([begin, { ...begin, quorum: 4 } as TraceLine]), { code: 'bad-field' })
    assert.throws(code([begin, { do: 'accept', node: 'a', blocks: [] }]), { code: 'missing-field' })
    const twice = [X, { ...X, term: 2 }]
    assert.throws(code([begin, { do: 'accept', node: 'a', blocks: twice }]), { code: 'bad-field' })
  })
})
