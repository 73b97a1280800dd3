/** Entries on their way to the leader, and what a node has promised to keep meanwhile. */
import assert from 'node:assert/strict'
import { Forwarding, isLeadersToSay } from '../../node/core/forwarding.ts'
import { Pool } from '../../node/core/pool.ts'
import { type Change, encodeChange } from '../../src/ledger/change.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import { membershipOf } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { BLOCK_ENTRIES_MAX } from '../../src/limits.ts'
import { decodeEntryBundle } from '../../src/merkle/tiles.ts'
import { ADA, adminSigner, CI, entryOf, exampleGenesis, LEDGER, validatorOf } from '../ledger/fixture.ts'

describe('forwarding', () => {
  function forwarding() {
    const pool = new Pool()
    const time = { elapsed: 1_000 }
    const sent: { to: string; count: number }[] = []
    const network = {
      send: (to: string, _: number, bytes: Uint8Array) =>
        sent.push({ to, count: decodeEntryBundle(bytes, BLOCK_ENTRIES_MAX).length }) > 0,
    }
    const now = (fn: () => void) => {
      fn()
      return () => {}
    }
    const clock = {
      now: () => 0,
      elapsed: () => time.elapsed,
      soon: now,
      after: (_: number, fn: () => void) => now(fn),
      every: () => () => {},
    }
    return { pool, time, sent, forwarding: new Forwarding(pool, network, clock) }
  }
  let entry: Entry
  before(async () => {
    entry = await entryOf({ id: 'build-1' })
  })

  it('sends again what has been waiting for long, and nothing that has left the pool', () => {
    const { pool, time, sent, forwarding: node } = forwarding()
    node.follow('bob')
    pool.add(entry)
    node.add(entry)
    node.resend()
    assert.deepEqual(sent, [{ to: 'bob', count: 1 }])
    time.elapsed += 5_000
    node.resend()
    assert.equal(sent.length, 2)
    pool.remove(entry.id)
    time.elapsed += 5_000
    node.resend()
    assert.equal(sent.length, 2)
  })

  it('has a window of entries under way, which moves as they leave the pool', async () => {
    const { pool, time, sent, forwarding: node } = forwarding()
    const entries = Array.from({ length: 1_500 }, (_, i) => ({ ...entry, id: `entry ${i}`, claims: [] }))
    for (const each of entries) pool.add(each)
    node.follow('bob')
    const total = () => sent.reduce((sum, { count }) => sum + count, 0)
    assert.equal(total(), 1_024)
    node.add({ ...entry, id: 'entry 1' })
    node.resend()
    assert.equal(total(), 1_024)
    for (const { id } of entries.slice(0, 100)) pool.remove(id)
    node.applied()
    assert.equal(total(), 1_124)
    // The leader may have lost them: then the others must not wait for ever.
    time.elapsed += 5_000
    node.resend()
    assert.equal(total(), 1_124 + 1_024)
    for (const { id } of entries) pool.remove(id)
    node.applied()
    pool.add(entry)
    node.add(entry)
    assert.equal(total(), 1_124 + 1_024 + 1)
  })

  it('finds an entry that came into the pool while another replica was in charge', () => {
    const { pool, sent, forwarding: node } = forwarding()
    node.follow('bob')
    pool.add(entry)
    node.resend()
    assert.deepEqual(sent, [{ to: 'bob', count: 1 }])
  })

  it('is silent without a leader', () => {
    const { pool, sent, forwarding: node } = forwarding()
    pool.add(entry)
    node.add(entry)
    node.resend()
    assert.deepEqual(sent, [])
  })
})

describe('what a leader refuses', () => {
  const refusal = (code: string) => ({ id: '00', code, message: 'No.' })
  const change = (what: Change['what']) => {
    const payload = encodeChange({ ledger: LEDGER, sequence: 1, cosigners: 1, adminQuorum: 1, what })
    return signEntry(PAYLOAD_TYPES.change, payload, adminSigner)
  }

  /** Whether it is believed where `lea` is a learner and `ada` a validator. */
  const isBelieved = async (entry: Entry, code: string) => {
    const { membership } = await exampleGenesis()
    const members = [...membership.members, { ...validatorOf('lea', 60), kind: 'learner' as const }]
    return isLeadersToSay(entry, refusal(code), membershipOf(members, membership))
  }

  it('is believed of a promotion alone, and only that the learner lags behind', async () => {
    const promotion = await change({ put: validatorOf('lea', 60) })
    assert.equal(await isBelieved(promotion, 'not-caught-up'), true)
    for (const code of ['duplicate', 'bad-signature', 'unknown-key', 'bad-change']) {
      assert.equal(await isBelieved(promotion, code), false, code)
    }
  })

  it('is not believed of the new keys of a validator: a leader could keep those that were stolen', async () => {
    const { nodeKey, cosignerKey } = validatorOf('ada', 62)
    const replacement = await change({ put: { ...ADA, nodeKey, cosignerKey } })
    assert.equal(await isBelieved(replacement, 'not-caught-up'), false)
  })

  it('is not believed of what a client logs, nor of other changes', async () => {
    assert.equal(await isBelieved(await entryOf(), 'not-caught-up'), false)
    assert.equal(await isBelieved(await change({ put: CI }), 'not-caught-up'), false)
  })
})

describe('the pool', () => {
  it('knows what is on disk as well, whoever put it there', async () => {
    const pool = new Pool()
    const entry = await entryOf({ id: 'build-2' })
    assert.equal(pool.markKept(entry.id), false)
    pool.add(entry)
    assert.equal(pool.isKept(entry.id), false)
    assert.ok(pool.markKept(entry.id) && pool.isKept(entry.id))
    assert.deepEqual([pool.remove(entry.id), pool.remove(entry.id)], [true, false])
    assert.equal(pool.isKept(entry.id), false)
  })
})
