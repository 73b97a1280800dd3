import { deepEqual, equal, ok } from 'node:assert/strict'
import { Driver, type DriverPorts } from '../../consensus/driver.ts'
import type { Message } from '../../consensus/messages.ts'
import type { Raft } from '../../consensus/raft.ts'
import type { Block } from '../../consensus/types.ts'
import { errorCode, InvariantError } from '../../src/errors.ts'
import { block, chain, GENESIS, raft } from './support.ts'

/** Ports that only take notes; what is asynchronous waits until the test lets it go on. */
function rig(node: Raft, returned: (blocks: readonly Block[]) => readonly Block[] = (same) => same) {
  const notes: string[] = []
  const waiting: Record<
    'persist' | 'apply' | 'check',
    { resolve: (right: boolean) => void; reject: (error: unknown) => void }[]
  > = {
    persist: [],
    apply: [],
    check: [],
  }
  const wait = (what: keyof typeof waiting) =>
    new Promise<boolean>((resolve, reject) => {
      waiting[what].push({ resolve, reject })
    })
  const ports: DriverPorts = {
    persist: async ({ blocks, hardState }) => {
      notes.push(`persist t${hardState?.term ?? '-'} ${blocks.map(({ hash }) => hash)}`.trim())
      await wait('persist')
    },
    send: (to, { kind }) => notes.push(`send ${to} ${kind}`),
    apply: async (blocks) => {
      notes.push(`apply ${blocks.map(({ hash }) => hash)}`)
      await wait('apply')
    },
    check: async (blocks, parent) => {
      notes.push(`check ${blocks.map(({ hash }) => hash)} on ${parent.hash}`)
      return (await wait('check')) ? returned(blocks) : undefined
    },
    onSoftState: ({ role }) => notes.push(role),
    onBehind: (height) => notes.push(`behind ${height}`),
    onBadMessage: (from, error) => notes.push(`blame ${from} ${error.code}`),
    onFatal: (error) => notes.push(`fatal ${errorCode(error)}`),
  }
  const settle = async () => {
    for (let hop = 0; hop < 10; hop++) await null
  }
  return {
    driver: new Driver(node, ports),
    notes,
    take: () => notes.splice(0),
    /** Lets the oldest wait of that sort end. */
    finish: async (what: keyof typeof waiting, right = true) => {
      const first = waiting[what].shift()
      ok(first, `nothing waits for ${what}`)
      first.resolve(right)
      await settle()
    },
    fail: async (what: keyof typeof waiting, error: unknown) => {
      waiting[what].shift()!.reject(error)
      await settle()
    },
    settle,
  }
}

const append = (blocks = chain([1]), commit = 0): Message => ({
  kind: 'append',
  term: 1,
  prev: GENESIS,
  blocks,
  commit,
})
const heartbeat: Message = { kind: 'heartbeat', term: 1, round: 1 }

