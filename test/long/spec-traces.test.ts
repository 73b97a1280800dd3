/** What the real Raft and driver do in simulated clusters, before the specification of the ordering. */
import assert from 'node:assert/strict'
import type { TraceLine } from '../../consensus/spec/trace.ts'
import { judge, quintIsThere } from '../consensus/quint.ts'
import { traceOf } from '../consensus/sim/simulation.ts'

/** Quint takes a hundredth of a second for a line. */
const LINES = 55
const SEEDS = [...Array(10).keys()]

type Trace = readonly TraceLine[]
type Alteration = { readonly why: string; readonly alter: (trace: Trace) => Trace | undefined }

/** Each spoils a trace so that its last line breaks a rule; undefined if the trace gives no occasion. */
const ALTERATIONS: readonly Alteration[] = [
  {
    why: 'a leader takes office without votes',
    alter: (trace) => {
      const elect = trace.find((line) => line.do === 'elect')
      const stand = trace.find((line) => line.do === 'stand')
      const begin = trace[0]
      if (elect?.do !== 'elect' || stand?.do !== 'stand' || begin?.do !== 'begin') return undefined
      const first = stand.node === elect.node && stand.base === begin.genesis
      return first ? [begin, stand, elect] : undefined
    },
  },
  {
    why: 'a node says in a later term that it is locked',
    alter: (trace) => {
      const said = trace.find((line) => line.do === 'say-locked')
      const begin = trace[0]
      if (said?.do !== 'say-locked' || begin?.do !== 'begin') return undefined
      const later: TraceLine = {
        do: 'heed',
        node: said.node,
        term: 1000,
        candidate: begin.liars[0]!,
        base: begin.genesis,
      }
      return [...trace, later, said]
    },
  },
  {
    why: 'a node votes for a base below its lock',
    alter: (trace) => {
      const lock = trace.find((line) => line.do === 'lock')
      const begin = trace[0]
      if (lock?.do !== 'lock' || begin?.do !== 'begin') return undefined
      const { liars, genesis } = begin
      return [...trace, { do: 'vote', node: lock.node, term: 1000, candidate: liars[0]!, base: genesis }]
    },
  },
  {
    why: 'a restart loses the lock',
    alter: (trace) => {
      const begin = trace[0]
      const at = trace.findIndex(
        (line) => line.do === 'restart' && begin?.do === 'begin' && line.lock !== begin.genesis,
      )
      const restart = trace[at]
      if (restart?.do !== 'restart' || begin?.do !== 'begin') return undefined
      return [...trace.slice(0, at), { ...restart, lock: begin.genesis }]
    },
  },
  {
    why: 'a block is acknowledged before the disk has it',
    alter: (trace) => {
      const at = trace.findIndex((line) => line.do === 'acknowledge')
      const line = trace[at]
      if (line?.do !== 'acknowledge') return undefined
      const before = trace.slice(0, at).filter((each) => each.do !== 'write' || each.node !== line.node)
      return [...before, line]
    },
  },
]

describe('traces of the real code before the specification', function () {
  this.timeout(180_000)

  before(function () {
    if (quintIsThere()) return
    console.log('    skipped: Quint is not installed')
    this.skip()
  })

  it(`accepts ${SEEDS.length} runs of honest nodes`, async () => {
    const traces = await Promise.all(SEEDS.map((seed) => traceOf(seed, { trace: LINES })))
    assert.ok(traces.every(({ length }) => length === LINES))
    assert.deepEqual(await judge(traces.flat()), { refused: [], safe: true })
  })

  it(`accepts ${SEEDS.length} runs with a liar among four, and refuses each that is spoilt at its line`, async () => {
    const traces = await Promise.all(SEEDS.map((seed) => traceOf(seed, { trace: LINES, liars: true })))
    const kinds = new Set(traces.flat().map((line) => line.do))
    for (const kind of ['heed', 'vote', 'follow', 'elect', 'accept', 'lock', 'decide', 'restart'] as const) {
      assert.ok(kinds.has(kind), `no ${kind} in these traces`)
    }
    const spoilt = ALTERATIONS.map(({ why, alter }) => {
      const trace = traces.map(alter).find((each) => each !== undefined)
      assert.ok(trace, `no trace in which ${why}`)
      return trace
    })
    const all = [...traces, ...spoilt]
    const ends = all.map((_, index) => all.slice(0, index + 1).flat().length - 1)
    assert.deepEqual(await judge(all.flat()), { refused: ends.slice(traces.length), safe: true })
  })
})
