/** What a node does about entries that wait too long. */
import assert from 'node:assert/strict'
import { Patience } from '../../node/core/patience.ts'
import { Pool } from '../../node/core/pool.ts'
import { entryOf } from '../ledger/fixture.ts'

describe('an entry that waits too long', () => {
  let now: number
  let shown: string[][]
  let complaints: number
  let pool: Pool
  let patience: Patience
  let size: number
  let finalSize: number

  beforeEach(() => {
    now = 0
    shown = []
    complaints = 0
    size = finalSize = 0
    pool = new Pool()
    patience = new Patience({
      pool,
      clock: { elapsed: () => now },
      size: () => size,
      finalSize: () => finalSize,
      show: (entries) => shown.push(entries.map(({ id }) => id)),
      complain: () => complaints++,
    })
  })

  function wait(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      now += 1_000
      patience.look()
    }
  }

  it('is shown to the others, and then the leader is complained of', async () => {
    const entry = await entryOf()
    pool.add(entry)
    patience.follow('b')
    patience.look()
    wait(5)
    assert.deepEqual([shown, complaints], [[], 0])
    wait(1)
    assert.deepEqual([shown, complaints], [[[entry.id]], 0])
    wait(5)
    assert.deepEqual([shown, complaints], [[[entry.id]], 1])
  })

  it('is shown where no leader is known, too, and again, as the others may have one', async () => {
    const entry = await entryOf()
    pool.add(entry)
    patience.look()
    wait(20)
    assert.deepEqual([shown, complaints], [[[entry.id], [entry.id]], 0])
  })

  it('is shown when others before it have been ordered, however many there were', async () => {
    const entries = await Promise.all(Array.from({ length: 70 }, (_, i) => entryOf({ id: `event-${i}` })))
    for (const entry of entries) pool.add(entry)
    patience.look()
    wait(6)
    assert.equal(shown.flat().length, 64)
    for (const id of shown.flat()) pool.remove(id)
    wait(1)
    assert.equal(new Set(shown.flat()).size, 70)
  })

  it('is one that is ordered and does not become final, however little of what follows does', () => {
    patience.follow('b')
    const orders = (seconds: number, final: () => void) => {
      for (let i = 0; i < seconds; i++) {
        size += 10
        final()
        wait(1)
      }
    }
    orders(30, () => {
      finalSize = size - 10
    })
    assert.equal(complaints, 0, 'the newest is not final yet, and each becomes so')
    orders(25, () => {
      finalSize += 1
    })
    assert.ok(complaints > 0, 'a little of it becomes final now and then')
    finalSize = size
    wait(1)
    complaints = 0
    wait(20)
    assert.equal(complaints, 0)
    size += 1
    wait(9)
    patience.follow('c')
    wait(9)
    assert.equal(complaints, 0, 'another leader has its time')
    wait(2)
    assert.ok(complaints > 0)
  })
})