describe('the driver', () => {
  it('persists, then sends, then applies', async () => {
    const { driver, take, finish } = rig(raft('a'))
    driver.deliver('b', heartbeat)
    deepEqual(take(), ['follower', 'persist t1'])
    await finish('persist')
    deepEqual(take(), ['send b heartbeat-reply'])
    driver.deliver('b', append(undefined, 1))
    await finish('check')
    deepEqual(take(), ['check 1/1 on genesis', 'persist t- 1/1'])
    await finish('persist')
    deepEqual(take(), ['send b append-reply', 'apply 1/1'])
    equal(driver.status().applied, 0)
    await finish('apply')
    equal(driver.status().applied, 1)
  })

  it('applies while the next write is under way, one batch at a time', async () => {
    const { driver, take, finish } = rig(raft('a', { configuration: { voters: ['a'], learners: [] } }))
    driver.campaign()
    await finish('persist')
    driver.propose(block(driver.raft.tail, 1))
    await finish('persist')
    driver.propose(block(driver.raft.tail, 1))
    take()
    await finish('persist')
    driver.propose(block(driver.raft.tail, 1))
    deepEqual(take(), ['persist t- 3/1'])
    await finish('persist')
    deepEqual(take(), [], 'the first block is still being applied')
    await finish('apply')
    deepEqual(take(), ['apply 2/1,3/1'])
  })

  it('lets a leader send before its own disk has synced', async () => {
    const { driver, take, finish } = rig(raft('a'))
    driver.campaign()
    driver.deliver('b', { kind: 'pre-vote-reply', term: 1, granted: true })
    await finish('persist')
    driver.deliver('b', { kind: 'vote-reply', term: 1, granted: true })
    take()
    driver.propose(block(driver.raft.tail, 1))
    deepEqual(take(), ['send b append', 'send c append', 'persist t- 1/1'])
  })

  it('takes no append over a link that broke meanwhile, checked or not', async () => {
    const { driver, take, finish, settle } = rig(raft('a'))
    driver.deliver('b', heartbeat)
    await finish('persist')
    const [one, two] = chain([1, 1])
    driver.deliver('b', append([one!]))
    driver.deliver('b', { kind: 'append', term: 1, prev: one!, blocks: [two!], commit: 0 })
    take()
    driver.lostLink('b')
    await finish('check')
    deepEqual(take(), [])
    equal(driver.raft.tail.height, 0)
    driver.deliver('b', append([one!]))
    await settle()
    deepEqual(take(), ['check 1/1 on genesis'], 'over a new link it goes on')
  })

  it('hears heartbeats while it checks a block, and keeps the order of appends', async () => {
    const { driver, take, finish } = rig(raft('a'))
    driver.deliver('b', heartbeat)
    await finish('persist')
    const [one, two] = chain([1, 1])
    driver.deliver('b', append([one!]))
    driver.deliver('b', { kind: 'append', term: 1, prev: one!, blocks: [two!], commit: 0 })
    take()
    for (let i = 0; i < 30; i++) {
      driver.tick()
      if (i % 5 === 0) driver.deliver('b', heartbeat)
    }
    equal(driver.raft.role, 'follower')
    deepEqual(new Set(take()), new Set(['send b heartbeat-reply']))
    await finish('check')
    deepEqual(take(), ['persist t- 1/1', 'check 2/1 on 1/1'])
    await finish('check')
    await finish('persist')
    deepEqual(take(), ['send b append-reply', 'persist t- 2/1'])
  })

  it('drops what the ledger refuses and names the sender', async () => {
    const { driver, take, finish } = rig(raft('a'))
    driver.deliver('b', append())
    await finish('check', false)
    deepEqual(take(), ['check 1/1 on genesis', 'blame b bad-chain'])
    equal(driver.raft.tail.height, 0)
    driver.deliver('a', heartbeat)
    deepEqual(take(), ['blame a not-a-member'])
  })

  it('checks no block twice, and none that would be refused anyway', async () => {
    const { driver, take, finish } = rig(raft('a'))
    driver.deliver('b', append())
    await finish('check')
    await finish('persist')
    take()
    driver.deliver('b', append(chain([1, 1])))
    deepEqual(take(), ['check 2/1 on 1/1'])
    await finish('check')
    await finish('persist')
    take()
    driver.deliver('b', append())
    deepEqual(take(), ['send b append-reply'])
    const far = chain([1, 1, 1, 1])
    driver.deliver('b', { kind: 'append', term: 1, prev: far[2]!, blocks: [far[3]!], commit: 0 })
    deepEqual(take(), ['send b append-reject'])
  })

  it('puts into the log what the ledger returned, with the configurations that it read', async () => {
    const configuration = { voters: ['a', 'b', 'c', 'd'], learners: [] }
    const { driver, finish } = rig(raft('a'), (blocks) => blocks.map((each) => ({ ...each, configuration })))
    driver.deliver('b', append())
    await finish('check')
    deepEqual(driver.raft.configuration, configuration)
  })

  it('stops when the ledger returns other blocks than it was given', async () => {
    for (const other of [[], chain([1, 1]), chain([1], GENESIS, 'other')]) {
      const { driver, take, finish } = rig(raft('a'), () => other)
      driver.deliver('b', append())
      await finish('check')
      equal(take().at(-1), 'fatal invariant')
    }
  })

  it('answers reads when they are confirmed, and all of them in the end', async () => {
    const { driver, finish, fail, settle } = rig(
      raft('a', { configuration: { voters: ['a'], learners: [] } }),
    )
    deepEqual(await driver.read(), { ok: false, reason: 'not-leader' })
    driver.campaign()
    await finish('persist')
    deepEqual(await driver.read(), { ok: false, reason: 'not-committed-in-term' })
    driver.propose(block(driver.raft.tail, 1))
    await finish('persist')
    deepEqual(await driver.read(), { ok: true, height: 1 })
    driver.propose(block(driver.raft.tail, 1))
    const late = driver.read()
    await settle()
    await fail('persist', new Error('the disk is gone'))
    deepEqual(await late, { ok: false, reason: 'not-leader' })
    deepEqual(await driver.read(), { ok: false, reason: 'not-leader' })
  })

  it('holds a bounded number of appends that wait for their check', async () => {
    const { driver, take } = rig(raft('a'))
    for (let i = 0; i < 1000; i++) driver.deliver('b', append())
    deepEqual(take(), ['check 1/1 on genesis'])
    await driver.stop()
  })

  it('stops for good when the disk fails, and says so once', async () => {
    const { driver, take, fail } = rig(raft('a'))
    driver.deliver('b', heartbeat)
    take()
    await fail('persist', new Error('disk full'))
    deepEqual(take(), ['fatal internal'])
    driver.tick()
    driver.deliver('b', heartbeat)
    deepEqual(driver.propose(block(GENESIS, 1)), { ok: false, reason: 'not-leader' })
    deepEqual(take(), [])
  })

  it('stops when applying fails, when a check breaks, and when a committed block would change', async () => {
    const applying = rig(raft('a', { configuration: { voters: ['a'], learners: [] } }))
    applying.driver.campaign()
    await applying.finish('persist')
    applying.driver.propose(block(GENESIS, 1))
    await applying.finish('persist')
    applying.take()
    await applying.fail('apply', new InvariantError('the root differs'))
    deepEqual(applying.take(), ['fatal invariant'])

    const checking = rig(raft('a'))
    checking.driver.deliver('b', append())
    await checking.fail('check', new Error('the pool died'))
    equal(checking.take().at(-1), 'fatal internal')

    const forked = rig(raft('a'))
    forked.driver.install(chain([1]))
    forked.driver.install(chain([1, 1], GENESIS, 'fork'))
    equal(forked.take().at(-1), 'fatal invariant')
  })

  it('sends nothing after a stop that came while it was writing', async () => {
    const { driver, take, finish } = rig(raft('a'))
    driver.deliver('b', heartbeat)
    take()
    let stopped = false
    void driver.stop().then(() => {
      stopped = true
    })
    equal(stopped, false)
    await finish('persist')
    equal(stopped, true)
    deepEqual(take(), [])
  })
})
