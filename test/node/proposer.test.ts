/** What a leader keeps out of its blocks: one CloudEvent is recorded once, whoever signed it. */
import assert from 'node:assert/strict'
import type { Block as RaftBlock } from '../../consensus/types.ts'
import { Pool } from '../../node/core/pool.ts'
import { Proposer, type ProposerPorts } from '../../node/core/proposer.ts'
import { Unapplied } from '../../node/core/unapplied.ts'
import { toHex } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { decodeBlock } from '../../src/ledger/block.ts'
import { genesisState } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { blankSigner, blockOn, entryOf, exampleGenesis, nodeSigner } from '../ledger/fixture.ts'

describe('a leader', () => {
  /** The same event by its submitter and by another's gateway: two leaves, of which one may stand. */
  let first: Entry
  let second: Entry
  let other: Entry
  before(async () => {
    first = await entryOf({ id: 'build-1' })
    second = await entryOf({ id: 'build-1' }, nodeSigner)
    other = await entryOf({ id: 'build-2' })
  })

  /** What a leader proposes with this in its pool, and that in the one block of its log not applied yet. */
  async function propose(pooled: readonly Entry[], inLog: readonly Entry[]): Promise<string[]> {
    const state = genesisState(await exampleGenesis())
    const pool = new Pool()
    for (const entry of pooled) pool.add(entry)
    const proposed: RaftBlock[] = []
    const tip = { hash: state.hash, height: 0 }
    const members = { newest: state.membership }
    const store = { state, tip, members, hasLeaves: async () => [] } as unknown as ProposerPorts['store']
    const unapplied = new Unapplied(
      store,
      pool,
      { verify: async () => true } as never,
      {} as never,
      {} as never,
    )
    const block = await blockOn(state, inLog)
    unapplied.add(block, inLog)
    const raft = {
      needsOpening: false,
      tail: { hash: block.id, height: 1 },
      term: 1,
      canPropose: () => proposed.length === 0,
    }
    const driver = { raft, propose: (made: RaftBlock) => ({ ok: proposed.push(made) > 0 }) }
    const signer = blankSigner(nodeSigner)
    const keyed = { name: 'ada', keyid: keyId(signer.publicKey), signer }
    const clock = { now: () => state.time, elapsed: () => 0 }
    const onFatal = (error: unknown) => assert.fail(String(error))
    const sealTime = () => state.time
    const ports = {
      ...keyed,
      driver,
      pool,
      unapplied,
      store,
      clock,
      sealTime,
      isSettled: () => true,
      onFatal,
    }
    new Proposer(ports as unknown as ProposerPorts).kick()
    for (let hop = 0; hop < 20; hop++) await new Promise(setImmediate)
    return proposed.flatMap(({ body }) => decodeBlock(body).leafHashes.slice(0, -1)).map(toHex)
  }

  it('proposes what is new', async () => {
    assert.deepEqual(await propose([second, other], []), [second.id, other.id])
  })

  it('leaves an entry waiting while a block with its event is on its way', async () => {
    assert.deepEqual(await propose([second, other], [first]), [other.id])
  })
})
