/** Who keeps a place when a door is full. */
import assert from 'node:assert/strict'
import { Places } from '../../node/net/places.ts'

function setUp(max = 8, perAddressMax = 4) {
  const closed: string[] = []
  const places = new Places<{ name: string }>({ perAddressMax, max }, ({ name }) => void closed.push(name))
  const come = (name: string, address = '10.0.0.1', claim: 0 | 1 | 2 = 0) => {
    const connection = { name }
    places.take(connection, address, claim)
    return connection
  }
  return { places, closed, come }
}

describe('the places of a door', () => {
  it('go to newcomers; of the same address the idle give way before the busy, and those before the known', () => {
    const { places, closed, come } = setUp()
    come('known', '10.0.0.1', 2)
    const busy = come('busy')
    places.claim(busy, 1)
    for (let i = 0; i < 4; i++) come(`idle ${i}`)
    assert.deepEqual(closed, ['idle 0', 'idle 1'])
    assert.equal(places.size, 4)
  })

  it('are taken from the address with the most strangers, not from those who have few', () => {
    const { closed, come } = setUp(8, 8)
    come('probe', '127.0.0.1')
    for (let i = 0; i < 20; i++) come(`crowd ${i}`, '10.0.0.2')
    for (let i = 0; i < 3; i++) come(`other ${i}`, `10.0.1.${i}`)
    assert.ok(!closed.includes('probe') && !closed.some((name) => name.startsWith('other')))
  })

  it('are not taken from the known for strangers, but for other known ones', () => {
    const { closed, come } = setUp(4, 4)
    for (let i = 0; i < 4; i++) come(`known ${i}`, '10.0.0.1', 2)
    come('stranger', '10.0.0.2')
    assert.deepEqual(closed, ['stranger'])
    come('known 4', '10.0.0.3', 2)
    assert.deepEqual(closed, ['stranger', 'known 0'])
  })

  it('are free again when a connection leaves, however often that is said', () => {
    const { places, closed, come } = setUp(2, 2)
    const first = come('first')
    places.leave(first)
    places.leave(first)
    come('second')
    come('third')
    assert.deepEqual(closed, [])
    assert.equal(places.size, 2)
  })
})
