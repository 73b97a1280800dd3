/** Whose signatures are verified next, when many bring many. */
import assert from 'node:assert/strict'
import { Turns } from '../../node/turns.ts'

const LIMITS = {
  atOnce: 1,
  perSource: { entries: 10, bytes: 1_000 },
  total: { entries: 25, bytes: 10_000 },
}

function setUp() {
  const turns = new Turns(() => new Error('overloaded'), LIMITS)
  const done: string[] = []
  const refused: string[] = []
  const ends: (() => void)[] = []
  const bring = (name: string, label: string, part?: string, bytes = 1) =>
    turns
      .run({ name, part, known: name.startsWith('token') }, bytes, () => {
        done.push(label)
        return new Promise<void>((resolve) => ends.push(resolve))
      })
      .catch(() => void refused.push(label))
  const drain = async () => {
    for (let i = 0; i < 200; i++) {
      for (const end of ends.splice(0)) end()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return { turns, done, refused, bring, drain }
}

describe('turns of verification', () => {
  it('go round the sources, and within one round its connections', async () => {
    const { done, bring, drain } = setUp()
    for (let i = 0; i < 5; i++) void bring('10.0.0.1', `crowd ${i}`, 'a')
    void bring('10.0.0.1', 'alone', 'b')
    void bring('token ci', 'ci 0')
    void bring('token ci', 'ci 1')
    await drain()
    assert.deepEqual(done, ['crowd 0', 'crowd 1', 'ci 0', 'alone', 'ci 1', 'crowd 2', 'crowd 3', 'crowd 4'])
  })

  it('have room for each source, and a connection that brings little keeps its place', async () => {
    const { turns, done, refused, bring, drain } = setUp()
    for (let i = 0; i < 30; i++) void bring('10.0.0.1', `crowd ${i}`, 'a')
    void bring('10.0.0.1', 'alone', 'b')
    void bring('token ci', 'ci')
    assert.ok(turns.waiting <= 12)
    await drain()
    assert.ok(done.includes('alone') && done.includes('ci'))
    assert.equal(refused.length, 20)
    assert.ok(refused.every((label) => label.startsWith('crowd')))
    assert.equal(turns.waiting, 0)
  })

  it('are bounded in all, at the cost of who has most, and by bytes', async () => {
    const { turns, refused, done, bring, drain } = setUp()
    for (let source = 0; source < 40; source++)
      for (let i = 0; i < 5; i++) void bring(`10.0.0.${source}`, `${source} ${i}`)
    assert.equal(turns.waiting, LIMITS.total.entries)
    void bring('token ci', 'ci')
    void bring('10.1.0.1', 'large', undefined, 1_001)
    await drain()
    assert.ok(done.includes('ci'))
    assert.ok(refused.includes('large'))
  })

  it('go on when one fails', async () => {
    const turns = new Turns(() => new Error('overloaded'), LIMITS)
    const failed = turns.run({ name: 'a', known: true }, 1, () => Promise.reject(new Error('broken')))
    const good = turns.run({ name: 'a', known: true }, 1, async () => 'good')
    await assert.rejects(failed, /broken/)
    assert.equal(await good, 'good')
  })
})
