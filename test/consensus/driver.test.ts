import { deepEqual, equal, ok } from 'node:assert/strict'
import { Driver, type DriverPorts } from '../../consensus/driver.ts'
import type { Message } from '../../consensus/messages.ts'
import type { Raft } from '../../consensus/raft.ts'
import type { Block } from '../../consensus/types.ts'
import { errorCode, InvariantError } from '../../src/errors.ts'
import { fakeProofs, fakeSign } from './fakes.ts'
import {
  acknowledge,
  append as appendOf,
  block,
  chain,
  GENESIS,
  lead,
  locked,
  of,
  raft,
  refTo,
  vote,
} from './support.ts'

/** Ports that only take notes; what is asynchronous waits until the test lets it go on. */
function rig(
  node: Raft,
  returned: (blocks: readonly Block[]) => readonly Block[] = (same) => same,
  slow = '',
) {
  const notes: string[] = []
  const waiting: Record<
    'persist' | 'apply' | 'check' | 'verify',
    { resolve: (right: boolean) => void; reject: (error: unknown) => void }[]
  > = {
    persist: [],
    apply: [],
    check: [],
    verify: [],
  }
  const wait = (what: keyof typeof waiting) =>
    new Promise<boolean>((resolve, reject) => {
      waiting[what].push({ resolve, reject })
    })
  const proofs = fakeProofs(GENESIS, () => node.configuration)
  const ports: DriverPorts = {
    ...proofs,
    verify: async (by, statement, signature) => {
      if (slow.includes(by)) await wait('verify')
      return proofs.verify(by, statement, signature)
    },
    sign: async (statement) => fakeSign(node.id, statement),
    persist: async ({ blocks, hardState, certified }) => {
      const lock = certified === undefined ? '' : ` certified ${certified.block.height}`
      notes.push(`persist t${hardState?.term ?? '-'} ${blocks.map(({ hash }) => hash)}`.trim() + lock)
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
    for (let hop = 0; hop < 30; hop++) await null
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

const append = (blocks = chain([1])): Message => appendOf(1, GENESIS, blocks)

/** A follower of `b` in term 1, with that on its disk. */
async function following(...args: Parameters<typeof rig> | []) {
  const rigged = rig(args[0] ?? raft('a'), ...(args.slice(1) as []))
  rigged.driver.deliver('b', lead(1, 'b', 'bcd'))
  await rigged.settle()
  // The certificate itself may be verified slowly, too.
  for (let i = 0; i < 3 && rigged.driver.raft.term === 0; i++) await rigged.finish('verify')
  await rigged.finish('persist')
  rigged.take()
  return rigged
}

/** Elects the only voter. */
async function alone() {
  const rigged = rig(raft('a', { configuration: of('a') }))
  rigged.driver.campaign()
  await rigged.finish('persist')
  equal(rigged.driver.raft.role, 'leader')
  return rigged
}
const heartbeat: Message = { kind: 'heartbeat', term: 1, round: 1 }

describe('the driver', () => {
  it('persists, then sends, then applies', async () => {
    const { driver, take, finish, settle } = rig(raft('a'))
    driver.deliver('b', lead(1, 'b', 'bc'))
    await settle()
    deepEqual(take(), ['follower', 'persist t1'])
    driver.deliver('b', heartbeat)
    deepEqual(take(), [])
    await finish('persist')
    deepEqual(take(), ['send b heartbeat-reply'])
    driver.deliver('b', append())
    await finish('check')
    deepEqual(take(), ['check 1/1 on genesis', 'persist t- 1/1'])
    await finish('persist')
    // With its own acknowledgement the block is certified, and that is written before it is said.
    deepEqual(take(), ['persist t- certified 1'])
    driver.deliver('b', locked(chain([1])[0]!))
    await finish('persist')
    deepEqual(take(), [
      'send b acknowledge',
      'send c acknowledge',
      'send b locked',
      'send c locked',
      'apply 1/1',
    ])
    equal(driver.status().applied, 0)
    await finish('apply')
    equal(driver.status().applied, 1)
  })

  it('applies while the next write is under way, one batch at a time', async () => {
    const { driver, take, finish } = await alone()
    driver.propose(block(driver.raft.tail, 1))
    await finish('persist')
    driver.propose(block(driver.raft.tail, 1))
    deepEqual(take().slice(-2), ['apply 1/1', 'persist t- 2/1 certified 2'])
    await finish('persist')
    driver.propose(block(driver.raft.tail, 1))
    deepEqual(take(), ['persist t- 3/1 certified 3'])
    await finish('persist')
    deepEqual(take(), [], 'the first block is still being applied')
    await finish('apply')
    deepEqual(take(), ['apply 2/1,3/1'])
  })

  it('lets a leader send before its own disk has synced', async () => {
    const { driver, take, finish, settle } = rig(raft('a'))
    driver.campaign()
    driver.deliver('b', { kind: 'pre-vote-reply', term: 1, granted: true })
    await finish('persist')
    const statement = { kind: 'vote', term: 1, candidate: 'a', base: refTo(GENESIS) } as const
    driver.deliver('b', { kind: 'vote-reply', term: 1, signature: fakeSign('c', statement) })
    await settle()
    equal(driver.raft.role, 'candidate', 'not the signature of its sender')
    driver.deliver('b', { kind: 'vote-reply', term: 1, signature: fakeSign('b', statement) })
    await settle()
    deepEqual(take().slice(-5), [
      'send b lead',
      'send c lead',
      'send b heartbeat',
      'send c heartbeat',
      'leader',
    ])
    driver.propose(block(driver.raft.tail, 1))
    deepEqual(take(), ['send b append', 'send c append', 'persist t- 1/1'])
  })

  it('takes no append over a link that broke meanwhile, checked or not', async () => {
    const { driver, take, finish, settle } = await following()
    const [one, two] = chain([1, 1])
    driver.deliver('b', append([one!]))
    driver.deliver('b', appendOf(1, one!, [two!]))
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
    const { driver, take, finish } = await following()
    const [one, two] = chain([1, 1])
    driver.deliver('b', append([one!]))
    driver.deliver('b', appendOf(1, one!, [two!]))
    take()
    for (let i = 0; i < 30; i++) {
      driver.tick()
      if (i % 5 === 0) driver.deliver('b', heartbeat)
    }
    equal(driver.raft.role, 'follower')
    deepEqual(new Set(take().filter((note) => !note.endsWith('ask'))), new Set(['send b heartbeat-reply']))
    await finish('check')
    deepEqual(take(), ['persist t- 1/1', 'check 2/1 on 1/1'])
    await finish('check')
    await finish('persist')
    deepEqual(take(), ['persist t- 2/1'])
  })

  it('drops what the ledger refuses and names the sender', async () => {
    const { driver, take, finish } = await following()
    driver.deliver('b', append())
    await finish('check', false)
    deepEqual(take(), ['check 1/1 on genesis', 'blame b bad-chain'])
    equal(driver.raft.tail.height, 0)
    driver.deliver('a', heartbeat)
    deepEqual(take(), ['blame a not-a-member'])
  })

  it('checks no block twice, and none that would be refused anyway', async () => {
    const { driver, take, finish } = await following(raft('a', { configuration: of('abcd', '', 3) }))
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
    driver.deliver('b', appendOf(1, far[2]!, [far[3]!]))
    deepEqual(take(), ['send b append-reject'])
    driver.deliver('c', append(far))
    deepEqual(take(), ['blame c not-permitted'])
    driver.deliver('b', appendOf(2, far[1]!, chain([2], far[1])))
    deepEqual(take(), ['send b ask'], 'no certificate, no block')
  })

  it('puts into the log what the ledger returned, with the configurations that it read', async () => {
    const configuration = of('abcd')
    const { driver, finish } = await following(raft('a'), (blocks) =>
      blocks.map((each) => ({ ...each, configuration })),
    )
    driver.deliver('b', append())
    await finish('check')
    deepEqual(driver.raft.configuration, configuration)
  })

  it('stops when the ledger returns other blocks than it was given', async () => {
    for (const other of [[], chain([1, 1]), chain([1], GENESIS, 'other')]) {
      const { driver, take, finish } = await following(raft('a'), () => other)
      driver.deliver('b', append())
      await finish('check')
      equal(take().at(-1), 'fatal invariant')
    }
  })

  it('steps nothing that is signed before it is verified, and what one peer says in order', async () => {
    const { driver, take, finish, settle } = await following(
      raft('a', { configuration: of('abcd', '', 3) }),
      undefined,
      'd',
    )
    const [one] = chain([1])
    driver.deliver('b', append())
    await finish('check')
    await finish('persist')
    take()
    driver.deliver('d', acknowledge('d', one!))
    driver.deliver('d', locked(one!))
    driver.deliver('c', locked(one!))
    driver.deliver('c', acknowledge('d', one!))
    await settle()
    deepEqual([driver.raft.certified.block.height, take().includes('persist t- certified 1')], [0, false])
    await finish('verify')
    equal(driver.raft.certified.block.height, 1)
    await finish('persist')
    equal(driver.raft.commit, 1)
  })

  it('steps what needs no check at once, before anything can happen that would make it need one', async () => {
    const { driver, finish, settle } = rig(raft('a', { configuration: of('abcd', '', 3) }))
    const [one] = chain([1])
    driver.deliver('b', lead(1, 'b', 'bcd'))
    driver.deliver('b', append())
    for (const from of ['c', 'd'])
      driver.deliver(from, { ...acknowledge(from, one!), signature: new Uint8Array([1]) })
    await settle()
    await finish('persist')
    deepEqual([driver.raft.term, driver.raft.tail.height], [1, 0])
    driver.deliver('b', append())
    await finish('check')
    await finish('persist')
    equal(driver.raft.certified.block.height, 0)
  })

  it('verifies no candidacy while a leader lives, and one of a peer in the time of a heartbeat', async () => {
    const { driver, take, settle } = await following(raft('a'), undefined, 'bcd')
    driver.deliver('c', vote(2, 'c'))
    await settle()
    equal(driver.raft.term, 1)
    driver.lostLink('b')
    for (let i = 0; i < 50; i++) driver.deliver('c', vote(2 + i, 'c'))
    await settle()
    equal(driver.raft.term, 1)
    deepEqual(take(), [])
  })

  it('pulls when it cannot judge a base, since its blocks may tell of other voters', async () => {
    const { driver, take, settle } = rig(raft('a'))
    const base = {
      block: refTo(chain([1, 1])[1]!),
      proof: { kind: 'ledger', bytes: new Uint8Array() },
    } as const
    driver.deliver('b', lead(3, 'b', 'bc', base))
    await settle()
    deepEqual([take(), driver.raft.term], [['behind 2'], 0])
  })

  it('answers reads when they are confirmed, and all of them in the end', async () => {
    deepEqual(await rig(raft('a')).driver.read(), { ok: false, reason: 'not-leader' })
    const { driver, finish, fail, settle } = await alone()
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
    const { driver, take } = await following()
    for (let i = 0; i < 1000; i++) driver.deliver('b', append())
    deepEqual(take(), ['check 1/1 on genesis'])
    await driver.stop()
  })

  it('stops for good when the disk fails, and says so once', async () => {
    const { driver, take, fail, settle } = rig(raft('a'))
    driver.deliver('b', lead(1, 'b', 'bc'))
    await settle()
    take()
    await fail('persist', new Error('disk full'))
    deepEqual(take(), ['fatal internal'])
    driver.tick()
    driver.deliver('b', heartbeat)
    deepEqual(driver.propose(block(GENESIS, 1)), { ok: false, reason: 'not-leader' })
    deepEqual(take(), [])
  })

  it('stops when applying fails, when a check breaks, and when a committed block would change', async () => {
    const applying = await alone()
    applying.driver.propose(block(GENESIS, 1))
    await applying.finish('persist')
    applying.take()
    await applying.fail('apply', new InvariantError('the root differs'))
    deepEqual(applying.take(), ['fatal invariant'])

    const checking = await following()
    checking.driver.deliver('b', append())
    await checking.fail('check', new Error('the pool died'))
    equal(checking.take().at(-1), 'fatal internal')

    const forked = rig(raft('a'))
    forked.driver.install(chain([1]), new Uint8Array())
    forked.driver.install(chain([1, 1], GENESIS, 'fork'), new Uint8Array())
    equal(forked.take().at(-1), 'fatal invariant')
  })

  it('sends nothing after a stop that came while it was writing', async () => {
    const { driver, take, finish, settle } = rig(raft('a'))
    driver.deliver('b', lead(1, 'b', 'bc'))
    await settle()
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
