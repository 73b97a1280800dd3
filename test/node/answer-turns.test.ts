/** Turns of each peer: bounded, in order, and in no other peer's way. */
import assert from 'node:assert/strict'
import { AnswerTurns } from '../../node/net/answer-turns.ts'

const LIMITS = { atOnce: 2, waitingMax: 3 }

function setUp() {
  const turns = new AnswerTurns(LIMITS)
  const running = new Map<string, PromiseWithResolvers<string>>()
  const ask = (peer: string, name: string) =>
    turns.run(peer, () => {
      const work = Promise.withResolvers<string>()
      running.set(name, work)
      return work.promise
    })
  const names = () => [...running.keys()]
  return { turns, running, ask, names }
}

describe('turns of a peer', () => {
  it('begin a few at a time, and the others in order as these end', async () => {
    const { turns, running, ask, names } = setUp()
    const asked = ['a', 'b', 'c', 'd'].map((name) => ask('peer', name))
    await Promise.resolve()
    assert.deepEqual(names(), ['a', 'b'])
    running.get('b')!.resolve('answer')
    assert.equal(await asked[1], 'answer')
    assert.deepEqual(names(), ['a', 'b', 'c'])
    for (const name of ['a', 'c']) running.get(name)!.resolve(name)
    await asked[2]
    running.get('d')!.resolve('d')
    assert.deepEqual(await Promise.all(asked), ['a', 'answer', 'c', 'd'])
    assert.equal(turns.size, 0)
  })

  it('pass on when the work fails', async () => {
    const { turns, running, ask } = setUp()
    const asked = ['a', 'b', 'c'].map((name) => ask('peer', name))
    await Promise.resolve()
    running.get('a')!.reject(new Error('failed'))
    await assert.rejects(asked[0]!, /failed/)
    running.get('b')!.resolve('b')
    running.get('c')!.resolve('c')
    await Promise.all(asked.slice(1))
    assert.equal(turns.size, 0)
  })

  it('are refused when too many wait, and other peers have theirs', async () => {
    const { ask, names } = setUp()
    for (let i = 0; i < 5; i++) void ask('greedy', `greedy ${i}`)
    await assert.rejects(ask('greedy', 'greedy 5'), /too many/)
    void ask('other', 'other')
    await Promise.resolve()
    assert.deepEqual(names(), ['greedy 0', 'greedy 1', 'other'])
  })
})
