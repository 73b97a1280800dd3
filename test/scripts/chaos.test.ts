/** What a storm is judged by: the book of promises, and the clock of the time without service. */
import assert from 'node:assert/strict'
import { Availability } from '../../scripts/chaos/availability.ts'
import { Book } from '../../scripts/chaos/book.ts'

const id = (byte: number) => byte.toString(16).padStart(2, '0').repeat(32)

describe('the book of a storm', () => {
  it('keeps the furthest stage, and everybody who promised it', () => {
    const book = new Book()
    const [told, untold, twice] = [book.submit(), book.submit(), book.submit()]
    book.acknowledge(told!, 'pending', 2, id(1))
    book.acknowledge(twice!, 'final', 0, id(3))
    book.acknowledge(twice!, 'ordered', 14, id(3))
    assert.deepEqual(book.acknowledged, { pending: 1, ordered: 0, final: 1 })
    assert.deepEqual([book.events, book.promised], [3, 2])
    assert.deepEqual(
      [...book.promises()],
      [
        { event: told, stage: 'pending', tellers: [2], id: id(1) },
        { event: twice, stage: 'final', tellers: [0, 14], id: id(3) },
      ],
    )
    assert.equal(untold, 1)
  })

  it('knows what the chain holds twice', () => {
    const book = new Book()
    const event = book.submit()
    assert.equal(book.find(event, id(1)), true)
    assert.equal(book.find(event, id(2)), false)
  })

  it('lets a pending entry give way to another with its event, but none that was ordered', () => {
    const book = new Book()
    const pending = book.submit()
    const ordered = book.submit()
    book.acknowledge(pending, 'pending', 0, id(1))
    book.acknowledge(ordered, 'ordered', 0, id(2))
    book.find(pending, id(8))
    book.find(ordered, id(9))
    assert.deepEqual(
      [...book.promises()].map((promise) => promise.id),
      [id(8), id(2)],
    )
  })

  it('counts beyond what one piece of its memory holds', () => {
    const book = new Book()
    for (let i = 0; i < 70_000; i++) book.submit()
    book.acknowledge(69_999, 'final', 1, id(7))
    assert.deepEqual([...book.promises()], [{ event: 69_999, stage: 'final', tellers: [1], id: id(7) }])
  })
})

describe('the time without service', () => {
  let now = 0
  const begin = () => {
    now = 0
    const availability = new Availability(4, 3, () => now)
    availability.begin()
    return availability
  }

  it('is the longest time between two final entries', () => {
    const availability = begin()
    for (const at of [100, 900, 1_000]) {
      now = at
      availability.final()
    }
    now = 1_300
    availability.end()
    now = 9_000
    availability.final()
    assert.deepEqual(availability.longest, { ms: 800, at: 900 })
  })

  it('includes the wait for an entry that never came', () => {
    const availability = begin()
    now = 700
    availability.end()
    assert.deepEqual(availability.longest, { ms: 700, at: 700 })
  })

  it('runs on while a minority is struck, and stops while there is no quorum', () => {
    const availability = begin()
    now = 10
    availability.strike(['alpha'])
    now = 500
    availability.strike(['bravo', 'alpha'])
    assert.equal(availability.usable, 2)
    now = 5_000
    availability.release(['alpha'])
    assert.equal(availability.usable, 2, 'alpha is under another fault still')
    availability.release(['alpha'])
    now = 5_200
    availability.final()
    assert.deepEqual(availability.longest, { ms: 500, at: 500 })
  })
})
