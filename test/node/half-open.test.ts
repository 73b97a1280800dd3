/** Connections of strangers that say nothing: bounded, and in nobody's way. */
import assert from 'node:assert/strict'
import { type Abortable, HalfOpen } from '../../node/net/half-open.ts'

const LIMITS = { perAddressMax: 4, max: 8, silentMs: 200, unknownMs: 500 }

/** A clock that stands until it is moved. */
function clockOf() {
  const due: { at: number; fn: () => void; on: boolean }[] = []
  let now = 0
  return {
    after(ms: number, fn: () => void) {
      const timer = { at: now + ms, fn, on: true }
      due.push(timer)
      return () => {
        timer.on = false
      }
    },
    to(ms: number) {
      now = ms
      for (const timer of due) {
        if (!timer.on || timer.at > now) continue
        timer.on = false
        timer.fn()
      }
    },
  }
}

function setUp() {
  const closed: string[] = []
  const clock = clockOf()
  const halfOpen = new HalfOpen<Abortable>(LIMITS, clock, () => {})
  const come = (name: string, address = '127.0.0.1') => {
    const connection = { abort: () => void closed.push(name) }
    halfOpen.came(connection, address)
    return connection
  }
  return { halfOpen, clock, closed, come }
}

describe('half-open connections', () => {
  it('are closed when they say nothing, or do not say in time who they are', () => {
    const { halfOpen, clock, closed, come } = setUp()
    come('silent')
    const slow = come('slow')
    const member = come('member')
    halfOpen.spoke(slow)
    halfOpen.spoke(member)
    halfOpen.done(member)
    clock.to(200)
    assert.deepEqual(closed, ['silent'])
    clock.to(500)
    assert.deepEqual(closed, ['silent', 'slow'])
    assert.equal(halfOpen.size, 0)
  })

  it('give way to newer ones of the same address, the silent ones first', () => {
    const { halfOpen, closed, come } = setUp()
    const member = come('member')
    halfOpen.spoke(member)
    for (let i = 0; i < 20; i++) come(`stranger ${i}`)
    assert.equal(halfOpen.size, LIMITS.perAddressMax)
    assert.ok(!closed.includes('member'))
    assert.deepEqual(closed.slice(0, 2), ['stranger 0', 'stranger 1'])
  })

  it('give way to those of other addresses when there are many in all', () => {
    const { halfOpen, closed, come } = setUp()
    for (let i = 0; i < 4; i++) come(`crowd ${i}`, '10.0.0.1')
    for (let i = 0; i < 5; i++) come(`other ${i}`, `10.0.1.${i}`)
    assert.equal(halfOpen.size, LIMITS.max)
    assert.deepEqual(closed, ['crowd 0'])
  })

  it('count all addresses of one IPv6 network together', () => {
    const { halfOpen, closed, come } = setUp()
    for (let i = 0; i < 6; i++) come(`v6 ${i}`, `2001:db8:0:7::${i}`)
    come('elsewhere', '2001:db8:0:8::1')
    come('mapped', '::ffff:10.0.0.1')
    assert.deepEqual(closed, ['v6 0', 'v6 1'])
    assert.equal(halfOpen.size, 6)
  })
})
