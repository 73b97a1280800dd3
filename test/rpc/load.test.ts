/** What callers may make the node do and hold, on a clock that stands until it is moved. */
import assert from 'node:assert/strict'
import { RPC_LIMITS } from '../../node/rpc/limits.ts'
import { Load } from '../../node/rpc/load.ts'

const LIMITS = {
  ...RPC_LIMITS.load,
  costPerSecond: 1_000_000,
  costBurst: 100_000,
  heldBytesMax: 100_000,
  heldForStrangersBytesMax: 50_000,
  heldForOneBytesMax: 30_000,
  staleMs: 1_000,
}

function setUp() {
  let now = 0
  const due: { at: number; fn: () => void }[] = []
  const clock = {
    elapsed: () => now,
    after(ms: number, fn: () => void) {
      due.push({ at: now + ms, fn })
      return () => {}
    },
    soon: (fn: () => void) => void setImmediate(fn),
  }
  const load = new Load(LIMITS, clock)
  const cut: string[] = []
  const take = (name: string, known = false) =>
    load.take({ name, known, connection: name }, () => void cut.push(name))
  const settle = async () => {
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  /** Moves the clock; whatever was due by then has happened. */
  const to = async (ms: number) => {
    now = ms
    for (const timer of due.splice(0)) {
      if (timer.at <= now) timer.fn()
      else due.push(timer)
    }
    await settle()
  }
  return { load, cut, take, settle, to }
}

describe('the load of callers', () => {
  it('ends with overloaded where one caller, or all strangers, make the node hold too much', () => {
    const { load, take } = setUp()
    const first = take('10.0.0.1')
    first.awaits(false)
    first.hold(30_000)
    assert.throws(() => first.hold(1), { code: 'overloaded' })
    assert.throws(() => take('10.0.0.1').hold(1), { code: 'overloaded' })
    const second = take('10.0.0.2')
    second.hold(20_000)
    assert.throws(() => take('10.0.0.3').hold(1), { code: 'overloaded' })
    // Room is kept for those whom the node knows, and for saying a few words.
    take('token ci', true).hold(20_000)
    take('10.0.0.3').hold(100, 'few')
    first.release()
    take('10.0.0.3').hold(1)
    assert.ok(load.heldBytes > 40_000 && load.heldBytes < 60_000)
    const flood = () => {
      for (let i = 0; i < 10_000; i++) take('10.0.0.4').awaits(false)
    }
    assert.throws(flood, { code: 'overloaded' })
  })

  it('gives up what its caller does not take, once that is old and its room is needed', async () => {
    const { cut, take, to } = setUp()
    const stuck = take('10.0.0.1')
    stuck.hold(40_000)
    const working = take('10.0.0.1')
    working.awaits(false)
    assert.throws(() => working.hold(1), { code: 'overloaded' })
    await to(2_000)
    working.hold(40_000)
    assert.deepEqual(cut, ['10.0.0.1'])
    await to(4_000)
    // The node itself is what this one waits for.
    assert.throws(() => take('10.0.0.1').hold(1), { code: 'overloaded' })
    assert.equal(cut.length, 1)
  })

  it('is read at a pace, by what it costs, callers in turn', async () => {
    const { take, settle, to } = setUp()
    const done: string[] = []
    const read = (name: string, cost: number) =>
      void take(name).read(async (spend) => {
        spend(cost)
        done.push(name)
      })
    for (let i = 0; i < 5; i++) read('crowd', 500_000)
    read('alone', 1_000)
    await settle()
    // Two at once. The first has spent 400,000 more than there was, which takes 0.4 s to earn.
    assert.deepEqual(done, ['crowd', 'crowd'])
    await to(300)
    assert.equal(done.length, 2)
    await to(400)
    assert.equal(done.length, 3)
    await to(1_500)
    assert.deepEqual(done.slice(2, 4), ['crowd', 'alone'])
  })

  it('is not read for those who have gone', async () => {
    const { take, settle } = setUp()
    const burden = take('10.0.0.1')
    let reads = 0
    const answer = burden.read(async () => void reads++)
    burden.release()
    await assert.rejects(answer, { code: 'overloaded' })
    await settle()
    assert.equal(reads, 0)
  })

  it('tells subscribers only so much at a time', async () => {
    const { load, to } = setUp()
    assert.ok(load.tell(1_000_000))
    assert.ok(!load.tell(2_000_000))
    await to(3_000)
    assert.ok(load.tell(1))
  })
})
